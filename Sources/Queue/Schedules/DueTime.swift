/// A due moment as people of the schedule's time zone read it.
package struct DueTime: Hashable, Sendable {
  package let moment: Timestamp
  /// `Sun 2026-03-29 03:00 +02:00`.
  package let local: String
  /// What daylight saving does to it; nil on all other days.
  package let note: String?
}

extension CronCalendar {
  /// The next due moments after one, at most `count` of them.
  package func due(after moment: Timestamp, count: Int) -> [DueTime] {
    var times: [DueTime] = []
    var last = moment
    while times.count < count, let next = next(after: last) {
      times.append(dueTime(next))
      last = next
    }
    return times
  }

  /// A due moment in the zone's own words.
  package func dueTime(_ moment: Timestamp) -> DueTime {
    let seconds = Int(moment.milliseconds / 1_000)
    let offset = offset(at: seconds)
    let local = seconds + offset
    let day = localDay(of: moment)
    let date = CivilDate(dayNumber: day)
    let names = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    let sign = offset < 0 ? "-" : "+"
    let text =
      "\(names[date.weekday]) \(Self.digits(date.year, 4))-\(Self.digits(date.month))-\(Self.digits(date.day)) "
      + "\(Self.clock(local)) \(sign)\(Self.clock(abs(offset)))"
    return DueTime(moment: moment, local: text, note: note(seconds, local: local, day: day))
  }

  /// A gap can swallow a whole day, so the days beside it are asked for what they name, too.
  private func note(_ moment: Int, local: Int, day: Int) -> String? {
    let named = (day - 1...day + 1).flatMap(localTimes).filter { seconds(ofLocal: $0) == moment }
    let skipped = named.filter { $0 != local }
    if !skipped.isEmpty {
      let times = skipped.prefix(3).map(Self.clock).joined(separator: ", ") + (skipped.count > 3 ? ", …" : "")
      return "skipped hour (\(times)): runs at \(Self.clock(local))"
    }
    return named.contains { candidates(ofLocal: $0).count > 1 } ? "repeated hour: runs once, the first time" : nil
  }

  private static func clock(_ seconds: Int) -> String {
    "\(digits(seconds / 3_600 % 24)):\(digits(seconds / 60 % 60))"
  }

  private static func digits(_ number: Int, _ count: Int = 2) -> String {
    String(repeating: "0", count: max(0, count - String(number).count)) + String(number)
  }
}
