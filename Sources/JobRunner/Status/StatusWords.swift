import Foundation

/// Times and sizes in words, for the status page.
enum StatusWords {
  /// `42 s`, `3 min`, `2 h 5 min`, `4 d 3 h`.
  static func duration(milliseconds: Int64) -> String {
    let seconds = max(0, milliseconds) / 1000
    switch seconds {
    case ..<90: return "\(seconds) s"
    case ..<5400: return "\(seconds / 60) min"
    case ..<172_800: return pair(seconds / 3600, "h", seconds % 3600 / 60, "min")
    default: return pair(seconds / 86_400, "d", seconds % 86_400 / 3600, "h")
    }
  }

  private static func pair(_ first: Int64, _ firstUnit: String, _ second: Int64, _ secondUnit: String) -> String {
    second == 0 ? "\(first) \(firstUnit)" : "\(first) \(firstUnit) \(second) \(secondUnit)"
  }

  /// A count with its thousands apart: `18 234`.
  static func count(_ number: Int64) -> String {
    var digits = Array("\(abs(number))")
    for place in stride(from: digits.count - 3, to: 0, by: -3) { digits.insert("\u{202F}", at: place) }
    return (number < 0 ? "-" : "") + String(digits)
  }

  /// A moment as `2026-01-31 04:05` in UTC, marked up for machines, with how far it is from `now`.
  static func moment(_ milliseconds: Int64?, now: Int64) -> HTMLText {
    guard let milliseconds else { return "<span class=none>–</span>" }
    let distance = duration(milliseconds: abs(now - milliseconds))
    let relation = milliseconds > now ? "in \(distance)" : "\(distance) ago"
    return "<time datetime=\"\(iso(milliseconds))\">\(plain(milliseconds))</time> <small>\(relation)</small>"
  }

  /// `64 KiB`, of a power of two.
  static func size(_ bytes: Int64) -> String {
    var (value, unit) = (bytes, 0)
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
    return "\(value) \(units[unit])"
  }

  private static func iso(_ milliseconds: Int64) -> String {
    Date(timeIntervalSince1970: Double(milliseconds) / 1000).ISO8601Format()
  }

  private static func plain(_ milliseconds: Int64) -> String {
    iso(milliseconds).replacing("T", with: " ").prefix(16) + ""
  }
}
