import GRDB
import Wire

/// What a row must still say for a lease to be its lease.
struct Fence {
  let job: JobName
  let attempt: Int64
  let token: LeaseToken

  init(job: JobName, attempt: Int64, token: LeaseToken) {
    self.job = job
    self.attempt = attempt
    self.token = token
  }

  init(_ lease: Lease) { self.init(job: lease.job, attempt: lease.attempt, token: lease.token) }

  /// For `name = ? AND state = 'running' AND attempt = ? AND lease_token = ?`.
  var arguments: StatementArguments { [job.blob, attempt, Int64(bitPattern: token.rawValue)] }
}

extension SQLiteQueue {
  /// The one way out of `running` for an executor: the row must still be under the fence, it loses its lease in the
  /// same step, and the attempt's line of the history is closed.
  /// - Throws: ``QueueError/fenced(_:attempt:)`` unless exactly one row changed.
  func endAttempt(
    _ fence: Fence, _ end: AttemptEnd, fault: Fault? = nil, at now: Timestamp, in db: Database,
    assigning assignments: String, _ values: StatementArguments
  ) throws {
    let statement = try db.cachedStatement(
      sql: """
        UPDATE jobs SET \(assignments), lease_token = NULL, lease_until = NULL, deadline_at = NULL, owner = NULL
        WHERE name = ? AND state = 'running' AND attempt = ? AND lease_token = ? RETURNING id
        """)
    guard let job = try Int64.fetchOne(statement, arguments: values + fence.arguments) else {
      throw QueueError.fenced(fence.job, attempt: fence.attempt)
    }
    try closeHistory(ofJob: job, attempt: fence.attempt, end, fault: fault, at: now, in: db)
  }

  /// Begins an attempt's line of the history. Of a long history the middle is dropped, a line for a line: a job that
  /// waits out an outage of weeks meets thousands of faults.
  func openHistory(ofJob job: Int64, attempt: Int64, owner: String, at now: Timestamp, in db: Database) throws {
    try db.cachedStatement(sql: "INSERT INTO attempts (job, number, owner, started_at) VALUES (?, ?, ?, ?)")
      .execute(arguments: [job, attempt, owner, now.milliseconds])
    let oldest = attempt - QueueLimits.newestAttempts
    guard oldest > QueueLimits.oldestAttempts else { return }
    try db.cachedStatement(sql: "DELETE FROM attempts WHERE job = ? AND number = ?").execute(arguments: [job, oldest])
  }

  /// Writes how an attempt ended.
  func closeHistory(
    ofJob job: Int64, attempt: Int64, _ end: AttemptEnd, fault: Fault? = nil, at now: Timestamp, in db: Database
  ) throws {
    try db.cachedStatement(
      sql: "UPDATE attempts SET ended_at = ?, ending = ?, fault = ?, detail = ? WHERE job = ? AND number = ?"
    ).execute(arguments: [
      now.milliseconds, end.rawValue, fault?.faultClass.rawValue, fault?.detail, job, attempt,
    ])
  }
}
