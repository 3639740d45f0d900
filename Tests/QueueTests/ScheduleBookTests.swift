import Foundation
import Testing
import Wire

@testable import Queue

@Suite("Schedules come and go while the daemon runs")
struct ScheduleBookTests {
  private let nightly = "name: nightly\ncron: 0 2 * * *\n"

  private func source(_ text: String, file: String) throws -> ScheduleSource {
    ScheduleSource(file: file, text: text, definition: try ScheduleFile.parse(text, file: file))
  }

  /// 02:00 on the n-th of January 2026.
  private func night(_ day: Int64) -> Timestamp { .start + .seconds((day - 1) * 86_400 + 7_200) }

  @Test("What was added, replaced, paused and removed is so after a crash, and each step twice is as good as once")
  func durable() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    var book = try ScheduleBook(files: [], store: fixture.store)
    #expect(try book.add(nightly, file: "n.yaml", replacing: false, at: .start).1 == .added)
    #expect(try book.add(nightly, file: "n.yaml", replacing: false, at: night(2)).1 == .unchanged)
    try book.setPaused(true, "nightly", at: night(1))
    try book.setPaused(true, "nightly", at: night(2))
    try fixture.crashAndReopen()
    book = try ScheduleBook(files: [], store: fixture.store)
    #expect(book.inForce.map(\.name) == ["nightly"] && book.ticking.isEmpty)
    #expect(book.entry("nightly")?.pausedAt == night(1) && book.entry("nightly")?.origin == .added(at: .start))

