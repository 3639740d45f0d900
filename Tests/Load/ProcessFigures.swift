import Foundation
import Glibc

/// What the kernel says of a process, and the file system of its files.
struct ProcessFigures {
  /// Resident memory, kilobytes.
  var residentKB = 0
  /// Of that, what is the process's own (not files).
  var anonymousKB = 0
  /// The most that was ever resident, kilobytes.
  var peakKB = 0
  var threads = 0
  var descriptors = 0
  /// User and system time, seconds.
  var cpuSeconds = 0.0

  /// - Returns: nil when there is no such process.
  init?(_ pid: Int32) {
    guard let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8),
      let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
      let end = stat.lastIndex(of: ")")
    else { return nil }
    for line in status.split(separator: "\n") {
      let words = line.split(whereSeparator: { $0 == ":" || $0 == "\t" || $0 == " " })
      guard words.count >= 2, let value = Int(words[1]) else { continue }
      switch words[0] {
      case "VmRSS": residentKB = value
      case "RssAnon": anonymousKB = value
      case "VmHWM": peakKB = value
      case "Threads": threads = value
      default: break
      }
    }
    let fields = stat[stat.index(after: end)...].split(separator: " ")
    if fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) {
      cpuSeconds = (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
    descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count) ?? 0
  }

  /// Bytes of a file; 0 when it is not there.
  static func bytes(of path: String) -> Int {
    ((try? FileManager.default.attributesOfItem(atPath: path)[.size]) as? NSNumber)?.intValue ?? 0
  }
}

/// A row of numbers, in order.
struct Distribution {
  private let sorted: [Double]

  init(_ values: some Sequence<Double>) { sorted = values.sorted() }

  var count: Int { sorted.count }
  var median: Double { at(0.5) }
  var p95: Double { at(0.95) }
  var max: Double { sorted.last ?? 0 }

  private func at(_ share: Double) -> Double {
    sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int((Double(sorted.count) * share).rounded(.down)))]
  }
}

extension Double {
  /// With so many digits after the point.
  func shown(_ digits: Int = 1) -> String { String(format: "%.\(digits)f", self) }
}

extension String {
  /// Right-aligned in so many columns.
  func right(_ width: Int) -> String { String(repeating: " ", count: Swift.max(0, width - count)) + self }
  /// Left-aligned in so many columns.
  func left(_ width: Int) -> String { self + String(repeating: " ", count: Swift.max(0, width - count)) }
}

/// A line to standard output, at once: whoever waits for minutes reads it through a pipe.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
