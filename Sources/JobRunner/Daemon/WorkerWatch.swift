import Logging
import ObjectStore

/// Looks after the worker every few seconds, so that a new policy, renewed credentials and a due epoch reach it while a
/// long job keeps the executor busy: a job that loads a large model asks KMS again after an hour, and the credentials
/// that it began with may have ended by then.
final class WorkerWatch: @unchecked Sendable {
  private let supervisor: WorkerSupervisor
  private let health: WorkerHealth
  private let log: Logger
  private let loop: StoppableLoop
  /// Whether it turns.
  var pulse: LoopPulse { loop.pulse }
  /// Used by the loop's thread alone.
  private var complaint = Complaint()
  private static let intervalSeconds = 2.0
  private static let intervalAfterFailureSeconds = 10.0
  /// What one worker's look found in the store serves the others' too.
  static let storeAge = Duration.seconds(1)

  init(_ supervisor: WorkerSupervisor, health: WorkerHealth, log: Logger) {
    self.supervisor = supervisor
    self.health = health
    self.log = log
    loop = StoppableLoop("worker watch \(health.name)", allowanceSeconds: 600)
  }

  /// Starts looking, on a thread of its own.
  func start() { loop.start { [self] in run() } }

  /// No more looks; one that is under way is waited for so long at most.
  func stop(within seconds: Double) { loop.stop(within: seconds) }

  private func run() {
    var seconds = Self.intervalSeconds
    while loop.rest(atMost: seconds) {
      do {
        try supervisor.makeReady(maximumAge: .seconds(Self.intervalSeconds), storeAge: Self.storeAge)
        seconds = Self.intervalSeconds
        complaint.clear()
        health.supplied()
      } catch {
        // The executor waits for the worker too, and logs why it is not ready.
        health.notReady("\(error)")
        seconds = Self.intervalAfterFailureSeconds
        renewCredentials()
      }
    }
  }

  /// While the store or an epoch holds the look up, a job that runs still needs its credentials.
  private func renewCredentials() {
    do {
      try supervisor.renewCredentials()
      complaint.clear()
    } catch {
      if complaint.isDue("\(error)") { log.warning("the worker has no renewed credentials: \(error)") }
    }
  }
}
