import Foundation
import GRDB
import Testing
import Wire

@testable import Queue

@Suite("SQLite schema")
struct SQLiteSchemaTests {
  @Test("The schema allows exactly the moves that JobState lists")
  func moves() throws {
    for from in JobState.allCases {
      for to in JobState.allCases where from != to {
        let fixture = try StoreFixture(.sqlite)
        defer { fixture.remove() }
        let store = fixture.store
        let isAllowed = try store.write { db in
          try insertJob(in: from, db)
          do {
            try db.execute(
              sql: """
                UPDATE jobs SET state = :state,
                  lease_token = \(to == .running ? "1" : "NULL"), lease_until = \(to == .running ? "1" : "NULL"),
                  deadline_at = \(to == .running ? "1" : "NULL"), owner = \(to == .running ? "'w'" : "NULL"),
                  next_attempt_at = \(to == .retryWait ? "1" : "NULL"),
                  finished_at = \(to.isTerminal ? "1" : "NULL"),
                  commit_attempt = \(to == .finished ? "1" : "NULL"),
                  outcome = \(to == .finished ? "'completed'" : "NULL"),
                  receipt = \(to == .finished ? "zeroblob(32)" : "NULL")
                """, arguments: ["state": to.rawValue])
            return true
          } catch let error as DatabaseError where error.extendedResultCode == .SQLITE_CONSTRAINT_TRIGGER {
            return false
          }
        }
        #expect(isAllowed == from.legalMoves.contains(to), "\(from) to \(to)")
      }
    }
  }

  @Test("A state without its columns cannot be stored", arguments: JobState.allCases)
  func columns(state: JobState) throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    #expect(throws: QueueError.self) {
      try fixture.store.write { db in
        try insertJob(in: state, db, finishedAt: state.isTerminal ? "NULL" : "7")
      }
    }
  }

  @Test("Every word of the enums is a word of the schema")
  func words() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let schema = try fixture.store.read { db in
      try String.fetchAll(db, sql: "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").joined()
    }
    let words =
      JobState.allCases.map(\.rawValue) + JobOutcome.allCases.map(\.rawValue) + AttemptEnd.allCases.map(\.rawValue)
      + RunTrigger.allCases.map(\.rawValue) + SkipReason.allCases.map(\.rawValue)
    for word in words { #expect(schema.contains("'\(word)'"), "\(word)") }
  }

  @Test("Every commit is flushed, in a log, under an exclusive lock")
  func pragmas() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let values = try fixture.store.read { db in
      try ["journal_mode", "locking_mode", "synchronous", "foreign_keys"].map {
        try String.fetchOne(db, sql: "PRAGMA \($0)") ?? ""
      }
    }
    #expect(values == ["wal", "exclusive", "2", "1"])
  }

  @Test("A second daemon is refused by name")
  func secondDaemon() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let path = fixture.path
    #expect(throws: QueueError.alreadyOpen(path: path)) { try SQLiteQueue(path: path) }
  }

  @Test("A database of a newer version is refused and left alone")
  func newerSchema() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    try fixture.store.write { db in try db.execute(sql: "INSERT INTO grdb_migrations VALUES ('99 future')") }
    try fixture.store.close()
    let path = fixture.path
    #expect(throws: QueueError.schemaTooNew(path: path, schema: "99 future", needs: nil)) {
      try SQLiteQueue(path: path)
    }
  }

  @Test("A file that is no database is called damaged")
  func notADatabase() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "no-\(UUID().uuidString).db").path
    try Data(repeating: 0x41, count: 4_096).write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let error = #expect(throws: QueueError.self) { try SQLiteQueue(path: path) }
    guard case .corrupt = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test("A claim steps through indexes and sorts no queue")
  func claimPlan() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let plan = try fixture.store.read { db in
      try Row.fetchAll(
        db, sql: "EXPLAIN QUERY PLAN " + SQLiteQueue.claimSQL(queueCount: nil), arguments: [1, 1, 1, 1, "w"]
      ).map { $0["detail"] as String }
    }
    #expect(plan.contains { $0.contains("USING") && $0.contains("INDEX jobs_ready") }, "\(plan)")
    #expect(
      !plan.contains { step in ["SCAN jobs", "SCAN job"].contains { step == $0 || step.hasPrefix("\($0) ") } },
      "\(plan)")
  }

  private func insertJob(in state: JobState, _ db: Database, finishedAt: String? = nil) throws {
    let isRunning = state == .running
    try db.execute(sql: "INSERT INTO queues (name) VALUES ('q'); INSERT INTO lanes (queue, tenant) VALUES ('q', '')")
    try db.execute(
      sql: """
        INSERT INTO jobs (name, lane, priority, bundle_bytes, state, enqueued_at, ready_at, lease_token, lease_until,
          deadline_at, owner, next_attempt_at, finished_at, commit_attempt, outcome, receipt)
        VALUES (zeroblob(32), 1, 0, 0, '\(state.rawValue)', 1, 1, \(isRunning ? "1, 1, 1, 'w'" : "NULL, NULL, NULL, NULL"),
          \(state == .retryWait ? "1" : "NULL"), \(finishedAt ?? (state.isTerminal ? "1" : "NULL")),
          \(state == .finished ? "1, 'completed', zeroblob(32)" : "NULL, NULL, NULL"))
        """)
  }
}
