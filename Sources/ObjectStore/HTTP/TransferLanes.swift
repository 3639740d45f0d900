import Dispatch
import Glibc
import Synchronization

/// A bounded number of threads for transfers beside their caller's own, shared by all readers and writers of a store.
///
/// Nobody waits for a lane: whoever finds none free does the transfer himself. So what is held in memory is bounded (by
/// the lanes and one part of each open reader and writer), and no two of them can wait for each other.
final class TransferLanes: Sendable {
  private let free: Mutex<Int>

  init(count: Int) { free = Mutex(count) }

  /// Starts `body` on a lane.
  ///
  /// - Returns: nil when none is free, and nothing was started.
  func start<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) -> Transfer<Value>? {
    let isFree = free.withLock { free in
      guard free > 0 else { return false }
      free -= 1
      return true
    }
    guard isFree else { return nil }
    let transfer = Transfer<Value>()
    let hasStarted = Self.startThread { [self] in
      let result = Result { try body() }
      // Before whoever waits goes on: he finds the lane free.
      free.withLock { $0 += 1 }
      transfer.finish(result)
    }
    if hasStarted { return transfer }
    free.withLock { $0 += 1 }
    return nil
  }

  private final class Work: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  private static func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
    var thread = pthread_t()
    let work = Unmanaged.passRetained(Work(body))
    let code = pthread_create(
      &thread, nil,
      { context in
        if let context { Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body() }
        return nil
      }, work.toOpaque())
    guard code == 0 else {
      work.release()
      return false
    }
    pthread_detach(thread)
    return true
  }
}

/// A transfer under way on a lane.
final class Transfer<Value: Sendable>: Sendable {
  private let outcome = Mutex<Result<Value, any Error>?>(nil)
  private let ended = DispatchSemaphore(value: 0)

  /// What came of it; nil while it runs.
  var result: Result<Value, any Error>? { outcome.withLock { $0 } }

  /// Waits for its end.
  func wait() -> Result<Value, any Error> {
    while true {
      if let result { return result }
      ended.wait()
      // For whoever else waits.
      ended.signal()
    }
  }

  fileprivate func finish(_ result: Result<Value, any Error>) {
    outcome.withLock { $0 = result }
    ended.signal()
  }
}
