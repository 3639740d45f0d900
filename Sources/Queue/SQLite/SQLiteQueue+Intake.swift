import GRDB
import Wire

extension SQLiteQueue {
  package func enqueue(_ jobs: [NewJob], at now: Timestamp) throws -> [Bool] {
    guard !jobs.isEmpty else { return [] }
    return try write { db in
      var places: [Lane: Place] = [:]
      return try jobs.map { job in
        let lane = Lane(queue: job.queue, tenant: job.tenant ?? "")
        let place = try places[lane] ?? place(for: lane, in: db)
        places[lane] = place
        return try insert(job, at: place, at: now, in: db)
      }
    }
  }

  /// One tenant's share of one queue.
  private struct Lane: Hashable {
    let queue: QueueName
    let tenant: String
  }

  /// Where a job of a lane is filed.
  private struct Place {
    let lane: Int64
    /// Set when the tenant has no lane of its own.
    let tenant: String?
  }

  /// A tenant's lane is made when its first job comes, until the queue has as many as it may have. What comes then
  /// shares the queue's own lane, so that made-up tenants cannot take turns without end.
  private func place(for lane: Lane, in db: Database) throws -> Place {
    if let id = try self.lane(lane, in: db) { return Place(lane: id, tenant: nil) }
    let isFull = try Bool.fetchOne(
      db, sql: "SELECT COUNT(*) >= ? FROM lanes WHERE queue = ? AND tenant <> ''",
      arguments: [QueueLimits.tenantsPerQueue, lane.queue.rawValue])
    guard isFull == true, !lane.tenant.isEmpty else { return Place(lane: try makeLane(lane, in: db), tenant: nil) }
    let shared = Lane(queue: lane.queue, tenant: "")
    return Place(lane: try self.lane(shared, in: db) ?? makeLane(shared, in: db), tenant: lane.tenant)
  }

  private func lane(_ lane: Lane, in db: Database) throws -> Int64? {
    let find = try db.cachedStatement(sql: "SELECT id FROM lanes WHERE queue = ? AND tenant = ?")
    return try Int64.fetchOne(find, arguments: [lane.queue.rawValue, lane.tenant])
  }

  /// A new lane stands at the end of the line: were it first, a stream of new ones would keep the others waiting.
  private func makeLane(_ lane: Lane, in db: Database) throws -> Int64 {
    try db.execute(
      sql: "INSERT INTO queues (name) VALUES (?) ON CONFLICT DO NOTHING", arguments: [lane.queue.rawValue])
    try db.execute(
      sql: """
        INSERT INTO lanes (queue, tenant, last_turn)
        VALUES (?, ?, (SELECT COALESCE(MAX(last_turn), 0) + 1 FROM lanes))
        """, arguments: [lane.queue.rawValue, lane.tenant])
    return db.lastInsertedRowID
  }

  private func insert(_ job: NewJob, at place: Place, at now: Timestamp, in db: Database) throws -> Bool {
    let statement = try db.cachedStatement(
      sql: """
        INSERT INTO jobs (name, lane, tenant, priority, bundle_bytes, state, enqueued_at, ready_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING
        """)
    try statement.execute(arguments: [
      job.name.blob, place.lane, place.tenant, job.priority, job.bundleBytes,
      (job.isHeld ? JobState.held : .ready).rawValue, now.milliseconds, now.milliseconds,
    ])
    // None for a name that is known, and none for one whose row was pruned (a trigger sees to that).
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
  func applyCancel(to job: JobName, at now: Timestamp, in db: Database) throws -> CancelEffect {
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
