import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// Where the daemon reads the time. The store and the machines never read a clock: each call is handed its moment.
package protocol QueueClock: Sendable {
  /// The current moment.
  func now() -> Timestamp
}

/// The machine's real-time clock. It may be stepped; fencing, not the clock, is what keeps two attempts apart.
package struct SystemClock: QueueClock {
  package init() {}

  package func now() -> Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(milliseconds: Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000)
  }
}

/// A clock that moves only when it is told to, for tests and the simulator.
package final class ManualClock: QueueClock {
  private let moment: Mutex<Timestamp>

  package init(_ start: Timestamp) { moment = Mutex(start) }

  package func now() -> Timestamp { moment.withLock { $0 } }

  /// Moves the clock forward (or back, with a negative duration).
  package func advance(by duration: Duration) { moment.withLock { $0 = $0 + duration } }
}
