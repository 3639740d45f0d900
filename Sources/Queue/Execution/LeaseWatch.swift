// When an attempt's lease is renewed, and when the attempt must end because of time, without a thread or a clock: the
// daemon looks several times a second, a simulator whenever it likes.
//
// The lease is lost when the queue says so, or when it has run out and the queue cannot be asked: a machine that slept
// past the end still holds what nobody took back.

/// Looks after one attempt's lease.
package struct LeaseWatch: Sendable {
  private let lease: Lease
  private let leaseDuration: Duration
  private var renewAt: Timestamp
  private var until: Timestamp
  private var isCancelSeen: Bool
  /// Between two tries to renew while the queue cannot be reached.
  static let retryInterval = Duration.seconds(1)

  /// What is to be done at a look.
  package enum Step: Sendable {
    case rest
    /// ``QueueStore/heartbeat(_:leaseDuration:at:)``, then ``LeaseWatch/renewed(_:at:)`` or
    /// ``LeaseWatch/notRenewed(_:at:)``.
    case renew
    /// Post the event, interrupt the attempt, and look no more.
    case end(ExecutorEvent)
  }

  /// - Parameter now: when the lease was claimed, or later.
  package init(_ lease: Lease, leaseDuration: Duration, at now: Timestamp) {
    self.lease = lease
    self.leaseDuration = leaseDuration
    renewAt = now + leaseDuration / 3
    until = lease.leaseUntil
    isCancelSeen = lease.cancelRequested
  }

  /// - Parameter isStopping: the daemon is stopping and will not wait.
  package func look(at now: Timestamp, isStopping: Bool) -> Step {
    if isStopping { return .end(.shutdown) }
    if now >= lease.deadlineAt { return .end(.deadlinePassed) }
    return now < renewAt ? .rest : .renew
  }

  /// The lease was renewed, to a third of whose length it now rests.
  /// - Returns: whether ``ExecutorEvent/cancelRequested`` is to be posted, which happens once.
  package mutating func renewed(_ beat: Heartbeat, at now: Timestamp) -> Bool {
    until = beat.leaseUntil
    renewAt = now + leaseDuration / 3
    guard beat.cancelRequested, !isCancelSeen else { return false }
    isCancelSeen = true
    return true
  }

  /// The queue refused the lease or could not be asked. The disk may recover before the lease runs out; until then the
  /// attempt goes on.
  package mutating func notRenewed(_ error: any Error, at now: Timestamp) -> Step {
    if case QueueError.fenced = error { return .end(.leaseLost) }
    if now >= until { return .end(.leaseLost) }
    renewAt = now + LeaseWatch.retryInterval
    return .rest
  }
}
