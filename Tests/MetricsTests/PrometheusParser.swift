import Foundation
import TestSupport
import Testing

@testable import JobRunner

extension Need {
  /// A Python with prometheus_client.
  static let prometheus = Need("prometheus", remedy: "`make test-tools` makes the virtual environment") {
    Checkout.existing(".cache/venv-prometheus/bin/python")
  }
  /// Prometheus' own checker.
  static let promtool = Need("promtool", remedy: "`scripts/promtool.sh` unpacks Debian's package (20 MB)") {
    Checkout.existing(".cache/promtool/promtool")
  }
}

/// prometheus_client's parsers, as a process: what they refuse, they refuse with a reason.
struct PrometheusParser {
  struct Sample: Decodable {
    let name: String
    let labels: [String: String]
    /// As Python writes a float.
    let value: String
  }

  struct Family: Decodable {
    let name: String
    let type: String
    let help: String
    let unit: String
    let samples: [Sample]
  }

  let families: [Family]

  static func parse(_ text: String, _ format: ExpositionFormat) throws -> PrometheusParser {
    let python = try Need.prometheus.require()
    let script = Checkout.root.appending(path: "scripts/prometheus-parse.py").path
    let word = format == .openMetrics ? "openmetrics" : "text"
    let output = try Theatre.run(python, [script, word], input: text).succeed()
    return PrometheusParser(families: try JSONDecoder().decode([Family].self, from: Data(output.utf8)))
  }

  /// The value of the one sample with this name and these labels.
  func value(_ name: String, _ labels: [String: String]) -> Double? {
    let found = families.flatMap(\.samples).filter { $0.name == name && $0.labels == labels }
    guard found.count == 1, let text = found.first?.value else { return nil }
    return Double(text.replacingOccurrences(of: "inf", with: "infinity"))
  }
}

extension Theatre {
  private static let shared = Result { try Theatre() }

  /// Runs a program to its end, with a text on its standard input.
  static func run(_ program: URL, _ arguments: [String], input: String = "") throws -> Finished {
    let theatre = try shared.get()
    let name = "in-\(UInt64.random(in: 0 ... .max))"
    try theatre.write(name, input)
    return try theatre.run(program, arguments, input: theatre.path(name))
  }
}

extension Theatre.Finished {
  /// Standard output of a program that ended well.
  func succeed() throws -> String {
    guard status == 0 else { throw TheatreError("exit \(status)\n\(output.prefix(3000))\n\(errors.suffix(3000))") }
    return output
  }
}
