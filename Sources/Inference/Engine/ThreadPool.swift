import CBlas
import Glibc
import Synchronization

/// Threads that outlive a call, for work of many short steps: between two steps they spin for a moment, so that a step is
/// handed over in less than a microsecond, and then sleep. They start with the first run, and end with the pool.
///
/// Nobody waits for a thread to turn up. A run is a list of items, each taken once by whoever comes first, and the caller
/// takes part: it waits only for items that another thread has begun. So a run ends on a busy machine, on one that grants
/// no threads, and in a child of `fork`, which has none of its parent's.
///
/// One run goes on at a time. Who calls `run` during another, from another thread or from within an item, computes all
/// items itself.
final class ThreadPool: Sendable {
  /// Threads that take items, the caller's included.
  let threads: Int
  private let isRunning = Atomic<Bool>(false)
  /// Nil until the first run. Only who has set `isRunning` touches it.
  private let crew = UncheckedBox<Crew?>(nil)

  /// Processors that this process may use.
  static var processors: Int { Int(cb_processors()) }

  init(threads: Int) { self.threads = max(1, threads) }

  deinit { crew.value?.end() }

  /// Calls `body` with each of 0..<items, and the number of the thread that calls it (0..<threads, of which two at once
  /// are never the same); returns when all are done. After an item has thrown, no other is begun, and the first of their
  /// errors is thrown when those under way are done.
  func run<Failure: Error>(
    _ items: Int, _ body: @escaping @Sendable (_ item: Int, _ thread: Int) throws(Failure) -> Void
  ) throws(Failure) {
    guard items > 1, threads > 1, items <= Int(UInt32.max),
      isRunning.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
    else {
      for item in 0..<max(items, 0) { try body(item, 0) }
      return
    }
    defer { isRunning.store(false, ordering: .releasing) }
    let failure = FirstFailure<Failure>()
    currentCrew().run(items) { item, thread in
      guard !failure.isSet.load(ordering: .relaxed) else { return }
      do throws(Failure) { try body(item, thread) } catch { failure.set(error) }
    }
    if let error = failure.error.withLock({ $0 }) { throw error }
  }

  /// The threads, which start here; others, when this process is a child of the one that started them.
  private func currentCrew() -> Crew {
    if let crew = crew.value, crew.isOurs { return crew }
    let crew = Crew(helpers: threads - 1)
    self.crew.value = crew
    return crew
  }
}

private final class FirstFailure<Failure: Error>: Sendable {
  let isSet = Atomic<Bool>(false)
  let error = Mutex<Failure?>(nil)

  func set(_ error: Failure) {
    self.error.withLock { $0 = $0 ?? error }
    isSet.store(true, ordering: .relaxed)
  }
}

private final class UncheckedBox<Value>: @unchecked Sendable {
  var value: Value
  init(_ value: Value) { self.value = value }
}

/// The helping threads of a pool, and what they share with the caller.
///
/// Each thread has a list of items of its own, and takes from another's when it has none left. A line of memory goes from
/// one processor to another in a quarter of a microsecond: so lists lie in lines of their own, and a helper says once
/// that it is through.
private final class Crew: @unchecked Sendable {
  /// Of each thread, the caller first, the items that are left: from the upper half up to the lower half. Whoever changes
  /// it has the item, and while that is not done the run goes on: so `body`, set before, may be read after, and not
  /// otherwise.
  private let lists: PaddedAtomics
  /// Items that helpers are through with; the caller counts its own.
  private let done = PaddedAtomics(count: 1)
  private var body: (@Sendable (Int, Int) -> Void)?
  /// Helpers that sleep, or are about to. Raised under the lock; a store of work and a look at it here, and the reverse
  /// there, are sequentially consistent: one of both sees the other.
  private let sleepers = Atomic<Int>(0)
  private let callerSleeps = Atomic<Bool>(false)
  private let isEnding = Atomic<Bool>(false)
  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let workCame = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let workEnded = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var threads: [pthread_t] = []
  private let generation = Forks.count
  /// How long a thread spins before it sleeps: longer than most steps, and nothing where another needs the processor.
  private let spinNanoseconds: UInt64 = ThreadPool.processors > 1 ? 50_000 : 0

  /// Whether the threads are this process's own.
  var isOurs: Bool { generation == Forks.count }

  init(helpers: Int) {
    lists = PaddedAtomics(count: helpers + 1)
    pthread_mutex_init(lock, nil)
    pthread_cond_init(workCame, nil)
    pthread_cond_init(workEnded, nil)
    // No signal is a helper's to handle: they inherit this mask.
    var (all, before) = (sigset_t(), sigset_t())
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    for number in 1...helpers {
      let helper = Unmanaged.passRetained(Helper(crew: self, number: number))
      var thread = pthread_t()
      let status = pthread_create(
        &thread, nil, { Unmanaged<Helper>.fromOpaque($0!).takeRetainedValue().start() }, helper.toOpaque())
      guard status == 0 else {  // the others take its items
        helper.release()
        break
      }
      threads.append(thread)
    }
  }

  deinit {
    pthread_cond_destroy(workEnded)
    pthread_cond_destroy(workCame)
    pthread_mutex_destroy(lock)
    for condition in [workCame, workEnded] { condition.deallocate() }
    lock.deallocate()
  }

