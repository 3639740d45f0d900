import Glibc
import Wire

/// Threads by the system's own call: the enclave has no Foundation.
enum Thread {
  /// Runs `body` on a thread of its own.
  ///
  /// - Returns: false where the system grants none: `body` is dropped, and with it what it holds.
  @discardableResult
  static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
    let work = Unmanaged.passRetained(Work(body))
    var thread = pthread_t()
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    let status = pthread_create(
      &thread, &attributes,
      { argument in
        if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
      }, work.toOpaque())
    if status != 0 { work.release() }
    return status == 0
  }

  private final class Work: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}

/// Lets this thread rest.
func pause(milliseconds: UInt32) { usleep(milliseconds * 1000) }

/// SIGTERM and SIGINT end the process: a job in progress has no receipt, and the host runs it again.
enum Termination {
  private static var signals: sigset_t {
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGTERM)
    sigaddset(&signals, SIGINT)
    return signals
  }

  /// Blocks both signals for this thread and all that it starts: called before any other thread exists.
  static func block() {
    var signals = signals
    pthread_sigmask(SIG_BLOCK, &signals, nil)
  }

  /// Waits for one of them on a thread of its own.
  static func exit(removing listener: Listener) {
    Thread.start {
      var signals = signals
      var number: Int32 = 0
      while sigwait(&signals, &number) != 0 {}
      listener.close()
      _exit(0)
    }
  }
}
