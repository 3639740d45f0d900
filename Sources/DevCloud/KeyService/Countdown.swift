import Synchronization

/// Runs a closure once, when as many parts have arrived as there are.
final class Countdown: Sendable {
  private struct State: Sendable {
    var missing: Int
    var port: Int?
  }

  private let state: Mutex<State>
  private let done: @Sendable (Int?) -> Void

  init(_ parts: Int, _ done: @escaping @Sendable (Int?) -> Void) {
    state = Mutex(State(missing: parts))
    self.done = done
  }

  /// One part is there; the port that any of them brings is handed on.
  func arrive(_ port: Int?) {
    let last = state.withLock { state -> (Bool, Int?) in
      state.missing -= 1
      state.port = state.port ?? port
      return (state.missing == 0, state.port)
    }
    if last.0 { done(last.1) }
  }
}