  /// Ends the threads, and waits for them. A child of `fork` has nothing to end.
  func end() {
    guard isOurs else { return }
    isEnding.store(true, ordering: .sequentiallyConsistent)
    pthread_mutex_lock(lock)
    pthread_cond_broadcast(workCame)
    pthread_mutex_unlock(lock)
    for thread in threads { pthread_join(thread, nil) }
  }

  func run(_ items: Int, _ body: @escaping @Sendable (Int, Int) -> Void) {
    self.body = body
    done[0].store(0, ordering: .relaxed)
    let threads = lists.count
    for thread in (0..<threads).reversed() {
      let (first, end) = (thread * items / threads, (thread + 1) * items / threads)
      lists[thread].store(UInt64(first) << 32 | UInt64(end), ordering: .sequentiallyConsistent)
    }
    if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
      pthread_mutex_lock(lock)
      sleepers.store(0, ordering: .relaxed)
      pthread_cond_broadcast(workCame)
      pthread_mutex_unlock(lock)
    }
    waitForHelpers(UInt64(items - takeAll(as: 0)))
    self.body = nil
  }

  /// Computes items until none is left, and returns how many.
  private func takeAll(as thread: Int) -> Int {
    var count = 0
    for other in 0..<lists.count {
      let list = (thread + other) % lists.count
      while let item = take(from: list) {
        body?(item, thread)
        count += 1
      }
    }
    return count
  }

  private func take(from list: Int) -> Int? {
    var seen = lists[list].load(ordering: .relaxed)
    while seen >> 32 < seen & 0xffff_ffff {
      let (won, now) = lists[list].weakCompareExchange(
        expected: seen, desired: seen + 1 << 32, successOrdering: .acquiring, failureOrdering: .relaxed)
      if won { return Int(seen >> 32) }
      seen = now
    }
    return nil
  }

  private func hasWork(_ list: Int) -> Bool {
    let seen = lists[list].load(ordering: .sequentiallyConsistent)
    return seen >> 32 < seen & 0xffff_ffff
  }

  private func waitForHelpers(_ items: UInt64) {
    if spin({ done[0].load(ordering: .acquiring) == items }) { return }
    pthread_mutex_lock(lock)
    callerSleeps.store(true, ordering: .sequentiallyConsistent)
    while done[0].load(ordering: .sequentiallyConsistent) != items { pthread_cond_wait(workEnded, lock) }
    callerSleeps.store(false, ordering: .relaxed)
    pthread_mutex_unlock(lock)
  }

  /// A helper's life.
  fileprivate func help(as number: Int) {
    while true {
      let count = takeAll(as: number)
      if count > 0 {
        done[0].add(UInt64(count), ordering: .sequentiallyConsistent)
        if callerSleeps.load(ordering: .sequentiallyConsistent) {
          pthread_mutex_lock(lock)
          pthread_cond_signal(workEnded)
          pthread_mutex_unlock(lock)
        }
      }
      if isEnding.load(ordering: .acquiring) { return }
      if spin({ hasWork(number) }) { continue }
      pthread_mutex_lock(lock)
      sleepers.add(1, ordering: .sequentiallyConsistent)
      if (0..<lists.count).contains(where: hasWork) || isEnding.load(ordering: .sequentiallyConsistent) {
        sleepers.subtract(1, ordering: .relaxed)
      } else {
        pthread_cond_wait(workCame, lock)
      }
      pthread_mutex_unlock(lock)
    }
  }

  /// Whether `condition` came true within the time for spinning.
  private func spin(_ condition: () -> Bool) -> Bool {
    let start = Self.nanoseconds()
    repeat {
      for _ in 0..<64 {
        if condition() { return true }
        cb_pause()
      }
    } while Self.nanoseconds() &- start < spinNanoseconds
    return false
  }

  private static func nanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(truncatingIfNeeded: now.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: now.tv_nsec)
  }
}

/// Numbers that threads share, each in lines of memory of its own: processors fetch lines in pairs.
private final class PaddedAtomics: @unchecked Sendable {
  let count: Int
  private static let stride = 16
  private let memory: UnsafeMutablePointer<Atomic<UInt64>>

  init(count: Int) {
    self.count = count
    let bytes = count * Self.stride * MemoryLayout<Atomic<UInt64>>.stride
    let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 128)
    memory = raw.bindMemory(to: Atomic<UInt64>.self, capacity: count * Self.stride)
    for i in 0..<count { (memory + i * Self.stride).initialize(to: Atomic(0)) }
  }

  deinit { memory.deallocate() }

  subscript(_ i: Int) -> Atomic<UInt64> {
    _read { yield memory[i * Self.stride] }
  }
}

private final class Helper: Sendable {
  private let crew: Crew
  private let number: Int

  init(crew: Crew, number: Int) { (self.crew, self.number) = (crew, number) }

  func start() -> UnsafeMutableRawPointer? {
    crew.help(as: number)
    return nil
  }
}

/// How many forks lie between this process and the first that asked.
private enum Forks {
  private static let counter = Atomic<Int>(0)
  private static let isRegistered: Bool = pthread_atfork(nil, nil, { counter.add(1, ordering: .relaxed) }) == 0

  static var count: Int {
    _ = isRegistered
    return counter.load(ordering: .relaxed)
  }
}
