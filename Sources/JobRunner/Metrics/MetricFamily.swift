import Synchronization

// Metrics are written by the daemon's threads and read by a scrape. Every series of a family lives in one dictionary
// under one lock, which is held for a few additions; nothing is allocated for a series that is already there.
//
// Label values come partly from outside (names of schedules, a store's codes), so a family holds at most
// ``MetricDescription/seriesLimit`` series: what comes later is counted under the label value `other`. No name of a job,
// a tenant or a document is ever a label.

/// What a metric is, apart from its values.
struct MetricDescription: Sendable {
  /// Without the `_total` of a counter; ends in the unit where there is one.
  let name: String
  /// One sentence for the reader of a dashboard.
  let help: String
  /// OpenMetrics' unit (`seconds`, `bytes`), also the name's ending.
  let unit: String?
  /// Names of its labels.
  let labels: [String]
  /// The most series that it holds, the one of `other` not counted.
  let seriesLimit: Int

  init(_ name: String, _ help: String, unit: String? = nil, labels: [String] = [], seriesLimit: Int = 64) {
    self.name = name
    self.help = help
    self.unit = unit
    self.labels = labels
    self.seriesLimit = seriesLimit
  }

  /// Takes the place of label values that came after the limit was reached.
  static let otherValue = "other"
  /// Longest label value, in characters.
  static let valueLimit = 128
}

/// Prometheus' types of metric, as far as they are used here.
enum MetricKind: String, Sendable {
  case counter, gauge, histogram
}

/// One series' value at a moment.
enum MetricValue: Sendable, Equatable {
  case number(Double)
  /// `counts[i]` is the number of observations up to `bounds[i]`; `count` is that of all.
  case histogram(bounds: [Double], counts: [UInt64], count: UInt64, sum: Double)
}

/// One family at a moment: what an exposition writes.
struct MetricSnapshot: Sendable {
  let kind: MetricKind
  let description: MetricDescription
  /// Label values in the order of the description's labels, sorted.
  let series: [(labels: [String], value: MetricValue)]
}

/// A family that can be scraped.
protocol MetricFamily: Sendable {
  var description: MetricDescription { get }
  /// Its series now.
  func snapshot() -> MetricSnapshot
}

/// The series of one family, bounded in number.
final class MetricSeries<Value: Sendable>: Sendable {
  let description: MetricDescription
  private let initial: Value
  private let values: Mutex<[[String]: Value]>

  /// - Parameters:
  ///   - initial: of a series that is seen for the first time.
  ///   - known: label values that are there at once.
  init(_ description: MetricDescription, initial: Value, known: [[String]]) {
    self.description = description
    self.initial = initial
    values = Mutex(Dictionary(uniqueKeysWithValues: Set(known).map { ($0, initial) }))
  }

  /// Changes one series.
  func update(_ labels: [String], _ change: (inout Value) -> Void) {
    values.withLock { values in
      if values[labels] == nil {
        let clean = fitting(labels)
        let key = values[clean] != nil || values.count < description.seriesLimit ? clean : others
        change(&values[key, default: initial])
      } else {
        change(&values[labels, default: initial])
      }
    }
  }

  /// Puts these series in the place of all; those over the limit are left out.
  func replaceAll(_ series: [(labels: [String], value: Value)]) {
    values.withLock { values in
      values = [:]
      for one in series.prefix(description.seriesLimit) { values[fitting(one.labels)] = one.value }
    }
  }

  /// All series, in the order of their labels.
  var all: [(labels: [String], value: Value)] {
    values.withLock { values in values.map { ($0.key, $0.value) } }
      .sorted { $0.labels.lexicographicallyPrecedes($1.labels) }
  }

  private var others: [String] { description.labels.map { _ in MetricDescription.otherValue } }

  /// As many values as there are labels, none too long.
  private func fitting(_ labels: [String]) -> [String] {
    description.labels.indices.map { index in
      index < labels.count ? String(labels[index].prefix(MetricDescription.valueLimit)) : ""
    }
  }
}

/// A number that only grows.
final class CounterFamily: MetricFamily {
  private let series: MetricSeries<Double>
  var description: MetricDescription { series.description }

  /// - Parameter known: label values that are there from the start, at zero, so that the first event is a step. A family
  ///   without labels is always there.
  init(_ description: MetricDescription, known: [[String]] = []) {
    series = MetricSeries(description, initial: 0, known: description.labels.isEmpty ? [[]] : known)
  }

  /// Adds to one series; what is negative or no number is not added.
  func increment(_ labels: [String] = [], by amount: Double = 1) {
    guard amount >= 0, amount.isFinite else { return }
    series.update(labels) { $0 += amount }
  }

  /// Puts totals that somebody else counts (the kernel, say) in the place of all series.
  func replaceAll(_ totals: [(labels: [String], value: Double)]) { series.replaceAll(totals) }

  func snapshot() -> MetricSnapshot {
    MetricSnapshot(
      kind: .counter, description: description, series: series.all.map { ($0.labels, .number($0.value)) })
  }
}

/// A number that goes up and down.
final class GaugeFamily: MetricFamily {
  private let series: MetricSeries<Double>
  var description: MetricDescription { series.description }

  /// It has no series before one is set: what is not known yet is not zero.
  init(_ description: MetricDescription) { series = MetricSeries(description, initial: 0, known: []) }

  /// Sets one series.
  func set(_ value: Double, _ labels: [String] = []) { series.update(labels) { $0 = value } }

  /// Adds to one series, or takes from it.
  func add(_ amount: Double, _ labels: [String] = []) { series.update(labels) { $0 += amount } }

  /// The one series of a family without labels; nil where the value is not known.
  func show(_ value: Double?) { series.replaceAll(value.map { [([], $0)] } ?? []) }

  /// Puts these series in the place of all: a queue that is gone is no series any more.
  func replaceAll(_ values: [(labels: [String], value: Double)]) { series.replaceAll(values) }

  func snapshot() -> MetricSnapshot {
    MetricSnapshot(
      kind: .gauge, description: description, series: series.all.map { ($0.labels, .number($0.value)) })
  }
}

/// How often values fell below each of some bounds.
final class HistogramFamily: MetricFamily {
  private struct Observations {
    var counts: [UInt64]
    var count: UInt64 = 0
    var sum = 0.0
  }

  private let series: MetricSeries<Observations>
  private let bounds: [Double]
  var description: MetricDescription { series.description }

  /// - Parameters:
  ///   - bounds: upper bounds, ascending; `+Inf` is implied.
  ///   - known: as of ``CounterFamily``.
  init(_ description: MetricDescription, bounds: [Double], known: [[String]] = []) {
    self.bounds = bounds
    series = MetricSeries(
      description, initial: Observations(counts: bounds.map { _ in 0 }),
      known: description.labels.isEmpty ? [[]] : known)
  }

  /// Counts one value; what is no number is not counted.
  func observe(_ value: Double, _ labels: [String] = []) {
    guard value.isFinite else { return }
    let index = bounds.firstIndex { value <= $0 }
    series.update(labels) { observations in
      if let index { observations.counts[index] += 1 }
      observations.count += 1
      observations.sum += value
    }
  }

  func snapshot() -> MetricSnapshot {
    let all = series.all.map { labels, seen -> (labels: [String], value: MetricValue) in
      var running: UInt64 = 0
      let cumulative = seen.counts.map { count -> UInt64 in
        running += count
        return running
      }
      return (labels, .histogram(bounds: bounds, counts: cumulative, count: seen.count, sum: seen.sum))
    }
    return MetricSnapshot(kind: .histogram, description: description, series: all)
  }
}
