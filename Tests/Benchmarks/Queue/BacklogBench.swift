import Foundation
import Queue
import Synchronization

/// What a call costs with more and more jobs waiting: flat, or the queue is not to be trusted with a backlog.
struct BacklogBench {
  let folder: URL
  let rounds: Int
  let largest: Int
  private static let callers = 64
  private static let jobs = 1_024
  private static let runs = 10_000

  func run() throws {
    let sizes = [10, 100, 1_000, 10_000, 100_000, 1_000_000].filter { $0 <= largest }
    let schedule = "nightly"
    var queues: [BenchQueue] = []
    defer { for queue in queues { try? queue.store.close() } }
    for size in sizes {
      let queue = try BenchQueue(folder: folder, name: "waiting-\(size)")
      queues.append(queue)
      try queue.fill(to: size)
      // As many nights behind it as there are jobs, up to twenty-seven years.
      let nights = Atomic<Int64>(0)
      _ = try queue.measure(min(size, Self.runs), callers: Self.callers) { queue in
        let night = nights.add(1, ordering: .relaxed).newValue * 86_400
        try queue.store.skipRun(
          schedule: schedule, nominalAt: BenchQueue.now + .seconds(night), reason: .overlap, at: BenchQueue.now)
      }
    }
    let writes: [(name: String, body: @Sendable (BenchQueue) throws -> Void)] = [
      ("enqueue", { try $0.enqueue() }), ("claim", { try $0.claim() }), ("heartbeat", { try $0.heartbeat() }),
      ("finish", { try $0.finish() }),
    ]
    let reads: [(name: String, body: @Sendable (BenchQueue) throws -> Void)] = [
      ("stats", { _ = try $0.store.stats() }),
      ("standing", { _ = try $0.store.standing(of: schedule, at: BenchQueue.now) }),
    ]
    var found: [String: [[Measured]]] = [:]
    for _ in 0..<rounds {
      for (index, queue) in queues.enumerated() {
        for (name, body) in writes {
          found[name, default: Array(repeating: [], count: sizes.count)][index].append(
            try queue.measure(Self.jobs, callers: Self.callers, body))
        }
        for (name, body) in reads {
          found[name, default: Array(repeating: [], count: sizes.count)][index].append(
            try queue.measure(50, callers: 1, body))
        }
      }
    }
    print("\nMicroseconds a call with so many jobs waiting (\(Self.callers) callers; stats and standing: one caller)\n")
    var table = TextTable(["waiting"] + (writes + reads).map(\.name) + ["commits a job"])
    for (index, size) in sizes.enumerated() {
      let cells = (writes + reads).map { grouped((found[$0.name]?[index] ?? []).map(\.microseconds).median) }
      let commits = writes.map { (found[$0.name]?[index] ?? []).map(\.commitsPerCall).median }.reduce(0, +)
      table.add([grouped(Double(size))] + cells + [String(format: "%.3f", commits)])
    }
    table.print()
  }
}
