import Foundation
import Testing

@testable import Queue

@Suite("Cron")
struct CronTests {
  private func moments(_ cron: String, _ zone: String, after: String, count: Int) throws -> [String] {
    let calendar = try CronCalendar(CronExpression(cron), timeZone: zone)
    var moment = try parse(after)
    return try (0..<count).map { _ in
      moment = try #require(calendar.next(after: moment))
      return Date(timeIntervalSince1970: Double(moment.milliseconds) / 1_000).formatted(.iso8601)
    }
  }

  private func parse(_ text: String) throws -> Timestamp {
    Timestamp(milliseconds: Int64(try Date(text, strategy: .iso8601).timeIntervalSince1970 * 1_000))
  }

  @Test("Lists, ranges, steps, names and words name the days they should")
  func expressions() throws {
    let cases: [(String, String)] = [
      ("*/15 9-17/4 * * *", "2026-01-01T09:00:00Z"), ("5 0 * 8 *", "2026-08-01T00:05:00Z"),
      ("0 22 * * 1-5", "2026-01-01T22:00:00Z"), ("0 22 * * sat,SUN", "2026-01-03T22:00:00Z"),
      ("0 0 * * 7", "2026-01-04T00:00:00Z"), ("15 14 1 * *", "2026-01-01T14:15:00Z"),
      ("0 0 29 feb *", "2028-02-29T00:00:00Z"), ("0 0 13 * 5", "2026-01-02T00:00:00Z"),
      ("@daily", "2026-01-02T00:00:00Z"), ("@monthly", "2026-02-01T00:00:00Z"), ("@weekly", "2026-01-04T00:00:00Z"),
      ("50/5 * * * *", "2026-01-01T00:50:00Z"),
    ]
    for (cron, expected) in cases {
      #expect(try moments(cron, "UTC", after: "2026-01-01T00:00:30Z", count: 1) == [expected], "\(cron)")
    }
  }

  @Test(
    "What is no cron expression is refused",
    arguments: [
      "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8",
      "*/0 * * * *", "5-1 * * * *", "a * * * *", "1,,2 * * * *", "1/2/3 * * * *", "-1 * * * *", "1- * * * *",
      "* * * * mond", "+1 * * * *", "99999999999999999999 * * * *", "0 0 30 2 *", "@nightly",
    ])
  func refusals(text: String) {
    #expect(throws: ScheduleError.self) { try CronExpression(text) }
  }

  @Test("A local time in the gap runs at the first moment after it")
  func gap() throws {
    #expect(
      try moments("30 2 * * *", "Europe/Berlin", after: "2026-03-28T00:00:00Z", count: 3)
        == ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"])
    #expect(
      try moments("*/30 * * * *", "Europe/Berlin", after: "2026-03-29T00:00:00Z", count: 3)
        == ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"])
    #expect(
      try moments("0 0 * * *", "America/Santiago", after: "2026-09-05T12:00:00Z", count: 1)
        == ["2026-09-06T04:00:00Z"])
    #expect(
      try moments("0 12 30 12 *", "Pacific/Apia", after: "2011-12-29T00:00:00Z", count: 1) == ["2011-12-30T10:00:00Z"])
  }

  @Test("A local time that comes twice runs once, at the first of the two")
  func repeatedHour() throws {
    #expect(
      try moments("30 2 * * *", "Europe/Berlin", after: "2026-10-24T12:00:00Z", count: 2)
        == ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"])
    #expect(
      try moments("30 1 * * *", "America/New_York", after: "2026-11-01T00:00:00Z", count: 2)
        == ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"])
    #expect(
      try moments("15 1 * * *", "Australia/Lord_Howe", after: "2026-04-04T00:00:00Z", count: 2)
        == ["2026-04-04T14:15:00Z", "2026-04-05T14:45:00Z"])
  }

  @Test("The latest moment is the one before the next")
  func latest() throws {
    let random = SeededRandom(seed: 3)
    let zones = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Auckland", "Africa/Casablanca"]
    let expressions = ["30 2 * * *", "*/20 1-3 * * *", "0 0 1 * *", "5 4 * * sun", "@hourly", "0 3 29 2 *"]
    for zone in zones {
      for cron in expressions {
        let calendar = try CronCalendar(CronExpression(cron), timeZone: zone)
        for _ in 0..<6 {
          let moment = Timestamp(milliseconds: 1_500_000_000_000 + random.upTo(600_000_000_000))
          let next = try #require(calendar.next(after: moment))
          #expect(next > moment)
          #expect(calendar.latest(notAfter: next) == next, "\(cron) \(zone)")
          let latest = try #require(calendar.latest(notAfter: moment))
          #expect(latest <= moment && calendar.next(after: latest) == next, "\(cron) \(zone) \(moment)")
        }
      }
    }
  }

  @Test("A zone that does not exist is refused", arguments: ["", "Mars/Olympus", "europe", "CEST+99", "../etc/passwd"])
  func zones(identifier: String) throws {
    let expression = try CronExpression("@daily")
    #expect(throws: ScheduleError.self) { try CronCalendar(expression, timeZone: identifier) }
  }

  @Test("Times beyond the calendar are never due")
  func farTimes() throws {
    let calendar = try CronCalendar(CronExpression("@daily"), timeZone: "UTC")
    for milliseconds in [Int64.min, -1, Int64.max] {
      #expect(calendar.next(after: Timestamp(milliseconds: milliseconds)) == nil)
      #expect(calendar.latest(notAfter: Timestamp(milliseconds: milliseconds)) == nil)
    }
  }
}
