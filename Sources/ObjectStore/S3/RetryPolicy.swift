import Glibc

/// How often and after what pause a request is repeated: exponential, capped, with full jitter, so that many clients of
/// a store in trouble do not come back at once.
package struct RetryPolicy: Sendable {
  /// Requests in all, the first included.
  package var attempts = 6
  package var baseMilliseconds = 100
  package var capMilliseconds = 5000
  /// Waits; a test's clock does not.
  package var pause: @Sendable (_ milliseconds: Int) -> Void = { usleep(useconds_t($0) * 1000) }

  package init() {}

  /// Waits before attempt number `attempt` + 1, counted from 1.
  func waitAfter(_ attempt: Int) {
    let doubled = baseMilliseconds << min(max(attempt - 1, 0), 16)
    pause(Int.random(in: 0...min(doubled, capMilliseconds)))
  }
}
