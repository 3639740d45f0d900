/// The two text forms in which Prometheus reads metrics.
enum ExpositionFormat: Sendable {
  /// Prometheus' text format 0.0.4.
  case text
  /// OpenMetrics 1.0.
  case openMetrics

  var contentType: String {
    switch self {
    case .text: "text/plain; version=0.0.4; charset=utf-8"
    case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
    }
  }

  /// What an Accept header asks for: OpenMetrics where it is named with a weight that is no lower than the text format's.
  ///
  /// - Parameter accept: nil, or a header of any content; only its first few ranges are read.
  init(accept: String?) {
    var weights: [String: Double] = [:]
    for range in (accept ?? "").split(separator: ",").prefix(16) {
      let parts = range.split(separator: ";").map { $0.trimmedWord.lowercased() }
      guard let type = parts.first else { continue }
      let weight = parts.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
      weights[type] = max(weights[type] ?? 0, weight)
    }
    let wanted = weights["application/openmetrics-text"] ?? 0
    self = wanted > 0 && wanted >= weights["text/plain"] ?? 0 ? .openMetrics : .text
  }
}

extension Substring {
  /// Without the blanks and tabs around it.
  fileprivate var trimmedWord: Substring {
    var rest = self
    while let first = rest.first, first == " " || first == "\t" { rest.removeFirst() }
    while let last = rest.last, last == " " || last == "\t" { rest.removeLast() }
    return rest
  }
}

/// Families as text.
enum Exposition {
  /// Writes all families that have a series.
  static func text(_ families: [MetricSnapshot], as format: ExpositionFormat) -> String {
    var text = ""
    for family in families where !family.series.isEmpty { write(family, as: format, to: &text) }
    if format == .openMetrics { text += "# EOF\n" }
    return text
  }

  private static func write(_ family: MetricSnapshot, as format: ExpositionFormat, to text: inout String) {
    let description = family.description
    let sample = family.kind == .counter ? description.name + "_total" : description.name
    // The older format knows a counter by its sample's name, OpenMetrics by the name without `_total`.
    let head = format == .text ? sample : description.name
    text += "# HELP \(head) \(escaped(description.help, quotes: format == .openMetrics))\n"
    text += "# TYPE \(head) \(family.kind.rawValue)\n"
    if format == .openMetrics, let unit = description.unit { text += "# UNIT \(head) \(unit)\n" }
    for one in family.series {
      let labels = zip(description.labels, one.labels).map { "\($0)=\"\(escaped($1, quotes: true))\"" }
      switch one.value {
      case .number(let value): text += "\(sample)\(braces(labels)) \(number(value))\n"
      case .histogram(let bounds, let counts, let count, let sum):
        for (bound, below) in zip(bounds, counts) {
          text += "\(sample)_bucket\(braces(labels + ["le=\"\(bound)\""])) \(below)\n"
        }
        text += "\(sample)_bucket\(braces(labels + ["le=\"+Inf\""])) \(count)\n"
        text += "\(sample)_sum\(braces(labels)) \(number(sum))\n"
        text += "\(sample)_count\(braces(labels)) \(count)\n"
      }
    }
  }

  private static func braces(_ labels: [String]) -> String {
    labels.isEmpty ? "" : "{" + labels.joined(separator: ",") + "}"
  }

  private static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    guard value.rounded() == value, abs(value) < 1e15 else { return "\(value)" }
    return "\(Int64(value))"
  }

  /// Backslash, line feed and (in label values) quote are escaped; other control characters have no place in a metric.
  private static func escaped(_ text: String, quotes: Bool) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\"" where quotes: result += "\\\""
      case _ where scalar.properties.generalCategory == .control: result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
