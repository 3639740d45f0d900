import Synchronization

/// Whether one of the daemon's loops still turns: written by the loop, read by ``HealthReport``.
///
/// A loop rests or works. A rest has an end, and work has a bound that its owner states; a loop that is over either by its
/// allowance hangs, and so does one that ended without being told to.
final class LoopPulse: Sendable {
  /// Where a loop is.
  private enum Phase: Equatable {
    case notStarted
    /// At work since the state's moment.
    case working
    /// Nil: until it is woken.
    case resting(until: SuspendingClock.Instant?)
    /// It was told to end, and did.
    case ended
    /// It ended by itself.
    case broken
  }

  private struct State {
    var phase = Phase.notStarted
    var since = SuspendingClock.now
  }

  /// The loop's name in `/healthz` and in metrics.
  let name: String
  /// How long it may work without a sign of life, and how late it may wake.
  let allowance: Duration
  private let state = Mutex(State())

  /// - Parameter allowanceSeconds: more than the longest time that one honest round may take without ``touch()``.
  init(_ name: String, allowanceSeconds: Double) {
    self.name = name
    allowance = .seconds(allowanceSeconds)
  }

  /// The loop begins, or goes on after a rest.
  func work() { move(to: .working) }

  /// The loop rests so long at most; nil is until it is woken.
  func rest(atMost seconds: Double?) {
    move(to: .resting(until: seconds.map { SuspendingClock.now + .seconds(max(0, $0)) }))
  }

  /// A sign of life from within a long round.
  func touch() { state.withLock { $0.since = SuspendingClock.now } }

  /// The loop ended.
  func end(asTold: Bool) { move(to: asTold ? .ended : .broken) }

  /// Nil when the loop turns (or has not begun, or was ended); else what is wrong, for an operator.
  ///
  /// - Parameter now: a clock that stands still while the machine sleeps, so that no loop is blamed for that.
  func fault(at now: SuspendingClock.Instant = .now) -> String? {
    let (phase, since) = state.withLock { ($0.phase, $0.since) }
    switch phase {
    case .notStarted, .ended, .resting(nil): return nil
    case .broken: return "\(name): its loop has ended by itself"
    case .working:
      guard now - since > allowance else { return nil }
      return "\(name): at work on one round without a sign of life for \((now - since).components.seconds) s"
    case .resting(let until?):
      guard now - until > allowance else { return nil }
      return "\(name): did not wake, \((now - until).components.seconds) s after its time"
    }
  }

  /// One word for a person: `resting`, `working`, `ended`, `not started`.
  var word: String {
    switch state.withLock({ $0.phase }) {
    case .notStarted: "not started"
    case .working: "working"
    case .resting: "resting"
    case .ended: "ended"
    case .broken: "broken"
    }
  }

  private func move(to phase: Phase) { state.withLock { $0 = State(phase: phase) } }
}
