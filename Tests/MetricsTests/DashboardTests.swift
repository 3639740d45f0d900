import Foundation
import TestSupport
import Testing

@testable import JobRunner

/// `infra/grafana/ephemeral.json`, held to what Grafana's dashboard model and Prometheus ask for.
@Suite("The Grafana dashboard")
struct DashboardTests {
  private struct Dashboard: Decodable {
    struct Source: Decodable, Equatable {
      let type: String
      let uid: String
    }
    struct Grid: Decodable {
      let x: Int
      let y: Int
      let w: Int
      let h: Int

      func overlaps(_ other: Grid) -> Bool {
        x < other.x + other.w && other.x < x + w && y < other.y + other.h && other.y < y + h
      }
    }
    struct Target: Decodable {
      let refId: String
      let expr: String
      let datasource: Source?
    }
    struct Panel: Decodable {
      let id: Int
      let type: String
      let title: String
      let gridPos: Grid
      let datasource: Source?
      let targets: [Target]?
    }
    struct Variable: Decodable {
      let name: String
      let type: String
      let definition: String?
    }
    struct Templating: Decodable { let list: [Variable] }

    let id: Int?
    let uid: String
    let title: String
    let schemaVersion: Int
    let refresh: String
    let templating: Templating
    let panels: [Panel]

    var expressions: [String] { panels.flatMap { $0.targets ?? [] }.map(\.expr) }

    static func read() throws -> Dashboard {
      let data = try Data(contentsOf: Checkout.root.appending(path: "infra/grafana/ephemeral.json"))
      return try JSONDecoder().decode(Dashboard.self, from: data)
    }
  }

  @Test("It is a model that Grafana imports: a data source variable, unique ids, panels side by side on the grid")
  func model() throws {
    let dashboard = try Dashboard.read()
    #expect(dashboard.id == nil && dashboard.uid == "ephemeralml" && dashboard.schemaVersion >= 36)
    #expect(!dashboard.title.isEmpty && dashboard.refresh.hasSuffix("s"))
    #expect(dashboard.templating.list.contains { $0.type == "datasource" && $0.name == "datasource" })
    let panels = dashboard.panels
    #expect(panels.count >= 16 && Set(panels.map(\.id)).count == panels.count)
    for (index, panel) in panels.enumerated() {
      let grid = panel.gridPos
      #expect(grid.x >= 0 && grid.y >= 0 && grid.w > 0 && grid.h > 0 && grid.x + grid.w <= 24, "\(panel.title)")
      for other in panels[..<index] {
        #expect(!grid.overlaps(other.gridPos), "\(panel.title) lies over \(other.title)")
      }
      guard panel.type != "row" else { continue }
      #expect(["stat", "table", "timeseries"].contains(panel.type), "\(panel.title)")
      #expect(panel.datasource == Dashboard.Source(type: "prometheus", uid: "${datasource}"), "\(panel.title)")
      let targets = try #require(panel.targets)
      #expect(!targets.isEmpty && Set(targets.map(\.refId)).count == targets.count, "\(panel.title)")
      #expect(targets.allSatisfy { $0.datasource == nil || $0.datasource == panel.datasource }, "\(panel.title)")
    }
  }

  @Test(
    "Every variable that an expression uses is there, and every label is one of its metric, with values it can have")
  func labels() throws {
    let dashboard = try Dashboard.read()
    let variables = Set(dashboard.templating.list.map(\.name) + ["__rate_interval"])
    let families = DaemonMetricsTests.filled().families.map { $0.snapshot() }
    func family(_ series: Substring) -> MetricSnapshot? {
      families.first { family in
        let name = family.description.name
        switch family.kind {
        case .counter: return series == name + "_total"
        case .gauge: return series == name
        case .histogram: return ["_bucket", "_sum", "_count"].contains { series == name + $0 }
        }
      }
    }
    let definitions = dashboard.templating.list.compactMap(\.definition)
    for text in dashboard.expressions + definitions {
      for use in text.matches(of: /\$\{?([a-z_]+)/) { #expect(variables.contains(String(use.1)), "\(text)") }
    }
    for definition in definitions {
      let parts = try #require(definition.wholeMatch(of: /label_values\(([a-z_]+), ([a-z]+)\)/), "\(definition)")
      let found = try #require(family(parts.1), "\(definition)")
      #expect(parts.2 == "instance" || found.description.labels.contains(String(parts.2)), "\(definition)")
    }
    for expression in dashboard.expressions {
      let selectors = expression.matches(of: /((?:ephemeral|process)_[a-z_]+)(?:\{([^}]*)\})?/)
      #expect(!selectors.isEmpty, "\(expression)")
      var known: Set<String> = ["instance", "le"]
      for selector in selectors {
        let found = try #require(family(selector.1), "\(selector.1)")
        known.formUnion(found.description.labels)
        for matcher in (selector.2 ?? "").matches(of: /([a-z_]+)(=~|!~|!=|=)"([^"]*)"/) {
          let label = String(matcher.1)
          #expect(label == "instance" || found.description.labels.contains(label), "\(expression)")
          guard let index = found.description.labels.firstIndex(of: label), !matcher.3.hasPrefix("$") else { continue }
          // Of series that are there from the start, so that the list is closed.
          let values = Set(found.series.map { $0.labels[index] })
          guard found.series.count > 1 else { continue }
          for value in matcher.3.split(separator: "|") {
            #expect(values.contains(String(value)), "\(expression): no \(label) is called \(value)")
          }
        }
      }
      for grouping in expression.matches(of: /by \(([a-z, ]+)\)/) {
        for label in grouping.1.split(whereSeparator: { $0 == "," || $0 == " " }) {
          #expect(known.contains(String(label)), "\(expression): no metric of it has \(label)")
        }
      }
    }
  }

  @Test(
    "promtool takes every expression",
    .enabled(if: Need.promtool.isMet, Comment(rawValue: Need.promtool.comment)))
  func expressions() throws {
    let rules = try Dashboard.read().expressions.enumerated().map { index, expression -> String in
      let plain = expression.replacing("$__rate_interval", with: "5m").replacing("$instance", with: ".*")
        .replacing("$queue", with: ".*")
      let quoted = String(decoding: try JSONEncoder().encode(plain), as: UTF8.self)
      return "      - record: panel:\(index)\n        expr: \(quoted)\n"
    }
    let folder = FileManager.default.temporaryDirectory.appending(path: "dashboard-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "rules.yaml")
    try Data(("groups:\n  - name: dashboard\n    rules:\n" + rules.joined()).utf8).write(to: file)
    _ = try Theatre.run(try Need.promtool.require(), ["check", "rules", file.path]).succeed()
  }
}
