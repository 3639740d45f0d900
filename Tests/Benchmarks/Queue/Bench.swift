import Foundation
import Queue
import Synchronization
import Wire

/// A queue in a file of its own, and the calls that are measured.
final class BenchQueue: Sendable {
  let store: SQLiteQueue
  private let counter = Mutex<UInt64>(0)
  private let leases = Mutex<[Lease]>([])
  /// For calls that may not share a commit: one at a time.
  private let turn = NSLock()
  static let now = Timestamp(milliseconds: 1_767_225_600_000)

  init(folder: URL, name: String) throws {
    store = try SQLiteQueue(path: folder.appending(path: "\(name).db").path)
  }

  /// One job into one of eight tenants' lanes.
  func enqueue() throws { _ = try store.enqueue([try next()], at: BenchQueue.now) }

  /// Takes a job and keeps its lease.
  func claim() throws {
    guard let lease = try store.claim(ClaimRequest(owner: "bench"), at: BenchQueue.now) else {
      throw QueueError.unavailable("the bench ran out of jobs")
    }
    leases.withLock { $0.append(lease) }
  }

  /// Renews the lease that was taken longest ago, which then counts as the newest.
  func heartbeat() throws {
    guard let lease = leases.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else { return }
    _ = try store.heartbeat(lease, leaseDuration: .seconds(30), at: BenchQueue.now)
    leases.withLock { $0.append(lease) }
  }

  /// Ends a job whose lease is kept.
  func finish() throws {
    guard let lease = leases.withLock({ $0.popLast() }) else { return }
    try store.finish(
      lease, with: JobCommit(attempt: lease.attempt, outcome: .completed, receipt: lease.job), at: BenchQueue.now)
  }

  /// Jobs until `waiting` wait, in large batches.
  func fill(to waiting: Int) throws {
    while true {
      let present = try store.stats().reduce(0) { $0 + Int($1.counts[.ready] ?? 0) }
      guard present < waiting else { return }
      let batch = try (0..<min(5_000, waiting - present)).map { _ in try next() }
      _ = try store.enqueue(batch, at: BenchQueue.now)
    }
  }

  private func next() throws -> NewJob {
    let number = counter.withLock { number in
      number += 1
      return number
    }
    guard let queue = QueueName("default") else { throw QueueError.unavailable("no queue") }
    return NewJob(
      try BenchQueue.name(number), queue: queue, tenant: "tenant-\(number % 8)", priority: Int64(number % 3),
      bundleBytes: 100_000)
  }

  /// Spread like digests are: neighbours in time are none in the index.
  private static func name(_ number: UInt64) throws -> JobName {
    let random = SeededRandom(seed: number)
    return try JobName((0..<4).flatMap { _ in withUnsafeBytes(of: random.next()) { Array($0) } })
  }

  /// Makes `calls` calls from `callers` threads at once.
  ///
  /// - Parameter isAlone: whether each call has a commit to itself.
  func measure(
    _ calls: Int, callers: Int, isAlone: Bool = false, _ body: @escaping @Sendable (BenchQueue) throws -> Void
  ) throws -> Measured {
    let remaining = Mutex(calls)
    let failure = Mutex<(any Error)?>(nil)
    let ended = DispatchGroup()
    let before = store.writes
    let begin = ContinuousClock.now
    for _ in 0..<callers {
      ended.enter()
      Thread.detachNewThread { [self] in
        defer { ended.leave() }
        while remaining.withLock({ left in
          left -= 1
          return left >= 0
        }) {
          do {
            if isAlone { try turn.withLock { try body(self) } } else { try body(self) }
          } catch {
            failure.withLock { $0 = error }
            return
          }
        }
      }
    }
    ended.wait()
    let elapsed = ContinuousClock.now - begin
    if let error = failure.withLock({ $0 }) { throw error }
    return Measured(calls: calls, elapsed: elapsed, commits: store.writes.transactions - before.transactions)
  }
}

/// What so many calls took.
struct Measured {
  let calls: Int
  let elapsed: Duration
  let commits: Int

  private var seconds: Double {
    Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
  }
  var perSecond: Double { Double(calls) / max(seconds, 1e-9) }
  var microseconds: Double { seconds * 1e6 / Double(calls) }
  var commitsPerCall: Double { Double(commits) / Double(calls) }
}

extension [Double] {
  /// Zero for none.
  var median: Double { isEmpty ? 0 : sorted()[count / 2] }
}

/// Rows with aligned columns.
struct TextTable {
  private var rows: [[String]]

  init(_ titles: [String]) { rows = [titles] }

  mutating func add(_ row: [String]) { rows.append(row) }

  func print() {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    for row in rows {
      let cells = zip(row, widths).map { String(repeating: " ", count: $1 - $0.count) + $0 }
      Swift.print("  " + cells.joined(separator: "  "))
    }
  }
}

/// With a comma before each three digits.
func grouped(_ number: Double) -> String {
  let digits = Array(String(Int(number.rounded())))
  return String(
    digits.enumerated().flatMap { index, digit in
      index > 0 && (digits.count - index) % 3 == 0 ? [",", digit] : [digit]
    })
}
