import Glibc

/// SIGTERM, SIGINT and SIGHUP, taken by the main thread. Made before any other thread, so that all inherit the mask.
struct DaemonSignals {
  enum Event: Equatable {
    /// SIGTERM or SIGINT.
    case stop
    /// SIGHUP.
    case reload
    /// None came within the time.
    case none
  }

  private var set = sigset_t()

  init() {
    sigemptyset(&set)
    for number in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&set, number) }
    pthread_sigmask(SIG_BLOCK, &set, nil)
    signal(SIGPIPE, SIG_IGN)
  }

  /// Waits for a signal, so long at most.
  func next(within seconds: Double) -> Event {
    var set = self.set
    let whole = seconds.rounded(.down)
    var time = timespec(tv_sec: Int(whole), tv_nsec: Int((seconds - whole) * 1e9))
    switch sigtimedwait(&set, nil, &time) {
    case SIGTERM, SIGINT: return .stop
    case SIGHUP: return .reload
    default: return .none
    }
  }
}
