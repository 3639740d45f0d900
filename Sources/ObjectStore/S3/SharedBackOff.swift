import Synchronization

/// What one SlowDown tells all requests of a store: until the pause is over none of them is sent, so that parallel parts
/// do not knock on in turn while each waits for itself alone. It doubles while the server goes on saying so, and shrinks
/// with each answer that is none.
final class SharedBackOff: Sendable {
  static let baseMilliseconds = 100
  static let capMilliseconds = 20_000

  private struct State {
    var level = 0
    var until: ContinuousClock.Instant?
  }

  private let state = Mutex(State())
  private let now: @Sendable () -> ContinuousClock.Instant

  /// - Parameter now: the clock that pauses are measured by; a test moves its own.
  init(now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }) { self.now = now }

  /// Milliseconds that a request which is about to be sent must wait; with some jitter, so that they do not all go at
  /// the same instant.
  func pauseMilliseconds() -> Int {
    let left = state.withLock { state -> Int in
      guard let until = state.until else { return 0 }
      let left = Self.milliseconds(now().duration(to: until))
      if left <= 0 { state.until = nil }
      return left
    }
    return left > 0 ? left + Int.random(in: 0...max(left / 4, 1)) : 0
  }

  /// - Parameter retryAfterSeconds: the server's own word, if it gave one.
  func slowedDown(retryAfterSeconds: Int?) {
    state.withLock { state in
      let own = Self.baseMilliseconds << state.level
      let asked = min(max(retryAfterSeconds ?? 0, 0), Self.capMilliseconds / 1000) * 1000
      let until = now() + .milliseconds(min(max(own, asked), Self.capMilliseconds))
      state.until = state.until.map { max($0, until) } ?? until
      state.level = min(state.level + 1, 8)
    }
  }

  func answered() { state.withLock { $0.level = max($0.level - 1, 0) } }

  private static func milliseconds(_ duration: Duration) -> Int {
    let (seconds, attoseconds) = duration.components
    return Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000)
  }
}
