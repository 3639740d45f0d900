import GRDB
import Wire

extension SQLiteQueue {
  package func enqueue(_ jobs: [NewJob], at now: Timestamp) throws -> [Bool] {
    guard !jobs.isEmpty else { return [] }
    return try write { db in
      var lanes: [Lane: Int64] = [:]
      return try jobs.map { job in
        let lane = Lane(queue: job.queue, tenant: job.tenant ?? "")
        let laneID = try lanes[lane] ?? laneID(of: lane, in: db)
        lanes[lane] = laneID
        return try insert(job, lane: laneID, at: now, in: db)
      }
    }
  }

  /// One tenant's share of one queue.
  private struct Lane: Hashable {
    let queue: QueueName
    let tenant: String
  }

  private func laneID(of lane: Lane, in db: Database) throws -> Int64 {
    let find = "SELECT id FROM lanes WHERE queue = ? AND tenant = ?"
    if let id = try Int64.fetchOne(db, sql: find, arguments: [lane.queue.rawValue, lane.tenant]) { return id }
    try db.execute(
      sql: "INSERT INTO queues (name) VALUES (?) ON CONFLICT DO NOTHING", arguments: [lane.queue.rawValue])
    try db.execute(
      sql: "INSERT INTO lanes (queue, tenant) VALUES (?, ?)", arguments: [lane.queue.rawValue, lane.tenant])
    return db.lastInsertedRowID
  }

  private func insert(_ job: NewJob, lane: Int64, at now: Timestamp, in db: Database) throws -> Bool {
    let statement = try db.cachedStatement(
      sql: """
        INSERT INTO jobs (name, lane, priority, bundle_bytes, state, enqueued_at, ready_at)
        VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING
        """)
    try statement.execute(arguments: [
      job.name.blob, lane, job.priority, job.bundleBytes, (job.isHeld ? JobState.held : .ready).rawValue,
      now.milliseconds, now.milliseconds,
    ])
    guard db.changesCount == 1 else { return false }
    let cancelled = try db.cachedStatement(sql: "SELECT EXISTS (SELECT 1 FROM cancels WHERE job = ?)")
    if try Bool.fetchOne(cancelled, arguments: [job.name.blob]) == true {
      _ = try applyCancel(to: job.name, at: now, in: db)
    }
    return true
  }

  package func unrecordedCancels(_ statements: [ContentDigest]) throws -> [ContentDigest] {
    try read { db in
      let known = try db.cachedStatement(sql: "SELECT EXISTS (SELECT 1 FROM cancels WHERE statement = ?)")
      return try statements.filter { try Bool.fetchOne(known, arguments: [$0.blob]) != true }
    }
  }

  package func recordCancel(_ statement: ContentDigest, of job: JobName, at now: Timestamp) throws -> CancelEffect {
    try write { db in
      try db.execute(
        sql: "INSERT INTO cancels (statement, job, recorded_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        arguments: [statement.blob, job.blob, now.milliseconds])
      return try applyCancel(to: job, at: now, in: db)
    }
  }

  package func requestCancel(_ job: JobName, at now: Timestamp) throws -> CancelEffect {
    try write { db in try applyCancel(to: job, at: now, in: db) }
  }

  /// A job that never ran is cancelled; one that did may have a commit, so its executor has to look first.
  private func applyCancel(to job: JobName, at now: Timestamp, in db: Database) throws -> CancelEffect {
    guard let (state, attempt) = try stateAndAttempt(of: job, in: db) else { return .unknown }
    switch state {
    case .finished, .cancelled, .dead:
      return .tooLate
    case .held,
      .ready where attempt == 0:
      try db.execute(
        sql: "UPDATE jobs SET state = 'cancelled', cancel_requested_at = :now, finished_at = :now WHERE name = :name",
        arguments: ["now": now.milliseconds, "name": job.blob])
      return .cancelled
    case .ready, .running, .retryWait:
      try db.execute(
        sql: """
          UPDATE jobs SET cancel_requested_at = COALESCE(cancel_requested_at, :now),
            next_attempt_at = CASE state WHEN 'retry_wait' THEN :now END WHERE name = :name
          """,
        arguments: ["now": now.milliseconds, "name": job.blob])
      return .requested
    }
  }

  /// Nil for a job that is not known.
  func stateAndAttempt(of job: JobName, in db: Database) throws -> (JobState, Int64)? {
    let statement = try db.cachedStatement(sql: "SELECT state, attempt FROM jobs WHERE name = ?")
    guard let row = try Row.fetchOne(statement, arguments: [job.blob]) else { return nil }
    guard let state = JobState(rawValue: row["state"]) else { throw QueueError.corrupt("job \(job): unknown state") }
    return (state, row["attempt"])
  }
}
