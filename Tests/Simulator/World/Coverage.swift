/// How often each thing befell, so that a reader sees what was really tried.
package struct Coverage: Hashable, Sendable {
  package private(set) var counts: [String: Int] = [:]

  package init() {}

  package mutating func count(_ what: String) { counts[what, default: 0] += 1 }

  package mutating func merge(_ other: Coverage) { counts.merge(other.counts, uniquingKeysWith: +) }

  /// Kills by edge and moment; zero for what never befell.
  package var kills: [(edge: Edge, moment: KillMoment, count: Int)] {
    Edge.allCases.flatMap { edge in
      edge.moments.map { (edge, $0, counts[Coverage.kill(edge, $0)] ?? 0) }
    }
  }

  static func kill(_ edge: Edge, _ moment: KillMoment) -> String { "kill \(edge.rawValue) \(moment.rawValue)" }

  /// Everything else, by name.
  package var others: [(what: String, count: Int)] {
    counts.filter { !$0.key.hasPrefix("kill ") }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }
}
