import GRDB
import Wire

extension SQLiteQueue {
  package func claim(_ request: ClaimRequest, at now: Timestamp) throws -> Lease? {
    try write { db -> Lease? in
      let deadline = now + request.attemptTimeout
      let leaseUntil = min(now + request.leaseDuration, deadline)
      let token = LeaseToken(rawValue: random.next())
      let statement = try db.cachedStatement(
        sql: SQLiteQueue.claimSQL(queueCount: request.queues?.count, leavingCount: request.leaving.count))
      var arguments: StatementArguments = [
        Int64(bitPattern: token.rawValue), leaseUntil.milliseconds, deadline.milliseconds, now.milliseconds,
        request.owner,
      ]
      arguments += StatementArguments(request.leaving.map(\.blob))
      arguments += StatementArguments((request.queues ?? []).map(\.rawValue))
      var claimed: Row?
      var areMoreDue = true
      while claimed == nil, areMoreDue {
        areMoreDue = try wakeRetries(at: now, in: db)
        claimed = try Row.fetchOne(statement, arguments: arguments)
      }
      guard let row = claimed else { return nil }
      let job: Int64 = row["id"]
      let lane: Int64 = row["lane"]
      let attempt: Int64 = row["attempt"]
      try openHistory(ofJob: job, attempt: attempt, owner: request.owner, at: now, in: db)
      let turn = try db.cachedStatement(
        sql: """
          UPDATE lanes SET last_turn = (SELECT MAX(last_turn) + 1 FROM lanes) WHERE id = ? RETURNING queue, tenant
          """)
      guard let taken = try Row.fetchOne(turn, arguments: [lane]), let queue = QueueName(taken["queue"] as String)
      else { throw QueueError.corrupt("lane \(lane): no queue") }
      return Lease(
        job: try SQLiteQueue.digest(row["name"]), queue: queue, attempt: attempt, token: token,
        bundleBytes: row["bundle_bytes"], claimedAt: now, leaseUntil: leaseUntil, deadlineAt: deadline,
        cancelRequested: (row["cancel_requested_at"] as Int64?) != nil,
        isExhausted: row["strikes"] >= retryPolicy.strikeLimit,
        tenant: SQLiteQueue.tenant(row["tenant"] ?? taken["tenant"]))
    }
  }

  /// For each lane that has something ready and may run, its best job by one index step; then the best of those. So a
  /// claim costs the same with ten jobs waiting as with a million, and grows with the lanes that have work.
  ///
  /// - Parameter leavingCount: names of jobs that are passed over; a few dozen at most.
  static func claimSQL(queueCount: Int?, leavingCount: Int = 0) -> String {
    let places = queueCount.map { Array(repeating: "?", count: $0).joined(separator: ", ") }
    let left = Array(repeating: "?", count: leavingCount).joined(separator: ", ")
    let leaving = leavingCount > 0 ? "AND name NOT IN (\(left))" : ""
    return """
      UPDATE jobs SET state = 'running', attempt = attempt + 1, lease_token = ?, lease_until = ?, deadline_at = ?,
        heartbeat_at = ?, owner = ?
      WHERE id = (
        SELECT job.id FROM job_counts
        JOIN lanes ON lanes.id = job_counts.lane
        JOIN queues ON queues.name = lanes.queue AND queues.paused_at IS NULL
        JOIN jobs job ON job.id = (
          SELECT id FROM jobs INDEXED BY jobs_ready WHERE state = 'ready' AND lane = lanes.id \(leaving) ORDER BY priority DESC, ready_at, id LIMIT 1)
        WHERE job_counts.state = 'ready' AND job_counts.jobs > 0
          \(places.map { "AND lanes.queue IN (\($0))" } ?? "")
        ORDER BY job.priority DESC, lanes.last_turn, job.ready_at, job.id LIMIT 1)
      RETURNING id, name, lane, tenant, attempt, bundle_bytes, strikes, cancel_requested_at
      """
  }

  /// Moves retries that are due to ready, the longest due first: no more at once than a claim can carry, since after an
  /// outage a whole queue may be due.
  /// - Returns: whether others may be due.
  private func wakeRetries(at now: Timestamp, in db: Database) throws -> Bool {
    let statement = try db.cachedStatement(
      sql: """
        UPDATE jobs SET state = 'ready', ready_at = next_attempt_at, next_attempt_at = NULL
        WHERE id IN (
          SELECT id FROM jobs INDEXED BY jobs_retry WHERE state = 'retry_wait' AND next_attempt_at <= ? ORDER BY next_attempt_at LIMIT ?)
        """)
    try statement.execute(arguments: [now.milliseconds, QueueLimits.retriesPerClaim])
    return db.changesCount == QueueLimits.retriesPerClaim
  }

  package func heartbeat(_ lease: Lease, leaseDuration: Duration, at now: Timestamp) throws -> Heartbeat {
    try write { db in
      let statement = try db.cachedStatement(
        sql: """
          UPDATE jobs SET lease_until = MIN(?, deadline_at), heartbeat_at = ?
          WHERE name = ? AND state = 'running' AND attempt = ? AND lease_token = ?
          RETURNING lease_until, cancel_requested_at
          """)
      let row = try Row.fetchOne(
        statement,
        arguments: [(now + leaseDuration).milliseconds, now.milliseconds] + Fence(lease).arguments)
      guard let row else { throw QueueError.fenced(lease.job, attempt: lease.attempt) }
      return Heartbeat(
        leaseUntil: Timestamp(milliseconds: row["lease_until"]),
        cancelRequested: (row["cancel_requested_at"] as Int64?) != nil)
    }
  }

