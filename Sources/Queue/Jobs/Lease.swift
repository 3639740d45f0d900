import Wire

/// Drawn at each claim; with the attempt's number it fences a job against executors that outlived their lease.
package struct LeaseToken: Hashable, Sendable {
  package let rawValue: UInt64

  package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// One executor's right to run a job for a while. Every later call of that executor carries it, and is refused with
/// ``QueueError/fenced(_:attempt:)`` once the job has moved on.
package struct Lease: Hashable, Sendable {
  package let job: JobName
  package let queue: QueueName
  package let attempt: Int64
  package let token: LeaseToken
  /// Size of the sealed bundle in bytes.
  package let bundleBytes: Int64
  package let claimedAt: Timestamp
  /// The lease ends here unless a heartbeat moves it on.
  package let leaseUntil: Timestamp
  /// The attempt ends here, heartbeats or not.
  package let deadlineAt: Timestamp
  /// A cancel was asked before the claim: look for a commit, and cancel when there is none.
  package let cancelRequested: Bool
  /// The job has cost too many attempts: look for a commit, and give up when there is none.
  package let isExhausted: Bool
  /// Whose folder under the queue's holds the bundle; nil for the queue's own.
  package var tenant: String? = nil

  /// The folder under `inbox/` that holds the bundle.
  package var inboxFolder: String { tenant.map { "\(queue)/\($0)" } ?? queue.rawValue }
}

/// What an executor asks for.
package struct ClaimRequest: Sendable {
  /// Only from these queues; nil means all.
  package let queues: [QueueName]?
  /// For the operator's eyes: who runs it.
  package let owner: String
  /// A worker is taken for dead when no heartbeat came for so long.
  package let leaseDuration: Duration
  /// The longest that one attempt may take.
  package let attemptTimeout: Duration
  /// Jobs that are left to others: this worker holds no key that opens them. A few dozen at most.
  package private(set) var leaving: [JobName] = []

  /// The same without these jobs.
  package func leaving(_ jobs: [JobName]) -> ClaimRequest {
    var copy = self
    copy.leaving = jobs
    return copy
  }

  package init(
    queues: [QueueName]? = nil, owner: String, leaseDuration: Duration = .seconds(30),
    attemptTimeout: Duration = .seconds(6 * 3600)
  ) {
    self.queues = queues
    self.owner = owner
    self.leaseDuration = leaseDuration
    self.attemptTimeout = attemptTimeout
  }
}

/// The answer to a heartbeat.
package struct Heartbeat: Hashable, Sendable {
  package let leaseUntil: Timestamp
  /// The submitter or an operator asks to stop.
  package let cancelRequested: Bool
}
