/// Why a schedule cannot be used, in words for whoever wrote it.
package struct ScheduleError: Error, Hashable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

/// Five-field cron (minute, hour, day of month, month, day of week) as crontab(5) of Vixie's cron has it: `*`, lists,
/// ranges, steps, English three-letter names, Sunday as 0 or 7, and the words `@hourly` to `@yearly`. When both day
/// fields are restricted, a day that meets either will do.
package struct CronExpression: Hashable, Sendable {
  /// As it was written.
  package let text: String
  let minutes: [Int]
  let hours: [Int]
  private let days: Set<Int>
  private let months: Set<Int>
  /// Sunday is 0.
  private let weekdays: Set<Int>
  private let isAnyDay: Bool
  private let isAnyWeekday: Bool

  /// - Throws: ``ScheduleError`` with the field at fault.
  package init(_ text: String) throws {
    guard text.utf8.count <= 256 else { throw ScheduleError("cron: longer than 256 characters") }
    let fields = (CronExpression.words[text] ?? text).split(whereSeparator: { $0 == " " || $0 == "\t" })
    guard fields.count == 5 else {
      throw ScheduleError("cron: five fields or one of \(CronExpression.words.keys.sorted()), not \"\(text)\"")
    }
    self.text = text
    minutes = try CronField("minute", 0...59).parse(fields[0]).sorted()
    hours = try CronField("hour", 0...23).parse(fields[1]).sorted()
    days = try CronField("day of month", 1...31).parse(fields[2])
    months = try CronField("month", 1...12, names: CronExpression.monthNames, firstName: 1).parse(fields[3])
    let weekdays = try CronField("day of week", 0...7, names: CronExpression.weekdayNames, firstName: 0)
      .parse(fields[4])
    self.weekdays = Set(weekdays.map { $0 % 7 })
    isAnyDay = fields[2].hasPrefix("*")
    isAnyWeekday = fields[4].hasPrefix("*")
    let longest = [2: 29, 4: 30, 6: 30, 9: 30, 11: 30]
    let isPossible = months.contains { month in days.contains { $0 <= longest[month] ?? 31 } }
    guard isPossible || !isAnyWeekday else { throw ScheduleError("cron: no month has that day") }
  }

  /// Whether the date is one of the expression's days.
  func matches(_ date: CivilDate) -> Bool {
    guard months.contains(date.month) else { return false }
    let isDay = days.contains(date.day)
    let isWeekday = weekdays.contains(date.weekday)
    return isAnyDay || isAnyWeekday ? isDay && isWeekday : isDay || isWeekday
  }

  private static let words = [
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
  ]
  private static let monthNames = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
  ]
  private static let weekdayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
}

/// One field of a cron expression.
private struct CronField {
  let name: String
  let range: ClosedRange<Int>
  let names: [String]
  let firstName: Int

  init(_ name: String, _ range: ClosedRange<Int>, names: [String] = [], firstName: Int = 0) {
    self.name = name
    self.range = range
    self.names = names
    self.firstName = firstName
  }

  func parse(_ text: Substring) throws -> Set<Int> {
    var values: Set<Int> = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) { values.formUnion(try expanded(part)) }
    return values
  }

  /// `*`, `a`, `a-b`, each with `/step`; `a/step` runs to the end of the range, as in Vixie's cron.
  private func expanded(_ part: Substring) throws -> Set<Int> {
    let pieces = part.split(separator: "/", omittingEmptySubsequences: false)
    guard let base = pieces.first, pieces.count <= 2 else { throw fault(part) }
    var step: Int?
    if pieces.count == 2 {
      guard let number = decimal(pieces[1]), number > 0 else { throw fault(part) }
      step = number
    }
    let (low, high) = try bounds(of: base, hasStep: step != nil, in: part)
    return Set(stride(from: low, through: high, by: step ?? 1))
  }

  private func bounds(of base: Substring, hasStep: Bool, in part: Substring) throws -> (Int, Int) {
    if base == "*" { return (range.lowerBound, range.upperBound) }
    let ends = base.split(separator: "-", omittingEmptySubsequences: false).map(value)
    guard let first = ends.first, let low = first, ends.count <= 2 else { throw fault(part) }
    if ends.count == 1 { return (low, hasStep ? range.upperBound : low) }
    guard let high = ends[1], low <= high else { throw fault(part) }
    return (low, high)
  }

  private func value(_ text: Substring) -> Int? {
    if let index = names.firstIndex(of: text.lowercased()) { return index + firstName }
    guard let number = decimal(text), range.contains(number) else { return nil }
    return number
  }

  private func decimal(_ text: Substring) -> Int? {
    guard (1...4).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int(text)
  }

  private func fault(_ part: Substring) -> ScheduleError {
    ScheduleError("cron: \"\(part)\" is no \(name) (\(range.lowerBound)-\(range.upperBound))")
  }
}
