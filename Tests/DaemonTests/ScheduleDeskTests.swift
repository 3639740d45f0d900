import Foundation
import ObjectStore
import Queue
import Testing
import Wire

@testable import JobRunner

@Suite("What the daemon answers about schedules", .timeLimit(.minutes(15)))
struct ScheduleDeskTests {
  private let nightly = "name: nightly\nsummary: Every night\ncron: 30 2 * * *\ntimeZone: Europe/Berlin\n"

  private func file(_ text: String) throws -> ScheduleSource {
    ScheduleSource(file: "n.yaml", text: text, definition: try ScheduleFile.parse(text, file: "n.yaml"))
  }

  private func add(_ text: String, replace: Bool = false) -> OperatorRequest {
    OperatorRequest(verb: .scheduleAdd, definition: text, file: "n.yaml", replace: replace)
  }

  @Test("A schedule is added, listed with its origin, shown, paused, resumed and removed")
  func life() throws {
    let host = try TestDaemon()
    let desk = try host.desk()
    let added = try desk.answer(add(nightly))
    #expect(added.facts?["effect"] == .text("added") && added.facts?["next_ms"] != .null)
    #expect(try desk.answer(add(nightly)).facts?["effect"] == .text("unchanged"))
    var row = try #require(try desk.answer(OperatorRequest(verb: .scheduleList)).table?.rows.first)
    #expect(row["schedule"] == .text("nightly") && row["origin"] == .text("added") && row["state"] == .text("active"))
    let shown = try desk.answer(OperatorRequest(verb: .scheduleShow, schedule: "nightly"))
    #expect(shown.facts?["definition"] == .text(nightly) && shown.facts?["state"] == .text("active"))
    #expect(shown.details?.contains { $0.contains("30 2 * * * in Europe/Berlin; next ") } == true)
    #expect(shown.table?.rows.first?["skipped"] == .text("added"))

    #expect(try desk.answer(OperatorRequest(verb: .schedulePause, schedule: "nightly")).facts?["paused"] == .bool(true))
    row = try #require(try desk.answer(OperatorRequest(verb: .scheduleList)).table?.rows.first)
    #expect(row["state"] == .text("paused") && row["next_ms"] == .null)
    #expect(try desk.answer(OperatorRequest(verb: .scheduleResume, schedule: "nightly")).error == nil)
    #expect(try desk.answer(OperatorRequest(verb: .scheduleRemove, schedule: "nightly")).error == nil)
    let gone = try desk.answer(OperatorRequest(verb: .scheduleRemove, schedule: "nightly"))
    #expect(gone.isMissing == true && gone.remedy?.contains("schedule add") == true)
  }

  @Test("A mistake is named with its line; a file's schedule is neither replaced nor removed here")
  func refusals() throws {
    let host = try TestDaemon()
    let desk = try host.desk(files: [try file(nightly)])
    let mistake = try desk.answer(add("name: b\ncron: 61 * * * *\n"))
    #expect(mistake.error == "n.yaml:2: cron: \"61\" is no minute (0-59)" && mistake.isMissing == nil)
    #expect(try desk.answer(add("name: nightly\n", replace: true)).error?.contains("by the file n.yaml") == true)
    let removal = try desk.answer(OperatorRequest(verb: .scheduleRemove, schedule: "nightly"))
    #expect(removal.remedy?.contains("restart the daemon") == true)
    for verb in [OperatorRequest.Verb.scheduleShow, .scheduleNext, .scheduleRun, .schedulePause, .scheduleResume] {
      let reply = try desk.answer(OperatorRequest(verb: verb, schedule: "nosuch"))
      #expect(reply.isMissing == true && reply.remedy == "name one of: nightly")
    }
  }

  @Test("The next times are told in the schedule's zone, with a note where daylight saving moves them")
  func next() throws {
    let host = try TestDaemon()
    let desk = try host.desk(files: [try file("name: nightly\ncron: 30 2 29 3 *\ntimeZone: Europe/Berlin\n")])
    let reply = try desk.answer(OperatorRequest(verb: .scheduleNext, schedule: "nightly", limit: 60))
    let rows = try #require(reply.table?.rows)
    // 29 March is a Sunday, and so the day of the change, in 2026, 2037, 2043, 2048, …
    let noted = rows.filter { $0["note"] != .null }
    #expect(rows.count == 60 && noted.count > 4)
    #expect(noted.allSatisfy { $0["note"] == .text("skipped hour (02:30): runs at 03:00") })
  }

  @Test("A run takes what was uploaded a moment ago, paused or not, and what waits keeps a schedule from its removal")
  func runNow() throws {
    let host = try TestDaemon()
    let desk = try host.desk()
    _ = try desk.answer(add("name: nightly\nqueue: default\n"))
    _ = try desk.answer(OperatorRequest(verb: .schedulePause, schedule: "nightly"))
    let job = try host.upload("one", enqueued: false)
    let run = try desk.answer(OperatorRequest(verb: .scheduleRun, schedule: "nightly"))
    #expect(run.facts?["members"] == .number(1) && run.facts?["status"] == .text("running"))
    #expect(try host.state(of: job) == .ready)
    guard case .number(let number) = run.facts?["run"] else {
      Issue.record("no run")
      return
    }
    let members = try desk.answer(OperatorRequest(verb: .scheduleShow, schedule: "nightly", run: number))
    #expect(members.table?.rows.map { $0["job"] } == [.text(job.hex)])

    let held = try host.upload("two", enqueued: false)
    let intake = try host.intake(schedules: desk.schedules)
    intake.start()
    defer { intake.stop(within: 5) }
    try eventually { try host.state(of: held) == .held }
    let refused = try desk.answer(OperatorRequest(verb: .scheduleRemove, schedule: "nightly"))
    #expect(refused.error?.contains("1 bundle waits") == true)
    #expect(try desk.answer(OperatorRequest(verb: .scheduleRemove, schedule: "nightly", force: true)).error == nil)
    let list = try desk.answer(OperatorRequest(verb: .scheduleList))
    #expect(list.message?.contains("default (1)") == true)
    // What comes from now on belongs to no schedule.
    let free = try host.upload("three", enqueued: false)
    try eventually { try host.state(of: free) == .ready }
    #expect(try host.state(of: held) == .held)
  }
}
