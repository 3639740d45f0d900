import Client

/// RFC 3339 in UTC with milliseconds, for lines of the log.
enum LogTime {
  /// `2026-01-01T00:00:00.000Z`.
  ///
  /// - Parameter millis: since 1970; a time before that is shown as 1970's beginning.
  static func rfc3339(_ millis: Int64) -> String {
    let millis = UInt64(max(0, millis))
    return "\(Timestamps.text(millis).dropLast()).\(String(millis % 1000 + 1000).dropFirst())Z"
  }
}
