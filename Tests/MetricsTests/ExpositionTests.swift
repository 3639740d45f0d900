import Foundation
import TestSupport
import Testing

@testable import JobRunner

/// The text that Prometheus reads. Whether it is right is for others to say: Prometheus' own Python parser, and promtool.
@Suite("Metrics as text")
struct ExpositionTests {
  /// Families of every kind, with values and label values of every kind.
  private static func families() -> [any MetricFamily] {
    let plain = CounterFamily(MetricDescription("t_events", "Events.\nOf \\ kinds \"quoted\"."))
    plain.increment(by: 3)
    let labelled = CounterFamily(MetricDescription("t_moved_bytes", "Bytes.", unit: "bytes", labels: ["name", "way"]))
    for (index, name) in hostileNames.enumerated() { labelled.increment([name, "in"], by: Double(index) + 0.5) }
    let gauge = GaugeFamily(MetricDescription("t_level", "A level.", labels: ["value"]))
    for value in [0, -1.5, 1e-9, 1e18, .infinity, -.infinity, 123_456_789_012] { gauge.set(value, ["\(value)"]) }
    gauge.set(.nan, ["nan"])
    let histogram = HistogramFamily(
      MetricDescription("t_wait_seconds", "Waits.", unit: "seconds", labels: ["name"]), bounds: [0.1, 1, 10])
    for value in [0.05, 0.1, 0.5, 5, 50] { histogram.observe(value, [hostileNames[0]]) }
    let empty = GaugeFamily(MetricDescription("t_unknown", "Nothing is known of it."))
    return [plain, labelled, gauge, histogram, empty]
  }

  static let hostileNames = [
    "a\"b", "back\\slash", "line\nfeed", "tab\there", "nul\u{0}", "escape\u{1b}[31m", "}", "{", "=", ",", "#", " ", "",
    "\\", "\\n", "\"", "ünïcode…", "👩‍🔬", "# EOF", "\u{2028}", "\r\n",
  ]

