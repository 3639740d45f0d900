import Glibc
import Synchronization
import Testing

@testable import Inference

/// Work is shared, and what is taken is done, whatever the threads do.
@Suite("A pool of threads")
struct ThreadPoolTests {
  private final class Counts: Sendable {
    let values: [Count]
    init(_ count: Int) { values = (0..<count).map { _ in Count() } }
    var all: [Int] { values.map { $0.value.load(ordering: .relaxed) } }
  }

  private final class Count: Sendable {
    let value = Atomic<Int>(0)
    func add() { value.add(1, ordering: .relaxed) }
  }

  private struct Broken: Error, Equatable { let item: Int }

  @Test("every item is computed once, run after run, by any number of threads", arguments: [1, 2, 3, 8])
  func items(threads: Int) {
    let pool = ThreadPool(threads: threads)
    for items in [0, 1, 2, 3, 7, 8, 9, 100, 1000] {
      for _ in 0..<20 {
        let counts = Counts(items)
        pool.run(items) { item, thread in
          #expect((0..<threads).contains(thread))
          counts.values[item].add()
        }
        #expect(counts.all == Array(repeating: 1, count: items))
      }
    }
  }

  @Test("no two threads have the same number at once")
  func numbers() {
    let pool = ThreadPool(threads: 4)
    let busy = Counts(4)
    pool.run(2000) { _, thread in
      #expect(busy.values[thread].value.add(1, ordering: .relaxed).oldValue == 0)
      busy.values[thread].value.subtract(1, ordering: .relaxed)
    }
  }

  @Test("what an item throws ends the run, and the pool works on", arguments: [1, 3])
  func errors(threads: Int) {
    let pool = ThreadPool(threads: threads)
    for round in 0..<200 {
      let begun = Count()
      #expect(throws: Broken(item: round % 5)) {
        try pool.run(1000) { item, _ in
          begun.add()
          if item == round % 5 { throw Broken(item: item) }
        }
      }
      #expect(threads > 1 || begun.value.load(ordering: .relaxed) == round % 5 + 1)
    }
    // All of them fail: one error comes out, and everybody is through.
    #expect(throws: Broken.self) { try pool.run(100) { item, _ in throw Broken(item: item) } }
    let counts = Counts(50)
    pool.run(50) { item, _ in counts.values[item].add() }
    #expect(counts.all == Array(repeating: 1, count: 50))
  }

  @Test("a run within a run, and runs from several threads at once, compute everything")
  func nested() async {
    let pool = ThreadPool(threads: 2)
    let counts = Counts(40)
    pool.run(4) { outer, _ in
      pool.run(10) { inner, _ in counts.values[outer * 10 + inner].add() }
    }
    #expect(counts.all == Array(repeating: 1, count: 40))
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<4 {
        group.addTask {
          (0..<200).allSatisfy { _ in
            let counts = Counts(16)
            pool.run(16) { item, _ in counts.values[item].add() }
            return counts.all == Array(repeating: 1, count: 16)
          }
        }
      }
      for await isWhole in group { #expect(isWhole) }
    }
  }

  @Test("threads sleep when there is nothing to do, wake up for the next run, and end with their pool")
  func sleep() throws {
    var pool: ThreadPool? = ThreadPool(threads: 3)
    let helpers = Self.meet(try #require(pool), 3)
    #expect(helpers.count == 2)
    for _ in 0..<5 {
      #expect(helpers.allSatisfy { helper in Self.comes { Self.state(of: helper) == "S" } })
      #expect(pool.map { Self.meet($0, 3) }?.sorted() == helpers.sorted())
    }
    pool = nil
    #expect(helpers.allSatisfy { helper in Self.comes { Self.state(of: helper) == nil } })
  }

  @Test("a child of fork computes with threads of its own")
  func fork() throws {
    let pool = ThreadPool(threads: 3)
    func sum() -> Int {
      let total = Count()
      pool.run(100) { item, _ in total.value.add(item, ordering: .relaxed) }
      return total.value.load(ordering: .relaxed)
    }
    #expect(sum() == 4950)
    // Swift hides it, since most of a program does not survive it.
    typealias Fork = @convention(c) () -> pid_t
    let fork = unsafeBitCast(try #require(dlsym(nil, "fork")), to: Fork.self)
    let child = fork()
    if child == 0 {
      alarm(60)
      _exit(sum() == 4950 && sum() == 4950 ? 7 : 8)
    }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    #expect(status == 7 << 8)
    #expect(sum() == 4950)
  }

  /// Lets every thread of a pool take one item, each of which ends when all have begun: the helpers, by their folders.
  private static func meet(_ pool: ThreadPool, _ threads: Int) -> [String] {
    let (arrived, helpers) = (Count(), Helpers())
    pool.run(threads) { _, thread in
      if thread > 0 { helpers.names.withLock { $0.append(own()) } }
      arrived.add()
      while arrived.value.load(ordering: .relaxed) < threads { sched_yield() }
    }
    return helpers.names.withLock { $0 }
  }

  private final class Helpers: Sendable { let names = Mutex<[String]>([]) }

  /// The calling thread's folder: `1234/task/1235`.
  private static func own() -> String {
    var bytes = [CChar](repeating: 0, count: 64)
    let count = readlink("/proc/thread-self", &bytes, bytes.count)
    return String(decoding: bytes.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// `S` for one that sleeps, `R` for one that runs, nil for one that has ended.
  private static func state(of thread: String) -> Character? {
    guard let file = fopen("/proc/\(thread)/stat", "r") else { return nil }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 512)
    let count = fread(&bytes, 1, bytes.count, file)
    // The name before it is in parentheses.
    return String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: ")").last?.dropFirst().first
  }

  /// Whether something comes to be, however busy the machine is.
  private static func comes(_ condition: () -> Bool) -> Bool {
    for _ in 0..<30_000 {
      if condition() { return true }
      usleep(1000)
    }
    return false
  }
}
