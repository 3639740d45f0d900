import Foundation

/// One of the daemon's loops on a thread of its own: it rests between rounds, may be woken, and is told to stop.
///
/// The round itself is the owner's. Telling it to stop interrupts no round: the loop sees it at its next
/// ``rest(atMost:ignoringWakes:)`` or ``isStopping``, and ``stop(within:)`` waits for that no longer than it is told,
/// so that a store that hangs cannot hold up the daemon's end.
final class StoppableLoop: @unchecked Sendable {
  private let condition = NSCondition()
  /// Guarded by `condition`, like the two below.
  private var isToldToStop = false
  /// Kept until a rest sees it, so that a wake during a round is not lost.
  private var isWoken = false
  private var isRunning = false
  /// Whether it turns, for `/healthz`.
  let pulse: LoopPulse

  /// - Parameters:
  ///   - name: in `/healthz` and in metrics.
  ///   - allowanceSeconds: see ``LoopPulse/init(_:allowanceSeconds:)``.
  init(_ name: String, allowanceSeconds: TimeInterval = 600) {
    pulse = LoopPulse(name, allowanceSeconds: allowanceSeconds)
  }

  /// Whether ``stop(within:)`` was called.
  var isStopping: Bool {
    condition.lock()
    defer { condition.unlock() }
    return isToldToStop
  }

  /// Runs `body` on a new thread; the loop has ended when it returns.
  func start(_ body: @escaping @Sendable () -> Void) {
    condition.lock()
    isRunning = true
    condition.unlock()
    pulse.work()
    Thread.detachNewThread { [self] in
      body()
      condition.lock()
      isRunning = false
      pulse.end(asTold: isToldToStop)
      condition.broadcast()
      condition.unlock()
    }
  }

  /// Ends the rest under way, or else the next one.
  func wake() {
    condition.lock()
    isWoken = true
    condition.broadcast()
    condition.unlock()
  }

  /// Waits for the time to pass, for a wake, or for the end.
  ///
  /// - Parameters:
  ///   - seconds: nil waits without a limit. (`Date.distantFuture` traps in NSCondition on Linux.)
  ///   - ignoringWakes: rest the whole time; a wake meanwhile is used up.
  /// - Returns: false when the loop is to end.
  func rest(atMost seconds: TimeInterval? = nil, ignoringWakes: Bool = false) -> Bool {
    let limit = seconds.map { Date(timeIntervalSinceNow: $0) }
    pulse.rest(atMost: seconds)
    defer { pulse.work() }
    condition.lock()
    defer { condition.unlock() }
    while !isToldToStop, ignoringWakes || !isWoken, wait(until: limit) {}
    isWoken = false
    return !isToldToStop
  }

  /// Tells the loop to end, and waits so long for it at most.
  func stop(within seconds: TimeInterval) {
    let limit = Date(timeIntervalSinceNow: seconds)
    condition.lock()
    defer { condition.unlock() }
    isToldToStop = true
    condition.broadcast()
    while isRunning, condition.wait(until: limit) {}
  }

  /// False when the time has come. The lock is held.
  private func wait(until limit: Date?) -> Bool {
    if let limit { return condition.wait(until: limit) }
    condition.wait()
    return true
  }
}
