import Wire

/// What intake hands to the queue for one bundle.
package struct NewJob: Hashable, Sendable {
  /// ContentDigest of the sealed bundle.
  package let name: JobName
  package let queue: QueueName
  /// Whose turn it takes in the queue (tenants take turns), by the folder that holds its bundle; nil for the queue's own
  /// folder.
  package let tenant: String?
  /// Higher is claimed first.
  package let priority: Int64
  /// Size of the sealed bundle in bytes.
  package let bundleBytes: Int64
  /// Whether it waits for a run of its schedule.
  package let isHeld: Bool

  package init(
    _ name: JobName, queue: QueueName, tenant: String? = nil, priority: Int64 = 0, bundleBytes: Int64 = 0,
    isHeld: Bool = false
  ) {
    self.name = name
    self.queue = queue
    self.tenant = tenant
    self.priority = priority
    self.bundleBytes = bundleBytes
    self.isHeld = isHeld
  }
}

/// A job as the queue knows it.
package struct Job: Hashable, Sendable {
  /// Position in the queue's own order; the cursor of ``QueueStore/list(_:)``.
  package let row: Int64
  package let name: JobName
  package let queue: QueueName
  package let tenant: String?
  package let priority: Int64
  package let bundleBytes: Int64
  package let state: JobState
  /// The schedule run that took it.
  package let run: RunID?
  /// Claims so far: the number of the last attempt. It only grows.
  package let attempt: Int64
  /// Faults since the job was enqueued or last brought back; they set the backoff.
  package let faults: Int64
  /// Those faults that may be the job's own doing; ``RetryPolicy/strikeLimit`` of them end it.
  package let strikes: Int64
  package let enqueuedAt: Timestamp
  /// When a waiting retry is due.
  package let nextAttemptAt: Timestamp?
  package let leaseUntil: Timestamp?
  package let deadlineAt: Timestamp?
  /// The last sign of life of its last attempt.
  package let heartbeatAt: Timestamp?
  /// Who runs it (the worker's endpoint, say).
  package let owner: String?
  package let cancelRequestedAt: Timestamp?
  package let lastFault: FaultClass?
  /// What ended it, when a commit exists.
  package let commit: JobCommit?
  package let finishedAt: Timestamp?
  /// When its bundle was taken out of the inbox.
  package let inboxClearedAt: Timestamp?

  /// The folder under `inbox/` that its bundle came to.
  package var inboxFolder: String { tenant.map { "\(queue)/\($0)" } ?? queue.rawValue }
}

/// One line of a job's history.
package struct Attempt: Hashable, Sendable {
  package let number: Int64
  package let owner: String
  package let startedAt: Timestamp
  package let endedAt: Timestamp?
  package let end: AttemptEnd?
  package let fault: Fault?
}

/// How an attempt ended.
package enum AttemptEnd: String, CaseIterable, Sendable {
  /// The job was finished under this attempt's lease.
  case finished
  /// A fault; the job waits for the next attempt.
  case faulted
  /// Given back, because the daemon was stopping.
  case released
  /// It found the job cancelled.
  case cancelled
  /// It found that the job had cost too many attempts.
  case gaveUp = "gave_up"
  /// A commit was found from outside while it ran.
  case superseded
}
