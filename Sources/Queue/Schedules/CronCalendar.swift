import Foundation

// Local time into moments. Daylight saving makes two kinds of trouble, and each has one rule:
// - A local time that is skipped (the gap) stands for the first moment after the gap.
// - A local time that comes twice stands for the first of the two.
// Both keep the order of local times, so the moments of a day never go backwards; equal ones count once.

/// When a cron expression is due in a time zone.
package struct CronCalendar: Hashable, Sendable {
  package let expression: CronExpression
  /// The zone's name in the IANA database, as it was given.
  package let timeZone: String
  private let zone: TimeZone

  /// The longest stretch without a day that any expression can name: 29 February over a century without a leap day.
  private static let searchDays = 366 * 9

  /// - Throws: ``ScheduleError`` for a zone that is not in the IANA database.
  package init(_ expression: CronExpression, timeZone identifier: String) throws {
    let isKnown = identifier == "UTC" || TimeZone.knownTimeZoneIdentifiers.contains(identifier)
    guard isKnown, let zone = TimeZone(identifier: identifier) else {
      throw ScheduleError("timeZone: \"\(identifier)\" is not in the IANA time zone database (Europe/Berlin, say)")
    }
    self.expression = expression
    timeZone = identifier
    self.zone = zone
  }

  /// The first due moment after `moment`; nil when there is none within nine years.
  package func next(after moment: Timestamp) -> Timestamp? {
    guard isInRange(moment) else { return nil }
    let today = localDay(of: moment)
    for dayNumber in (today - 1)...(today + CronCalendar.searchDays) {
      for due in moments(onDay: dayNumber) where due > moment { return due }
    }
    return nil
  }

  /// The last due moment that is not after `moment`; nil when there is none within nine years.
  package func latest(notAfter moment: Timestamp) -> Timestamp? {
    guard isInRange(moment) else { return nil }
    let today = localDay(of: moment)
    for dayNumber in ((today - CronCalendar.searchDays)...(today + 1)).reversed() {
      for due in moments(onDay: dayNumber).reversed() where due <= moment { return due }
    }
    return nil
  }

  /// The years 1970 to 9999; beyond them no schedule is due.
  private func isInRange(_ moment: Timestamp) -> Bool { (0...253_402_300_799_000).contains(moment.milliseconds) }

  func localDay(of moment: Timestamp) -> Int {
    let seconds = Int(moment.milliseconds / 1_000)
    return (seconds + offset(at: seconds) + 86_400 * 2) / 86_400 - 2
  }

  /// Every due moment of a local day, in order.
  private func moments(onDay dayNumber: Int) -> [Timestamp] {
    localTimes(onDay: dayNumber).map { Timestamp(milliseconds: Int64(seconds(ofLocal: $0)) * 1_000) }
  }

  /// Every local time that the expression names on a local day, in order, as seconds as if the zone were UTC.
  func localTimes(onDay dayNumber: Int) -> [Int] {
    guard expression.matches(CivilDate(dayNumber: dayNumber)) else { return [] }
    return expression.hours.flatMap { hour in
      expression.minutes.map { minute in dayNumber * 86_400 + hour * 3_600 + minute * 60 }
    }
  }

  /// The moment of a local time, both as seconds (`local` as if the zone were UTC). A day to either side lies beyond
  /// every offset, so the offsets there are those before and after whatever change is near.
  func seconds(ofLocal local: Int) -> Int {
    candidates(ofLocal: local).min() ?? change(between: local - 86_400, and: local + 86_400)
  }

  /// The moments at which the zone's clocks show a local time: none in a gap, two where it comes twice.
  func candidates(ofLocal local: Int) -> Set<Int> {
    let before = offset(at: local - 86_400)
    let after = offset(at: local + 86_400)
    return Set([local - before, local - after].filter { $0 + offset(at: $0) == local })
  }

  /// The first second at which the offset is no longer the one at `low`.
  private func change(between low: Int, and high: Int) -> Int {
    let old = offset(at: low)
    var (low, high) = (low, high)
    while high - low > 1 {
      let middle = low + (high - low) / 2
      if offset(at: middle) == old { low = middle } else { high = middle }
    }
    return high
  }

  func offset(at seconds: Int) -> Int {
    zone.secondsFromGMT(for: Date(timeIntervalSince1970: TimeInterval(seconds)))
  }
}
