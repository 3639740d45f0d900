/// Why an attempt ended without a commit. A receipt is never a fault: it ends the job, whatever its outcome.
package enum FaultClass: String, CaseIterable, Sendable {
  /// The worker answered with the outward code `retry`.
  case workerRetry = "worker_retry"
  /// The worker answered with `retry` and has never said that the bundle opened: no epoch that it holds fits.
  case bundleUnopened = "bundle_unopened"
  /// The connection to the worker broke, or it fell silent, during the job.
  case workerLost = "worker_lost"
  /// No connection to a worker came about; the job was not touched.
  case workerUnavailable = "worker_unavailable"
  /// The worker sent what the protocol does not allow here.
  case workerProtocol = "worker_protocol"
  /// The object store failed for a while.
  case storeUnavailable = "store_unavailable"
  /// The job's bundle is not in the object store.
  case bundleMissing = "bundle_missing"
  /// An attempt of this number stands in the store already: the database that counted it was lost.
  case attemptTaken = "attempt_taken"
  /// The attempt took longer than it may.
  case deadlineExceeded = "deadline_exceeded"
  /// No heartbeat came before the lease ended.
  case leaseExpired = "lease_expired"
  /// The daemon that ran the attempt died.
  case daemonLost = "daemon_lost"

  /// Whether the job itself may be to blame, so that too many of these make it dead. The others wait as long as the
  /// trouble lasts: an outage of store or worker, or a restart of the daemon (which only moves ciphertext and cannot
  /// be felled by a bundle's content), must not kill the jobs that wait for it.
  package var isStrike: Bool {
    switch self {
    case .workerLost, .workerProtocol, .bundleMissing, .deadlineExceeded, .leaseExpired: true
    case .workerRetry, .bundleUnopened, .workerUnavailable, .storeUnavailable, .daemonLost, .attemptTaken: false
    }
  }

  /// Whether it becomes a strike after ``RetryPolicy/patience`` faults. The worker says `retry` while KMS is down or an
  /// epoch is not loaded, which passes, but also for a bundle that no epoch will ever open.
  package var isStrikeInTheEnd: Bool { self == .workerRetry || self == .bundleUnopened }
}

/// A fault with the host's own words about it, for the operator. Words of a worker or of a bundle have no place here.
package struct Fault: Hashable, Sendable {
  /// What decides the retry.
  package let faultClass: FaultClass
  /// At most ``detailLimit`` characters, no secret, no payload.
  package let detail: String
  /// The longest detail that is kept.
  package static let detailLimit = 300

  package init(_ faultClass: FaultClass, detail: String = "") {
    self.faultClass = faultClass
    self.detail = String(detail.prefix(Fault.detailLimit))
  }
}
