import Foundation
import Simulator

/// What a reader of a run sees.
struct Report {
  let seeds: UInt64
  /// From so many seeds on, an edge at which nothing was ever killed is a failure of the simulation.
  private static let enough: UInt64 = 5_000

  static func show(_ outcome: SimulationOutcome) {
    print("seed \(outcome.seed) FAILED")
    for breach in outcome.breaches { print("  \(breach)") }
    print("  again: make simulate FROM=\(outcome.seed) SEEDS=1 TRACE=1")
  }

  /// Prints the account.
  /// - Parameter seconds: nil in a trace, which is the same in every run.
  /// - Returns: whether every seed kept every promise, and every edge was struck.
  func end(_ coverage: Coverage, failures: [SimulationOutcome], seconds: Double?) -> Bool {
    print("\nkills, by what was under way\(column("before"))\(column("within"))\(column("after"))")
    for edge in Edge.allCases {
      let counts = Dictionary(
        uniqueKeysWithValues: coverage.kills.filter { $0.edge == edge }.map { ($0.moment, $0.count) })
      let cells = KillMoment.allCases.map { column(counts[$0].map(String.init) ?? "-") }.joined()
      print("  \(edge.rawValue.padding(toLength: 26, withPad: " ", startingAt: 0))\(cells)")
    }
    print("\nwhat befell")
    for (what, count) in coverage.others {
      print("  \(what.padding(toLength: 58, withPad: " ", startingAt: 0))\(column("\(count)"))")
    }
    let missed = coverage.kills.filter { $0.count == 0 }.map { "\($0.edge.rawValue) \($0.moment.rawValue)" }
    if !missed.isEmpty { print("\nnever killed: \(missed.joined(separator: ", "))") }
    if let seconds {
      let rate = String(format: "%.0f", Double(seeds) / max(seconds, 0.001))
      print("\n\(seeds) seeds in \(String(format: "%.1f", seconds)) s, \(rate) a second; \(failures.count) failed")
    } else {
      print("\n\(seeds) seeds; \(failures.count) failed")
    }
    for failure in failures.sorted(by: { $0.seed < $1.seed }).prefix(5) { Report.show(failure) }
    return failures.isEmpty && (missed.isEmpty || seeds < Report.enough)
  }

  private func column(_ text: String) -> String { String(repeating: " ", count: max(1, 12 - text.count)) + text }
}
