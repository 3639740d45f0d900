import Foundation
import Queue

/// Calls per second by the number of concurrent callers, with shared commits and with one commit a call.
struct CallerBench {
  let folder: URL
  let rounds: Int
  private static let callers = [1, 4, 16, 64]
  /// What is measured, in the order in which a job meets it.
  private static let calls: [(name: String, body: @Sendable (BenchQueue) throws -> Void)] = [
    ("enqueue", { try $0.enqueue() }), ("claim", { try $0.claim() }), ("finish", { try $0.finish() }),
  ]

  private struct Case: Hashable {
    let call: String
    let callers: Int
    let isAlone: Bool
  }

  func run() throws {
    let queue = try BenchQueue(folder: folder, name: "callers")
    defer { try? queue.store.close() }
    print("Calls per second on \(folder.deletingLastPathComponent().path): \(try queue.store.engine())")
    print("Medians of \(rounds) rounds. \"one commit a call\" is what a queue does without groups, on the same file.\n")
    var found: [Case: [Measured]] = [:]
    for _ in 0..<rounds {
      for callers in Self.callers {
        for isAlone in [false, true] {
          // Enough for some tens of commits.
          let count = isAlone ? 64 : max(64, callers * 32)
          for call in Self.calls {
            found[Case(call: call.name, callers: callers, isAlone: isAlone), default: []].append(
              try queue.measure(count, callers: callers, isAlone: isAlone, call.body))
          }
        }
      }
    }
    var table = TextTable(["callers", "commits"] + Self.calls.map { "\($0.name)/s" } + ["calls a commit"])
    for callers in Self.callers {
      for isAlone in [false, true] {
        let cases = Self.calls.map { found[Case(call: $0.name, callers: callers, isAlone: isAlone)] ?? [] }
        table.add(
          ["\(callers)", isAlone ? "one a call" : "shared"] + cases.map { grouped($0.map(\.perSecond).median) }
            + [String(format: "%.1f", 1 / max(cases.joined().map(\.commitsPerCall).median, 1e-9))])
      }
    }
    table.print()
  }
}