  @Test("A family's text, letter for letter, in both formats")
  func letters() {
    let histogram = HistogramFamily(
      MetricDescription("wait_seconds", "Waits.", unit: "seconds", labels: ["q"]), bounds: [0.5, 2])
    histogram.observe(0.25, ["a"])
    histogram.observe(7, ["a"])
    let counter = CounterFamily(MetricDescription("sent_bytes", "Sent.", unit: "bytes"))
    let samples = """
      wait_seconds_bucket{q="a",le="0.5"} 1
      wait_seconds_bucket{q="a",le="2.0"} 1
      wait_seconds_bucket{q="a",le="+Inf"} 2
      wait_seconds_sum{q="a"} 7.25
      wait_seconds_count{q="a"} 2

      """
    let families = [histogram.snapshot(), counter.snapshot()]
    #expect(
      Exposition.text(families, as: .text)
        == "# HELP wait_seconds Waits.\n# TYPE wait_seconds histogram\n" + samples
        + "# HELP sent_bytes_total Sent.\n# TYPE sent_bytes_total counter\nsent_bytes_total 0\n")
    #expect(
      Exposition.text(families, as: .openMetrics)
        == "# HELP wait_seconds Waits.\n# TYPE wait_seconds histogram\n# UNIT wait_seconds seconds\n" + samples
        + "# HELP sent_bytes Sent.\n# TYPE sent_bytes counter\n# UNIT sent_bytes bytes\nsent_bytes_total 0\n# EOF\n")
  }

  @Test(
    "OpenMetrics is given to who asks for it, the text format to everybody else",
    arguments: [
      (nil, false), ("", false), ("*/*", false), ("text/html", false), ("text/plain", false),
      ("application/openmetrics-text", true), ("application/openmetrics-text;version=1.0.0;q=0", false),
      ("application/openmetrics-text; version=1.0.0; charset=utf-8;q=0.5,text/plain;version=0.0.4;q=0.8", false),
      // What Prometheus 2.42 sends.
      (
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
          + "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", true
      ),
      ("APPLICATION/OpenMetrics-Text ; q=1", true), (String(repeating: ",", count: 5000), false),
      ("application/openmetrics-text;q=nan", false), (";;;===,,q=1", false),
    ] as [(String?, Bool)])
  func negotiation(_ accept: String?, _ isOpenMetrics: Bool) {
    let format = ExpositionFormat(accept: accept)
    #expect((format == .openMetrics) == isOpenMetrics)
  }

  @Test(
    "Prometheus' own parser reads every value and every hostile label back",
    .enabled(if: Need.prometheus.isMet, Comment(rawValue: Need.prometheus.comment)),
    arguments: [ExpositionFormat.text, .openMetrics])
  func parser(_ format: ExpositionFormat) throws {
    let families = Self.families()
    let parsed = try PrometheusParser.parse(Exposition.text(families.map { $0.snapshot() }, as: format), format)
    #expect(parsed.families.count == 4)
    #expect(parsed.value("t_events_total", [:]) == 3)
    for (index, name) in Self.hostileNames.enumerated() {
      let shown = String(
        String.UnicodeScalarView(
          name.unicodeScalars.map { $0 != "\n" && $0.properties.generalCategory == .control ? "\u{FFFD}" : $0 }))
      #expect(parsed.value("t_moved_bytes_total", ["name": shown, "way": "in"]) == Double(index) + 0.5)
    }
    for value in [0, -1.5, 1e-9, 1e18, .infinity, -.infinity, 123_456_789_012] {
      #expect(parsed.value("t_level", ["value": "\(value)"]) == value)
    }
    #expect(parsed.value("t_level", ["value": "nan"])?.isNaN == true)
    let name = Self.hostileNames[0]
    #expect(parsed.value("t_wait_seconds_bucket", ["name": name, "le": "0.1"]) == 2)
    #expect(parsed.value("t_wait_seconds_bucket", ["name": name, "le": "+Inf"]) == 5)
    #expect(parsed.value("t_wait_seconds_sum", ["name": name]) == 55.65)
  }

  @Test("However many label values come, a family stays bounded, and nothing is lost from its sum")
  func cardinality() {
    let counter = CounterFamily(MetricDescription("t", "T.", labels: ["name"], seriesLimit: 10))
    for index in 0..<100_000 { counter.increment(["name \(index)"]) }
    let series = counter.snapshot().series
    #expect(series.count == 11)
    #expect(series.first { $0.labels == ["other"] }?.value == .number(99_990))
    // Known ones go on under their names.
    counter.increment(["name 3"])
    #expect(counter.snapshot().series.first { $0.labels == ["name 3"] }?.value == .number(2))
    let gauge = GaugeFamily(MetricDescription("g", "G.", labels: ["name"], seriesLimit: 10))
    gauge.replaceAll((0..<1000).map { (["\($0)"], 1) })
    #expect(gauge.snapshot().series.count == 10)
    let long = CounterFamily(MetricDescription("l", "L.", labels: ["name"]))
    long.increment([String(repeating: "x", count: 100_000)])
    #expect(long.snapshot().series[0].labels[0].count == MetricDescription.valueLimit)
    // A wrong number of labels is no way around it.
    long.increment(["a", "b", "c"])
    long.increment([])
    #expect(long.snapshot().series.allSatisfy { $0.labels.count == 1 })
  }

  @Test("A counter takes nothing that would make it fall or useless")
  func counters() {
    let counter = CounterFamily(MetricDescription("t", "T."))
    for bad in [-1, -Double.infinity, Double.infinity, Double.nan] { counter.increment(by: bad) }
    counter.increment(by: 2)
    #expect(counter.snapshot().series[0].value == .number(2))
    let histogram = HistogramFamily(MetricDescription("h", "H."), bounds: [1])
    histogram.observe(.nan)
    histogram.observe(.infinity)
    #expect(histogram.snapshot().series[0].value == .histogram(bounds: [1], counts: [0], count: 0, sum: 0))
  }

  @Test("Threads that count at once lose nothing")
  func threads() async {
    let counter = CounterFamily(MetricDescription("t", "T.", labels: ["n"], seriesLimit: 4))
    await withTaskGroup(of: Void.self) { group in
      for task in 0..<8 {
        group.addTask { for index in 0..<5000 { counter.increment(["\((task + index) % 7)"]) } }
      }
    }
    let sum = counter.snapshot().series.reduce(0.0) { sum, one in
      if case .number(let value) = one.value { sum + value } else { sum }
    }
    #expect(sum == 40_000)
  }
}
