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
  private let isClosed = Mutex(false)
  private let group = GroupCommit()
  let retryPolicy: RetryPolicy
  let random: any RandomSource

  /// Opens the database at `path`, making or migrating it as needed.
  /// - Throws: ``QueueError/alreadyOpen(path:)``, ``QueueError/schemaTooNew(path:)``, ``QueueError/unavailable(_:)``
  package init(path: String, retryPolicy: RetryPolicy = RetryPolicy(), random: any RandomSource = SystemRandom()) throws
  {
    self.retryPolicy = retryPolicy
    self.random = random
    do {
      var configuration = Configuration()
      configuration.label = "queue"
      configuration.prepareDatabase { db in
        try db.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
        let mode = try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL")
        guard mode == "wal" else { throw QueueError.unavailable("no write-ahead log at \(path)") }
        try db.execute(sql: "PRAGMA synchronous = FULL")
      }
      database = try DatabaseQueue(path: path, configuration: configuration)
      let isTooNew = try database.read { db in try QueueSchema.migrator.hasBeenSuperseded(db) }
      if isTooNew { throw QueueError.schemaTooNew(path: path) }
      try QueueSchema.migrator.migrate(database)
    } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
      throw QueueError.alreadyOpen(path: path)
    } catch let error as DatabaseError {
      throw SQLiteQueue.translated(error)
    }
  }

  /// Closes the file, when the calls under way are done; calls that come later throw.
  package func close() throws {
    database.writeWithoutTransaction { _ in isClosed.withLock { $0 = true } }
    try database.close()
  }

  /// SQLite itself may crash on a closed connection.
  private func checkOpen() throws {
    if isClosed.withLock({ $0 }) { throw QueueError.unavailable("it was closed") }
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
      return words.filter { $0 != "ok" } + dangling
    }
  }

  /// Performs `body` in an immediate transaction, alone or with the writes of other threads; it takes effect as a whole,
  /// durably, or not at all. `body` may run on another caller's thread.
  func write<Value>(_ body: (Database) throws -> Value) throws -> Value {
    do {
      return try group.perform(in: transaction, body)
    } catch let error as DatabaseError {
      throw SQLiteQueue.translated(error)
    }
  }

  private func transaction(_ body: (Database) throws -> Void) throws {
    try database.writeWithoutTransaction { db in
      try checkOpen()
      try db.inTransaction(.immediate) {
        try body(db)
        return .commit
      }
    }
  }

  func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
    do {
      return try database.unsafeRead { db in
        try checkOpen()
        return try body(db)
      }
    } catch let error as DatabaseError {
      throw SQLiteQueue.translated(error)
    }
  }

  private static func translated(_ error: DatabaseError) -> QueueError {
    let words = error.message ?? "\(error.resultCode)"
    switch error.resultCode {
    case .SQLITE_CORRUPT, .SQLITE_NOTADB: return .corrupt(words)
    default: return .unavailable("\(words) (SQLite \(error.extendedResultCode.rawValue))")
    }
  }
}

extension ContentDigest {
  /// The form in which SQLite keeps it.
  var blob: Data { Data(bytes) }
}
