import Foundation
import GRDB
import Synchronization
import Wire

// One connection, one process. `locking_mode=EXCLUSIVE` keeps every other process out (SQLite up to 3.51.2 can corrupt
// a WAL database when a second connection resets the log, and Debian 12 has 3.40.1), and needs no shared memory file.
// `synchronous=FULL` makes each commit durable before the call returns. Every write is part of one BEGIN IMMEDIATE
// transaction, which the writes that come at the same time share (GroupCommit).

/// The queue in one SQLite file.
package final class SQLiteQueue: QueueStore {
  private let database: DatabaseQueue
  let path: String
  private let isClosed = Mutex(false)
  private let group = GroupCommit()
  /// A copy that is being made.
  private let copy = Mutex<DatabaseCopy?>(nil)
  private let onCommit = Mutex<CommitObserver?>(nil)
  let retryPolicy: RetryPolicy
  let random: any RandomSource
  let membersPerStep: Int

  /// The backup that was made because the schema was older, nil where nothing had to be migrated.
  package let migrationBackup: DatabaseBackup?

  /// Opens the database at `path`, making or migrating it as needed.
  ///
  /// - Parameters:
  ///   - program: this program's version; noted when it migrates.
  ///   - membersPerStep: the most jobs that a run takes in one transaction.
  ///   - backups: where a backup goes before a migration; nil makes none.
  /// - Throws: ``QueueError/alreadyOpen(path:)``, ``QueueError/schemaTooNew(path:schema:needs:)``,
  ///   ``QueueError/unavailable(_:)``, ``QueueError/backupRefused(path:reason:)``
  package init(
    path: String, retryPolicy: RetryPolicy = RetryPolicy(), random: any RandomSource = SystemRandom(),
    membersPerStep: Int = QueueLimits.membersPerStep, program: String? = nil, backups: BackupFolder? = nil
  ) throws {
    self.path = path
    self.retryPolicy = retryPolicy
    self.random = random
    self.membersPerStep = max(1, membersPerStep)
    let database = try DatabaseFile.open(path, create: true)
    self.database = database
    migrationBackup = try DatabaseFile.translating(path) {
      let backup = try DatabaseMigration(database: database, path: path).run(program: program, backups: backups)
      // What a killed predecessor wrote and had not yet synced is read from now on, so it must not go with the power.
      try database.writeWithoutTransaction { db in _ = try db.checkpoint(.truncate) }
      return backup
    }
  }

  /// Closes the file, when the calls under way are done; calls that come later throw.
  package func close() throws {
    database.writeWithoutTransaction { _ in
      isClosed.withLock { $0 = true }
      copy.withLock { $0?.cancel() }
    }
    try database.close()
  }

  func note(_ copy: DatabaseCopy?) throws {
    try self.copy.withLock { running in
      guard running == nil || copy == nil else {
        throw QueueError.unavailable("another copy of it is being made; try again when that has ended")
      }
      running = copy
    }
  }

  /// SQLite itself may crash on a closed connection.
  private func checkOpen() throws {
    if isClosed.withLock({ $0 }) { throw QueueError.unavailable("it was closed") }
  }

  /// The engine and how it keeps its promises, for operators: version, log, flushing.
  package func engine() throws -> String {
    try read { db in
      let version = try String.fetchOne(db, sql: "SELECT sqlite_version()") ?? "?"
      let mode = try String.fetchOne(db, sql: "PRAGMA journal_mode") ?? "?"
      let levels = ["OFF", "NORMAL", "FULL", "EXTRA"]
      let level = try Int.fetchOne(db, sql: "PRAGMA synchronous") ?? 0
      let name = levels.indices.contains(level) ? levels[level] : "\(level)"
      return "SQLite \(version), journal_mode=\(mode.uppercased()), synchronous=\(name)"
    }
  }

  /// Has `body` told how many seconds each commit took to become durable, on the thread that made it: it counts and
  /// returns.
  package func observeCommits(_ body: @escaping @Sendable (Double) -> Void) {
    onCommit.withLock { $0 = CommitObserver(body: body) }
  }

  /// How many calls wrote, and in how many transactions, since the file was opened.
  package var writes: WriteTotals { group.totals }

  /// Calls that wait for their transaction at this moment.
  package var waitingWrites: Int { group.waiting }

  /// SQLite's own check of the whole file; empty when it is sound.
  package func integrityFaults() throws -> [String] {
    try read { db in
      let words = try String.fetchAll(db, sql: "PRAGMA integrity_check(20)")
      let dangling = try Row.fetchAll(db, sql: "PRAGMA foreign_key_check").map { "dangling reference: \($0)" }
      return try words.filter { $0 != "ok" } + dangling + SQLiteQueue.counterFaults(db)
    }
  }

  /// Performs `body` in an immediate transaction, alone or with the writes of other threads; it takes effect as a whole,
  /// durably, or not at all. `body` may run on another caller's thread.
  func write<Value>(_ body: (Database) throws -> Value) throws -> Value {
    try DatabaseFile.translating { try group.perform(in: transaction, body) }
  }

  private func transaction(_ body: (Database) throws -> Void) throws {
    try database.writeWithoutTransaction { db in
      try checkOpen()
      var ended = SuspendingClock.now
      let changes = db.totalChangesCount
      try db.inTransaction(.immediate) {
        try body(db)
        ended = .now
        return .commit
      }
      // A commit without changes flushes nothing.
      guard db.totalChangesCount != changes, let observe = onCommit.withLock({ $0 }) else { return }
      let took = (SuspendingClock.now - ended).components
      observe.body(Double(took.seconds) + Double(took.attoseconds) * 1e-18)
    }
  }

  func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
    try DatabaseFile.translating {
      try database.unsafeRead { db in
        try checkOpen()
        return try body(db)
      }
    }
  }
}

/// Who is told of commits. A struct around the closure: a `Mutex` of the closure itself would wrap it in two more
/// closures at each look (the generic inout converts it there and back), and calls and memory would grow for ever.
private struct CommitObserver: Sendable {
  let body: @Sendable (Double) -> Void
}

extension ContentDigest {
  /// The form in which SQLite keeps it.
  var blob: Data { Data(bytes) }
}
