import Logging
import ObjectStore

/// Brings renewed credentials to the worker also in the middle of a job, when nobody else looks: a job that loads a large
/// model asks KMS again after an hour, and the credentials that it began with may have ended by then.
final class CredentialKeeper: @unchecked Sendable {
  /// Renewals come five to ten minutes before the end, so a look each half minute is in time.
  private static let pauseSeconds = 30.0

  private let source: DefaultCredentials
  private let supervisor: WorkerSupervisor
  private let log: Logger
  private let loop = StoppableLoop("credentials", allowanceSeconds: 600)
  /// Whether it turns.
  var pulse: LoopPulse { loop.pulse }
  /// Used by the loop's thread alone.
  private var complaint = Complaint()

  init(source: DefaultCredentials, supervisor: WorkerSupervisor, log: Logger) {
    self.source = source
    self.supervisor = supervisor
    self.log = log
  }

  /// Starts the loop on a thread of its own.
  func start() {
    loop.start { [self] in
      while loop.rest(atMost: Self.pauseSeconds, ignoringWakes: true) { look() }
    }
  }

  func stop(within seconds: Double) { loop.stop(within: seconds) }

  private func look() {
    do {
      try supervisor.renewCredentials()
      guard let trouble = source.trouble else { return complaint.clear() }
      if complaint.isDue("\(trouble)") { log.warning("credentials are still good but cannot be renewed: \(trouble)") }
    } catch {
      if complaint.isDue("\(error)") { log.warning("the worker has no renewed credentials: \(error)") }
    }
  }
}
