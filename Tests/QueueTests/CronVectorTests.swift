import Foundation
import TestSupport
import Testing

@testable import Queue

/// Against an independent implementation: Tests/Vectors/cron/croniter.json, which scripts/golden-cron.py makes.
@Suite("Cron against croniter and zoneinfo")
struct CronVectorTests {
  private struct Vectors: Decodable {
    struct Case: Decodable {
      let cron: String
      let zone: String
      let after: Int64
      let due: [Int64]
    }
    let cases: [Case]
  }

  @Test("Hundreds of expressions are due when croniter says, in twelve zones, around their changes of the clock")
  func agrees() throws {
    let file = Checkout.root.appending(path: "Tests/Vectors/cron/croniter.json")
    let cases = try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: file)).cases
    #expect(cases.count > 300)
    for item in cases {
      let calendar = try CronCalendar(CronExpression(item.cron), timeZone: item.zone)
      let found = calendar.due(after: Timestamp(milliseconds: item.after * 1000), count: item.due.count)
      #expect(found.map { $0.moment.milliseconds / 1000 } == item.due, "\(item.cron) \(item.zone) after \(item.after)")
    }
  }

  private func due(_ cron: String, _ zone: String, after: String, _ count: Int) throws -> [DueTime] {
    let milliseconds = Int64(try Date(after, strategy: .iso8601).timeIntervalSince1970 * 1000)
    return try CronCalendar(CronExpression(cron), timeZone: zone)
      .due(after: Timestamp(milliseconds: milliseconds), count: count)
  }

  @Test("A due time is shown in its zone, and says what daylight saving does to it")
  func notes() throws {
    let gap = try due("30 2 * * *", "Europe/Berlin", after: "2026-03-27T12:00:00Z", 3)
    #expect(
      gap.map(\.local) == ["Sat 2026-03-28 02:30 +01:00", "Sun 2026-03-29 03:00 +02:00", "Mon 2026-03-30 02:30 +02:00"])
    #expect(gap.map(\.note) == [nil, "skipped hour (02:30): runs at 03:00", nil])
    let twice = try due("30 2 * * *", "Europe/Berlin", after: "2026-10-24T12:00:00Z", 2)
    #expect(twice.map(\.local) == ["Sun 2026-10-25 02:30 +02:00", "Mon 2026-10-26 02:30 +01:00"])
    #expect(twice.map(\.note) == ["repeated hour: runs once, the first time", nil])
    // Several times of one gap are one run, and a whole day may be a gap.
    let often = try due("*/20 * * * *", "Europe/Berlin", after: "2026-03-29T00:45:00Z", 2)
    #expect(often.map(\.note) == ["skipped hour (02:00, 02:20, 02:40): runs at 03:00", nil])
    let day = try due("0 12 30 12 *", "Pacific/Apia", after: "2011-12-29T00:00:00Z", 1)
    #expect(day.map(\.local) == ["Sat 2011-12-31 00:00 +14:00"] && day[0].note == "skipped hour (12:00): runs at 00:00")
    let west = try due("@daily", "America/St_Johns", after: "2026-01-10T00:00:00Z", 1)
    #expect(west.map(\.local) == ["Sat 2026-01-10 00:00 -03:30"] && west[0].note == nil)
  }
}