    let other = nightly + "catchup: none\n"
    let refusal = #expect(throws: ScheduleError.self) {
      try book.add(other, file: "other.yaml", replacing: false, at: night(3))
    }
    #expect(refusal?.description.contains("--replace") == true)
    #expect(try book.add(other, file: "other.yaml", replacing: true, at: night(3)).1 == .replaced)
    #expect(book.entry("nightly")?.definition?.catchup == Catchup.none && book.entry("nightly")?.pausedAt == night(1))
    try book.setPaused(false, "nightly", at: night(3))
    #expect(book.ticking.count == 1)
    #expect(try book.remove("nightly") && !(try book.remove("nightly")))
    try fixture.crashAndReopen()
    #expect(try ScheduleBook(files: [], store: fixture.store).entries.isEmpty)
  }

  @Test("A definition with a mistake is refused with file and line, and nothing is kept of it")
  func mistakes() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let book = try ScheduleBook(files: [], store: fixture.store)
    let error = #expect(throws: ScheduleError.self) {
      try book.add("name: a\ncron: 0 25 * * *\n", file: "a.yaml", replacing: false, at: .start)
    }
    #expect(error?.description == "a.yaml:2: cron: \"25\" is no hour (0-23)")
    let long = "name: a\nsummary: " + String(repeating: "x", count: ScheduleBook.textLimit) + "\n"
    #expect(throws: ScheduleError.self) { try book.add(long, file: "a.yaml", replacing: false, at: .start) }
    #expect(try book.entries.isEmpty && fixture.store.savedSchedules().isEmpty)
  }

  @Test("A file wins over an added schedule of its name or its inbox, and the other is kept and says why it is off")
  func precedence() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let before = try ScheduleBook(files: [], store: fixture.store)
    _ = try before.add(nightly, file: "n.yaml", replacing: false, at: .start)
    _ = try before.add("name: b\nqueue: shared\n", file: "b.yaml", replacing: false, at: .start)
    let taken = #expect(throws: ScheduleError.self) {
      try before.add("name: c\nqueue: shared\n", file: "c.yaml", replacing: false, at: .start)
    }
    #expect(taken?.description == "c.yaml: schedule b already takes what is in the inbox shared")

    let files = [
      try source("name: nightly\ncron: 0 5 * * *\n", file: "x.yaml"),
      try source("name: d\nqueue: shared\n", file: "d.yaml"),
    ]
    let book = try ScheduleBook(files: files, store: fixture.store)
    #expect(book.inForce.map(\.name) == ["d", "nightly"])
    #expect(book.entry("nightly")?.origin == .file("x.yaml"))
    #expect(book.entry("b")?.trouble == "schedule d of the file d.yaml has its name or its inbox")
    #expect(book.entries.count == 4)
    let defined = #expect(throws: ScheduleError.self) {
      try book.add(nightly, file: "n.yaml", replacing: true, at: .start)
    }
    #expect(defined?.description.contains("the file x.yaml") == true)
    // A pause is the name's, and a file's schedule has it too.
    try book.setPaused(true, "nightly", at: night(1))
    #expect(try ScheduleBook(files: files, store: fixture.store).ticking.map(\.name) == ["d"])
    // Without the files the added ones are in force again.
    #expect(try ScheduleBook(files: [], store: fixture.store).inForce.map(\.name) == ["b", "nightly"])
  }

  @Test("Times of a schedule count from its adding, also when it comes again or gets another calendar")
  func countsFromAdding() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let book = try ScheduleBook(files: [], store: fixture.store)
    func opened(_ now: Timestamp) throws -> Int {
      try SchedulerDriver(book.ticking, store: fixture.store).turn(by: ManualClock(now)).opened["nightly"]?.count ?? 0
    }
    _ = try book.add(nightly, file: "n.yaml", replacing: false, at: night(2) + .seconds(60))
    #expect(try opened(night(2) + .seconds(120)) == 0)
    #expect(try opened(night(3) + .seconds(5)) == 1)
    _ = try book.remove("nightly")
    _ = try book.add(nightly, file: "n.yaml", replacing: false, at: night(6) + .seconds(3600))
    #expect(try opened(night(6) + .seconds(3700)) == 0)
    let earlier = "name: nightly\ncron: 0 1 * * *\n"
    _ = try book.add(earlier, file: "n.yaml", replacing: true, at: night(7) + .seconds(-60))
    #expect(try opened(night(7)) == 0)
    #expect(try opened(night(8)) == 1)
  }

  @Test("A paused schedule keeps its bundles, and after the pause one run takes them all", arguments: Catchup.allCases)
  func pause(catchup: Catchup) throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let book = try ScheduleBook(files: [], store: fixture.store)
    let text = nightly + "overlap: queue\ncatchup: \(catchup.rawValue)\n"
    _ = try book.add(text, file: "n.yaml", replacing: false, at: .start)
    try book.setPaused(true, "nightly", at: .start)
    for day in 1...9 {
      _ = try fixture.store.enqueue([.sample(UInt64(day), queue: "nightly", isHeld: true)], at: night(Int64(day)))
      #expect(
        try SchedulerDriver(book.ticking, store: fixture.store).turn(by: ManualClock(night(Int64(day)))).opened.isEmpty)
    }
    #expect(try fixture.store.list(JobFilter(state: .held)).count == 9)
    let now = night(10) + .seconds(3600)
    let machine = SchedulerMachine(try #require(book.inForce.first))
    if case .skip(let nominalAt, let reason) = machine.resumption(
      try fixture.store.standing(of: "nightly", at: now), at: now)
    {
      try fixture.store.skipRun(schedule: "nightly", nominalAt: nominalAt, reason: reason, at: now)
    }
    try book.setPaused(false, "nightly", at: now)
    let driver = SchedulerDriver(book.ticking, store: fixture.store)
    #expect(try driver.turn(by: ManualClock(now)).opened["nightly"]?.count ?? 0 == (catchup == Catchup.none ? 0 : 1))
    #expect(try driver.turn(by: ManualClock(night(11))).opened["nightly"]?.count == 1)
    #expect(try fixture.store.list(JobFilter(state: .held)).isEmpty)
    let runs = try fixture.store.runs(of: "nightly", limit: 100).filter { $0.skipped == nil }
    #expect(runs.map { $0.members[.ready] ?? 0 }.reduce(0, +) == 9)
  }

  @Test("A run has one word for what it came to")
  func status() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    func run(_ number: UInt64, _ outcomes: [JobOutcome?]) throws -> RunStatus? {
      let jobs = try outcomes.indices.map {
        try NewJob.sample(number * 100 + UInt64($0), queue: "nightly", isHeld: true)
      }
      _ = try fixture.store.enqueue(jobs, at: .start)
      let queue = try queueName("nightly")
      _ = try fixture.store.openRun(
        NewRun(schedule: "nightly", nominalAt: night(Int64(number)), trigger: .clock, queue: queue), at: .start)
      for (job, outcome) in zip(jobs, outcomes) {
        if let outcome { _ = try fixture.store.adopt(.sample(1, outcome), of: job.name, at: .start) }
      }
      return try fixture.store.runs(of: "nightly", limit: 1).first?.status
    }
    #expect(try run(1, []) == .completed)
    #expect(try run(2, [.completed, .completed]) == .completed)
    #expect(try run(3, [.completed, nil]) == .running)
    #expect(try run(4, [.completed, .refused]) == .partial)
    #expect(try run(5, [.partial]) == .partial)
    #expect(try run(6, [.failed, .refused]) == .failed)
    try fixture.store.skipRun(schedule: "nightly", nominalAt: night(7), reason: .overlap, at: .start)
    #expect(try fixture.store.runs(of: "nightly", limit: 1).first?.status == .skipped)
  }

  @Test("A saved definition that this version cannot read stops no daemon")
  func unreadable() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    try fixture.store.saveSchedule("later", text: "name: later\nweather: fine\n", countsAnew: true, at: .start)
    let book = try ScheduleBook(files: [], store: fixture.store)
    #expect(book.inForce.isEmpty)
    #expect(book.entry("later")?.trouble == "it cannot be read: later:2: unknown key weather")
    #expect(try book.remove("later"))
  }
}
