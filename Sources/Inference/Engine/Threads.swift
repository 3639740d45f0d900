import Glibc
import Synchronization

/// Runs a piece of work on several threads at once and waits for all of them.
enum Threads {
  /// Processors that this process may use.
  static var processors: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

  /// Calls `body` with 0..<count, each on a thread of its own, the last on the caller's. A thread that the system does
  /// not grant is done without: its share runs on the caller's.
  static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    var threads: [pthread_t] = []
    var left: [Int] = []
    for index in 0..<max(count, 1) {
      guard index < count - 1 else {
        left.append(index)
        continue
      }
      let work = Unmanaged.passRetained(Work { body(index) })
      var thread = pthread_t()
      let status = pthread_create(
        &thread, nil, { Unmanaged<Work>.fromOpaque($0!).takeRetainedValue().start() }, work.toOpaque())
      if status == 0 {
        threads.append(thread)
      } else {
        work.release()
        left.append(index)
      }
    }
    for index in left { body(index) }
    for thread in threads { pthread_join(thread, nil) }
  }

  private final class Work: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    func start() -> UnsafeMutableRawPointer? {
      body()
      return nil
    }
  }
}
