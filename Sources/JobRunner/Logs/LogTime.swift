/// RFC 3339 in UTC with milliseconds, by arithmetic: a formatter a line would cost more than the line.
enum LogTime {
  /// `2026-01-01T00:00:00.000Z`.
  ///
  /// - Parameter millis: since 1970; a time before that is shown as 1970's beginning.
  static func rfc3339(_ millis: Int64) -> String {
    let millis = max(0, millis)
    let (days, ofDay) = (millis / 86_400_000, millis % 86_400_000)
    // Days to civil date, by eras of 400 years that begin in March.
    let shifted = days + 719_468
    let (era, ofEra) = (shifted / 146_097, shifted % 146_097)
    let yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365
    let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * ofYear + 2) / 153
    let day = ofYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(padded(ofDay / 3_600_000, 2)):"
      + "\(padded(ofDay / 60_000 % 60, 2)):\(padded(ofDay / 1000 % 60, 2)).\(padded(ofDay % 1000, 3))Z"
  }

  private static func padded(_ value: Int64, _ digits: Int) -> String {
    let text = "\(value)"
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }
}
