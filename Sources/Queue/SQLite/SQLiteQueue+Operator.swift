import GRDB
import Wire

extension SQLiteQueue {
  package func adopt(_ commit: JobCommit, of job: JobName, at now: Timestamp) throws -> Bool {
    try write { db in try adopt(commit, of: job, at: now, in: db) }
  }

  func adopt(_ commit: JobCommit, of job: JobName, at now: Timestamp, in db: Database) throws -> Bool {
    guard let (state, attempt) = try stateAndAttempt(of: job, in: db) else { throw QueueError.unknownJob(job) }
    guard state != .finished else { return false }
    let update = try db.cachedStatement(
      sql: """
        UPDATE jobs SET state = 'finished', commit_attempt = ?, outcome = ?, receipt = ?, finished_at = ?,
          attempt = MAX(attempt, ?), next_attempt_at = NULL,
          lease_token = NULL, lease_until = NULL, deadline_at = NULL, owner = NULL
        WHERE name = ? RETURNING id
        """)
    let id = try Int64.fetchOne(
      update,
      arguments: [
        commit.attempt, commit.outcome.rawValue, commit.receipt.blob, now.milliseconds, commit.attempt, job.blob,
      ])
    if let id, state == .running {
      try closeHistory(ofJob: id, attempt: attempt, .superseded, at: now, in: db)
    }
    return true
  }

  package func retryDead(_ job: JobName, at now: Timestamp) throws {
    try write { db in
      guard let (state, _) = try stateAndAttempt(of: job, in: db) else { throw QueueError.unknownJob(job) }
      guard state == .dead else { throw QueueError.illegalMove(job, from: state, to: .ready) }
      try revive(job, at: now, in: db)
    }
  }

  /// - Throws: ``QueueError/bundleCleared(_:)``
  func revive(_ job: JobName, at now: Timestamp, in db: Database) throws {
    let statement = try db.cachedStatement(
      sql: """
        UPDATE jobs SET state = 'ready', ready_at = ?, finished_at = NULL, faults = 0, strikes = 0,
          cancel_requested_at = NULL WHERE name = ? AND inbox_cleared_at IS NULL
        """)
    try statement.execute(arguments: [now.milliseconds, job.blob])
    guard db.changesCount == 1 else { throw QueueError.bundleCleared(job) }
  }

  package func setPaused(_ isPaused: Bool, queue: QueueName, at now: Timestamp) throws {
    try write { db in
      try db.execute(
        sql: """
          INSERT INTO queues (name, paused_at) VALUES (:name, :at)
          ON CONFLICT (name) DO UPDATE SET paused_at = CASE WHEN :at IS NULL THEN NULL ELSE COALESCE(paused_at, :at) END
          """,
        arguments: ["name": queue.rawValue, "at": isPaused ? now.milliseconds : nil])
    }
  }

  package func inspect(_ job: JobName) throws -> JobDetail? {
    try read { db in
      let sql = SQLiteQueue.jobSQL + " WHERE jobs.name = ?"
      guard let row = try Row.fetchOne(db, sql: sql, arguments: [job.blob]) else { return nil }
      let attempts = try Row.fetchAll(
        db,
        sql: """
          SELECT number, owner, started_at, ended_at, ending, fault, detail FROM attempts WHERE job = ? ORDER BY number
          """, arguments: [row["id"] as Int64])
      return JobDetail(job: try SQLiteQueue.job(row), attempts: attempts.map(SQLiteQueue.attempt))
    }
  }

  package func names(from first: JobName, through last: JobName, limit: Int) throws -> [JobName] {
    try read { db in
      let sql = "SELECT name FROM jobs WHERE name BETWEEN ? AND ? ORDER BY name LIMIT ?"
      return try Row.fetchAll(db, sql: sql, arguments: [first.blob, last.blob, max(0, limit)]).map { row in
        try SQLiteQueue.digest(row["name"])
      }
    }
  }

  package func list(_ filter: JobFilter) throws -> [Job] {
    var conditions = ["jobs.id > ?"]
    var arguments: StatementArguments = [filter.after]
    if let queue = filter.queue {
      conditions.append("lanes.queue = ?")
      arguments += [queue.rawValue]
    }
    if let state = filter.state {
      conditions.append("jobs.state = ?")
      arguments += [state.rawValue]
    }
    if let run = filter.run {
      conditions.append("jobs.run = ?")
      arguments += [run.rawValue]
    }
    arguments += [max(0, filter.limit)]
    let sql = SQLiteQueue.jobSQL + " WHERE \(conditions.joined(separator: " AND ")) ORDER BY jobs.id LIMIT ?"
    return try read { db in try Row.fetchAll(db, sql: sql, arguments: arguments).map(SQLiteQueue.job) }
  }
}
