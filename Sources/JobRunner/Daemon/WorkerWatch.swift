/// Looks after the worker every few seconds, so that a new policy, fresh credentials and a due epoch reach it while a
/// long job keeps the executor busy.
final class WorkerWatch: Sendable {
  private let supervisor: WorkerSupervisor
  private let loop = StoppableLoop("worker watch", allowanceSeconds: 600)
  /// Whether it turns.
  var pulse: LoopPulse { loop.pulse }
  private static let intervalSeconds = 2.0
  private static let intervalAfterFailureSeconds = 10.0

  init(_ supervisor: WorkerSupervisor) { self.supervisor = supervisor }

  /// Starts looking, on a thread of its own.
  func start() { loop.start { [self] in run() } }

  /// No more looks; one that is under way is waited for so long at most.
  func stop(within seconds: Double) { loop.stop(within: seconds) }

  private func run() {
    var seconds = Self.intervalSeconds
    while loop.rest(atMost: seconds) {
      do {
        try supervisor.makeReady(maximumAge: .seconds(Self.intervalSeconds))
        seconds = Self.intervalSeconds
      } catch {
        // The executor waits for the worker too, and says why it is not ready.
        seconds = Self.intervalAfterFailureSeconds
      }
    }
  }
}
