import Foundation

/// Verdict, table and plot of a soak.
struct SoakReport {
  let samples: [Soak.Sample]
  /// The most by which the last third's median may lie above the middle third's.
  static let megabytesAllowed = 1.0
  /// Threads and descriptors come and go with connections.
  static let handlesAllowed = 16.0

  private var first: ArraySlice<Soak.Sample> { samples.prefix(max(1, samples.count / 3)) }
  private var middle: ArraySlice<Soak.Sample> { samples.dropFirst(samples.count / 3).prefix(max(1, samples.count / 3)) }
  private var last: ArraySlice<Soak.Sample> { samples.suffix(max(1, samples.count / 3)) }

  private func medians(_ value: (Soak.Sample) -> Double) -> (first: Double, last: Double) {
    (Distribution(first.map(value)).median, Distribution(last.map(value)).median)
  }

  /// What the daemon holds by itself, in MB: its heap and stacks, less the queue's file, of which SQLite keeps as much in
  /// the heap as its cache may have (32 MiB). The first third warms up: threads, pools, the first faults.
  private var memory: (middle: Double, last: Double) {
    (Distribution(middle.map(Self.own)).median, Distribution(last.map(Self.own)).median)
  }

  private static func own(_ sample: Soak.Sample) -> Double {
    Double(sample.figures.anonymousKB) / 1024 - Double(min(sample.databaseBytes, 32 << 20)) / 1_048_576
  }

  /// Milliseconds of the daemon's processor time for each job that ended in these seconds.
  private func millisecondsPerJob(_ samples: ArraySlice<Soak.Sample>) -> Double {
    guard let from = samples.first, let to = samples.last else { return 0 }
    return 1000 * (to.figures.cpuSeconds - from.figures.cpuSeconds) / Double(max(1, to.finished - from.finished))
  }

  /// What is not flat.
  func verdict() -> [String] {
    var faults: [String] = []
    let memory = memory
    if memory.last > memory.middle + Self.megabytesAllowed {
      faults.append(
        "memory grows: from \(memory.middle.shown()) MB to \(memory.last.shown()) MB beside the queue's file")
    }
    for (name, medians) in [
      ("threads", medians { Double($0.figures.threads) }), ("descriptors", medians { Double($0.figures.descriptors) }),
    ] where medians.last > medians.first + Self.handlesAllowed {
      faults.append("\(name) grow: from \(medians.first.shown(0)) to \(medians.last.shown(0))")
    }
    return faults
  }

  func summary(mix: String) -> String {
    let memory = memory
    let threads = medians { Double($0.figures.threads) }
    let descriptors = medians { Double($0.figures.descriptors) }
    let peak = samples.map(\.figures.peakKB).max() ?? 0
    let wal = samples.map(\.logBytes).max() ?? 0
    let done = samples.last?.finished ?? 0
    return """
      \(samples.count) s: \(mix); \(done) receipts; the daemon's CPU for each: \(millisecondsPerJob(first).shown()), \(millisecondsPerJob(middle).shown()), \(millisecondsPerJob(last).shown()) ms by thirds
      memory \(verdict().isEmpty ? "flat" : "NOT FLAT"): own, beside the queue's file, median of the middle third \(memory.middle.shown()) MB, of the last \(memory.last.shown()) MB (allowed \((memory.middle + Self.megabytesAllowed).shown())); resident at most \((Double(peak) / 1024).shown()) MB
      threads \(threads.first.shown(0)) and \(threads.last.shown(0)), descriptors \(descriptors.first.shown(0)) and \(descriptors.last.shown(0)), write-ahead log at most \((Double(wal) / 1_048_576).shown()) MB
      """
  }

  /// Writes `soak.csv` and `soak.svg`.
  func write(to folder: URL) throws {
    var lines = ["second,rss_kb,anon_kb,threads,fds,db_bytes,wal_bytes,sent,finished,cpu_seconds"]
    for sample in samples {
      let figures = sample.figures
      lines.append(
        "\(sample.second),\(figures.residentKB),\(figures.anonymousKB),\(figures.threads),\(figures.descriptors),"
          + "\(sample.databaseBytes),\(sample.logBytes),\(sample.sent),\(sample.finished),\(figures.cpuSeconds.shown(2))"
      )
    }
    let csv = lines.joined(separator: "\n") + "\n"
    try csv.write(to: folder.appending(path: "soak.csv"), atomically: true, encoding: .utf8)
    try plot().write(to: folder.appending(path: "soak.svg"), atomically: true, encoding: .utf8)
  }

  /// Memory over time, from zero, with both medians.
  private func plot() -> String {
    let width = 720.0
    let height = 240.0
    let top = max(10, (samples.map(Self.own).max() ?? 0) * 1.15)
    let end = Double(max(1, samples.last?.second ?? 1))
    func x(_ second: Int) -> String { (50 + Double(second) / end * width).shown() }
    func y(_ megabytes: Double) -> String { (20 + height - megabytes / top * height).shown() }
    let line = samples.map { "\(x($0.second)),\(y(Self.own($0)))" }.joined(separator: " ")
    let third = samples.count / 3
    let marks = [(third, 2 * third, memory.middle), (samples.count - third, samples.count, memory.last)].map {
      from, to, value in
      """
      <line x1="\(x(from))" y1="\(y(value))" x2="\(x(to))" y2="\(y(value))" stroke="#c33" stroke-dasharray="6 3"/>
      <text x="\(x(from))" y="\(y(value * 1.06))" fill="#c33">\(value.shown()) MB</text>
      """
    }.joined(separator: "\n")
    return """
      <svg xmlns="http://www.w3.org/2000/svg" width="800" height="300" font-family="sans-serif" font-size="12">
      <rect width="800" height="300" fill="#fff"/>
      <path d="M50 20V\(20 + height)H\(50 + width)" fill="none" stroke="#666"/>
      <text x="8" y="24">\(top.shown(0)) MB</text><text x="30" y="\(20 + height)">0</text>
      <text x="\(50 + width - 40)" y="\(38 + height)">\(Int(end)) s</text>
      <text x="300" y="\(38 + height)">the daemon's own memory beside the queue's file; dashed: medians</text>
      <polyline points="\(line)" fill="none" stroke="#246" stroke-width="1.2"/>
      \(marks)
      </svg>

      """
  }
}