  package func finish(_ lease: Lease, with commit: JobCommit, at now: Timestamp) throws {
    try write { db in
      try endAttempt(
        Fence(lease), .finished, at: now, in: db,
        assigning: """
          state = 'finished', commit_attempt = ?, outcome = ?, receipt = ?, finished_at = ?
          """,
        [commit.attempt, commit.outcome.rawValue, commit.receipt.blob, now.milliseconds])
    }
  }

  package func fail(_ lease: Lease, with fault: Fault, at now: Timestamp) throws -> Timestamp {
    try write { db in try fail(Fence(lease), with: fault, at: now, in: db) }
  }

  /// An exhausted job does not wait: its next attempt only looks for a commit.
  private func fail(_ fence: Fence, with fault: Fault, at now: Timestamp, in db: Database) throws -> Timestamp {
    let counts = try Row.fetchOne(
      db, sql: "SELECT faults, strikes, cancel_requested_at FROM jobs WHERE name = ?", arguments: [fence.job.blob])
    let faults = (counts?["faults"] ?? 0) + Int64(1)
    let isStrike = retryPolicy.isStrike(fault.faultClass, afterFaults: faults)
    let strikes = (counts?["strikes"] ?? 0) + Int64(isStrike ? 1 : 0)
    let isCancelled = (counts?["cancel_requested_at"] as Int64?) != nil
    let isUrgent = isCancelled || isStrike && strikes >= retryPolicy.strikeLimit
    let due = isUrgent ? now : now + retryPolicy.wait(afterFaults: faults, random: random)
    try endAttempt(
      fence, .faulted, fault: fault, at: now, in: db,
      assigning: "state = 'retry_wait', next_attempt_at = ?, faults = ?, strikes = ?, last_fault = ?",
      [due.milliseconds, faults, strikes, fault.faultClass.rawValue])
    return due
  }

  package func release(_ lease: Lease, at now: Timestamp) throws {
    try write { db in try endAttempt(Fence(lease), .released, at: now, in: db, assigning: "state = 'ready'", []) }
  }

  package func giveUp(_ lease: Lease, at now: Timestamp) throws {
    try write { db in
      try endAttempt(
        Fence(lease), .gaveUp, at: now, in: db, assigning: "state = 'dead', finished_at = ?", [now.milliseconds])
      let strikes = try Int64.fetchOne(
        db, sql: "SELECT strikes FROM jobs WHERE name = ?", arguments: [lease.job.blob])
      guard let strikes, strikes >= retryPolicy.strikeLimit else { throw QueueError.notExhausted(lease.job) }
    }
  }

  package func cancel(_ lease: Lease, at now: Timestamp) throws {
    try write { db in
      try endAttempt(
        Fence(lease), .cancelled, at: now, in: db,
        assigning: "state = 'cancelled', cancel_requested_at = COALESCE(cancel_requested_at, ?), finished_at = ?",
        [now.milliseconds, now.milliseconds])
    }
  }

  package func reap(_ scope: ReapScope, at now: Timestamp) throws -> [ReapedLease] {
    let isStart = if case .all = scope { true } else { false }
    return try write { db in
      try endStrayWaits(at: now, in: db)
      let rows = try Row.fetchAll(
        db,
        sql: """
          SELECT name, attempt, lease_token, deadline_at FROM jobs INDEXED BY jobs_leased
          WHERE state = 'running' \(isStart ? "" : "AND lease_until <= ?") ORDER BY id
          """, arguments: isStart ? [] : [now.milliseconds])
      return try rows.map { row in
        let fence = Fence(
          job: try SQLiteQueue.digest(row["name"]), attempt: row["attempt"],
          token: LeaseToken(rawValue: UInt64(bitPattern: row["lease_token"])))
        let isOverdue = now.milliseconds >= row["deadline_at"]
        let fault: FaultClass = isStart ? .daemonLost : isOverdue ? .deadlineExceeded : .leaseExpired
        _ = try fail(fence, with: Fault(fault), at: now, in: db)
        return ReapedLease(job: fence.job, attempt: fence.attempt, fault: fault)
      }
    }
  }

  /// A wait that ends later than the longest one would from now on was begun by a clock that was set back since: it ends
  /// now, else the job would wait for the wrong clock's time to come.
  private func endStrayWaits(at now: Timestamp, in db: Database) throws {
    let statement = try db.cachedStatement(
      sql: """
        UPDATE jobs SET next_attempt_at = ?
        WHERE id IN (
          SELECT id FROM jobs INDEXED BY jobs_retry WHERE state = 'retry_wait' AND next_attempt_at > ? LIMIT ?)
        """)
    // Two threads' readings of one clock may be a little apart.
    let latest = now + retryPolicy.cap + .seconds(60)
    try statement.execute(arguments: [now.milliseconds, latest.milliseconds, QueueLimits.retriesPerClaim])
  }
}
