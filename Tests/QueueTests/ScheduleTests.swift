import Foundation
import Synchronization
import Testing
import Wire

@testable import Queue

@Suite("Schedules")
struct ScheduleTests {
  private func definition(_ more: String = "") throws -> ScheduleDefinition {
    try ScheduleFile.parse("name: nightly\ncron: 0 2 * * *\n" + more, file: "nightly.yaml")
  }

  private func standing(_ last: Timestamp?, open: Bool = false) -> ScheduleStanding {
    ScheduleStanding(lastNominalAt: last, hasOpenRun: open)
  }

  /// 02:00 on the n-th of January 2026.
  private func night(_ day: Int64) -> Timestamp { .start + .seconds((day - 1) * 86_400 + 7_200) }

  @Test("The example of the repository is a schedule")
  func example() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../jobs").path
    let nightly = try #require(
      try ScheduleFile.readAll(inFolder: folder).map(\.definition).first { $0.name == "nightly-embeddings" })
    #expect(nightly.queue.rawValue == "nightly-embeddings" && nightly.overlap == .queue && nightly.catchup == .latest)
    #expect(nightly.startingDeadline == .seconds(21_600) && nightly.model == "all-MiniLM-L6-v2")
    #expect(nightly.calendar?.next(after: .start) == .start + .seconds(5_400))
  }

  @Test("Every mistake in a file is refused, with its line")
  func mistakes() {
    let cases: [(String, String)] = [
      ("cron: 0 2 * * *", "f.yaml:1: name is missing"), ("name: a\noverlpa: skip", "f.yaml:2: unknown key overlpa"),
      ("name: a\noverlap: never", "f.yaml:2: overlap: one of skip, queue, replace, not \"never\""),
      ("name: a\n\npriority: high", "f.yaml:3: priority: a number from -1000 to 1000, not \"high\""),
      ("name: A", "f.yaml:1: name: 1 to 64 of a-z, 0-9, - and _, not \"A\""),
      ("name: a\nqueue: cancel", "f.yaml:2: queue: 1 to 64 of a-z, 0-9, - and _, not \"cancel\""),
      ("name: a\ncron: 0 25 * * *", "f.yaml:2: cron: \"25\" is no hour (0-23)"),
      ("name: a\ntimeZone: UTC", "f.yaml:2: timeZone: means nothing without cron"),
      ("name: [a]", "f.yaml:1: name takes one value"), ("- name", "f.yaml:1: a mapping of"),
      ("", "f.yaml:1: a mapping"),
      ("name: a\nname: b", "f.yaml:"), ("name: {", "f.yaml:"),
    ]
    for (text, expected) in cases {
      let error = #expect(throws: ScheduleError.self, "\(text)") { try ScheduleFile.parse(text, file: "f.yaml") }
      #expect(error?.description.hasPrefix(expected) == true, "\(String(describing: error))")
    }
    let zone = #expect(throws: ScheduleError.self) {
      try ScheduleFile.parse("name: a\ncron: '@daily'\ntimeZone: Mars/Olympus", file: "f.yaml")
    }
    #expect(zone?.description.hasPrefix("f.yaml:3: timeZone:") == true)
  }

  @Test("Two schedules may not share an inbox")
  func sharedInbox() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "schedules-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data("name: a\n".utf8).write(to: folder.appending(path: "a.yaml"))
    try Data("name: b\nqueue: a\n".utf8).write(to: folder.appending(path: "b.yaml"))
    #expect(throws: ScheduleError("b.yaml: schedule a already takes what is in the inbox a")) {
      try ScheduleFile.readAll(inFolder: folder.path)
    }
  }

  @Test("A schedule that is new waits for its first time, and missed times are made up for as it says")
  func catchup() throws {
    let now = night(4) + .seconds(3_600)
    let latest = SchedulerMachine(try definition())
    #expect(latest.next(standing(nil), at: now) == .skip(nominalAt: now, .added))
    #expect(latest.next(standing(now), at: now) == .wait(until: night(5)))
    #expect(latest.next(standing(night(1)), at: now) == .open(run(latest, night(4))))
    let all = SchedulerMachine(try definition("catchup: all"))
    #expect(all.next(standing(night(1)), at: now) == .open(run(all, night(2))))
    let none = SchedulerMachine(try definition("catchup: none"))
    #expect(none.next(standing(night(1)), at: now) == .skip(nominalAt: night(4), .catchup))
    #expect(none.next(standing(night(3)), at: night(4) + .seconds(1)) == .open(run(none, night(4))))
  }

  private func run(_ machine: SchedulerMachine, _ nominalAt: Timestamp) -> NewRun {
    NewRun(
      schedule: "nightly", nominalAt: nominalAt, trigger: .clock, queue: machine.definition.queue,
      takesOver: machine.definition.overlap == .replace)
  }

  @Test("A late start and an open run pass a nominal time over, when the schedule says so")
  func skips() throws {
    let late = SchedulerMachine(try definition("startingDeadlineSeconds: 600"))
    #expect(late.next(standing(night(1)), at: night(2) + .seconds(601)) == .skip(nominalAt: night(2), .tooLate))
    #expect(late.next(standing(night(1)), at: night(2) + .seconds(600)) == .open(run(late, night(2))))
    let skip = SchedulerMachine(try definition())
    #expect(skip.next(standing(night(1), open: true), at: night(2)) == .skip(nominalAt: night(2), .overlap))
    for overlap in ["queue", "replace"] {
      let machine = SchedulerMachine(try definition("overlap: \(overlap)"))
      #expect(machine.next(standing(night(1), open: true), at: night(2)) == .open(run(machine, night(2))))
    }
  }

  @Test("Nights come and go, the daemon restarts, and each nominal time has one run")
  func nights() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let definitions = [try definition("catchup: all\noverlap: queue")]
    var now = Timestamp.start
    var opened: [RunID] = []
    for hour in 0..<240 {
      if hour % 50 == 49 { try fixture.crashAndReopen() }
      _ = try fixture.store.enqueue([.sample(UInt64(hour), queue: "nightly", isHeld: true)], at: now)
      let isDown = (60..<110).contains(hour)
      if !isDown {
        let turn = try SchedulerDriver(definitions, store: fixture.store).turn(by: ManualClock(now))
        opened += turn.opened["nightly"] ?? []
        #expect(try #require(turn.nextDue) > now)
      }
      now = now + .seconds(3_600)
    }
    let runs = try fixture.store.runs(of: "nightly", limit: 100).filter { $0.skipped == nil }
    #expect(opened.count == 10 && Set(opened) == Set(runs.map(\.id)))
    #expect(runs.map(\.nominalAt).reversed() == (1...10).map(night))
  }

  @Test("A schedule that ran by a clock in the future misses no night when the clock is set back")
  func clockSetBack() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let store = fixture.store
    let driver = SchedulerDriver([try definition()], store: store)
    func opened(_ moment: Timestamp) throws -> [Timestamp] {
      let turn = try driver.turn(by: ManualClock(moment))
      return try (turn.opened["nightly"] ?? []).map { try #require(try store.run($0)).nominalAt }
    }
    #expect(try opened(.start).isEmpty)
    #expect(try opened(night(1)) == [night(1)])
    // Wrong by the same nights twice.
    for day in Int64(2)...3 {
      #expect(try opened(night(10)) == [night(10)])
      #expect(try opened(night(day) + .seconds(60)) == [night(day)])
      #expect(try opened(night(day) + .seconds(120)).isEmpty)
    }
    // What the schedule goes on from is not deleted for the sake of a time that has not come.
    _ = try store.pruneRecords(before: night(4), limit: 100)
    #expect(try store.standing(of: "nightly", at: night(3) + .seconds(180)).lastNominalAt == night(3))
    for day in Int64(4)...12 { #expect(try opened(night(day)) == [night(day)], "\(day)") }
    // Ahead by less than a day.
    #expect(try opened(night(13)) == [night(13)])
    #expect(try opened(night(12) + .seconds(80_000)).isEmpty)
    #expect(try opened(night(13)) == [night(13)])
  }

  @Test("To ask where a schedule stands changes nothing, even when the clock was set back")
  func standingIsAQuestion() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let store = fixture.store
    let driver = SchedulerDriver([try definition()], store: store)
    for moment in [.start, night(1), night(10)] { _ = try driver.turn(by: ManualClock(moment)) }
    let runs = try store.runs(of: "nightly", limit: 10)
    #expect(try store.standing(of: "nightly", at: night(2)).lastNominalAt == night(1))
    #expect(try store.runs(of: "nightly", limit: 10) == runs)
  }

  @Test("A turn that slept while another opened a night does not take it for a wrong clock's")
  func staleReading() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let store = fixture.store
    let driver = SchedulerDriver([try definition()], store: store)
    for moment in [.start, night(1)] { _ = try driver.turn(by: ManualClock(moment)) }
    let nightly = try definition()
    let slept = SleepingClock([night(1) + .seconds(60), night(2) + .seconds(60)]) {
      _ = try? SchedulerDriver([nightly], store: store).turn(by: ManualClock(night(2)))
    }
    #expect(try driver.turn(by: slept).opened.isEmpty)
    #expect(try driver.turn(by: ManualClock(night(2) + .seconds(120))).opened.isEmpty)
    #expect(try store.runs(of: "nightly", limit: 10).filter { $0.trigger == .operatorRequest }.isEmpty)
  }

  @Test("A clock that is not set yet moves no recorded time, so that nothing is made up for twice")
  func clockUnset() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let driver = SchedulerDriver([try definition("catchup: all")], store: fixture.store)
    _ = try driver.turn(by: ManualClock(.start))
    #expect(try driver.turn(by: ManualClock(night(1))).opened["nightly"]?.count == 1)
    #expect(try driver.turn(by: ManualClock(Timestamp(milliseconds: 5_000))).opened.isEmpty)
    #expect(try driver.turn(by: ManualClock(night(1) + .seconds(60))).opened.isEmpty)
    #expect(try driver.turn(by: ManualClock(night(2))).opened["nightly"]?.count == 1)
  }

  @Test("run-now takes what waits, twice in the same millisecond if need be, and leaves the clock alone")
  func runNow() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let scheduler = SchedulerDriver([try definition()], store: fixture.store)
    _ = try fixture.store.enqueue((1...3).map { try .sample($0, queue: "nightly", isHeld: true) }, at: .start)
    #expect(try scheduler.runNow("nightly", at: night(1))?.members == 3)
    #expect(try scheduler.runNow("nightly", at: night(1))?.members == 0)
    #expect(try scheduler.runNow("no-such", at: night(1)) == nil)
    #expect(
      try fixture.store.standing(of: "nightly", at: night(1)) == ScheduleStanding(lastNominalAt: nil, hasOpenRun: true))
    #expect(try fixture.store.list(JobFilter(state: .ready)).count == 3)
  }
}

/// A clock whose first reading is old when it is used: something happens after it.
private final class SleepingClock: QueueClock {
  private let readings: Mutex<[Timestamp]>
  private let whileAsleep: @Sendable () -> Void

  init(_ readings: [Timestamp], whileAsleep: @escaping @Sendable () -> Void) {
    self.readings = Mutex(readings)
    self.whileAsleep = whileAsleep
  }

  func now() -> Timestamp {
    let (isFirst, reading) = readings.withLock { ($0.count > 1, $0.count > 1 ? $0.removeFirst() : $0[0]) }
    if isFirst { whileAsleep() }
    return reading
  }
}
