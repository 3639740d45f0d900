import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// A folder of documents, synced night by night into a schedule that was added while the daemon ran.
  @Suite("Nights of a schedule")
  struct Nights {
    let office: Office
    init() throws { office = try Office.open() }

    private func last(_ finished: Theatre.Finished) throws -> [String: Any] {
      let line = try #require(finished.output.split(separator: "\n").last, "\(finished.errors)")
      return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    /// One sync, its last event, and the job's name where it sent one.
    private func sync(_ folder: String, _ more: [String] = [], expecting status: Int32 = 0) throws -> [String: Any] {
      let arguments = ["sync", folder, "--schedule", "archive", "--model", office.tiny, "--json"]
      let finished = try office.ephemeral(arguments + more)
      #expect(finished.status == status, "\(finished.output)\n\(finished.errors)")
      return try last(finished)
    }

    private func run(_ night: [String: Any]) throws -> [String: Any] {
      let job = try #require((night["jobs"] as? [String])?.first)
      let run = try last(try office.operate(["schedule", "run-now", "archive", "--json"]))
      #expect(run["members"] as? Int == 1)
      #expect(try office.watch(job).status == 0)
      // The commit, which the watch sees, comes before the queue's row.
      #expect(try office.inspectOnceFinished(job).output.contains("finished"))
      return run
    }

    @Test("Three nights are sealed, run and audited; a schedule outlives the daemon; a removed night is named")
    func nights() throws {
      let theatre = office.theatre
      try theatre.write("archive.yaml", "name: archive\ncron: 30 2 * * *\ntimeZone: Europe/Berlin\n")
      #expect(try office.operate(["schedule", "add", theatre.path("archive.yaml")]).status == 0)
      try theatre.write("wrong.yaml", "name: wrong\ncron: 61 * * * *\n")
      let wrong = try office.operate(["schedule", "add", theatre.path("wrong.yaml")])
      #expect(wrong.status == 64 && wrong.errors.contains("wrong.yaml:2: cron: \"61\" is no minute (0-59)"))

      let folder = try theatre.make("archive")
      for number in 1...3 { try theatre.write("archive/\(number).txt", "a report of the river, number \(number)") }
      let results = office.newFolder()
      let first = try sync(folder, ["--fetch", results])
      #expect(first["new"] as? Int == 3)
      _ = try run(first)

      // The schedule is in the database, and so is its pause.
      #expect(try office.operate(["schedule", "pause", "archive"]).status == 0)
      office.daemon.murder()
      try office.restartDaemon()
      try office.waitForLog("worker is ready")
      let shown = try last(try office.operate(["schedule", "show", "archive", "--json"]))
      #expect(shown["state"] as? String == "paused" && shown["origin"] as? String == "added")
      let runs = try #require(shown["runs"] as? [[String: Any]])
      #expect(runs.first?["status"] as? String == "completed")
      #expect(try office.operate(["schedule", "resume", "archive"]).status == 0)

      try theatre.write("archive/2.txt", "another report of the river")
      try FileManager.default.removeItem(atPath: "\(folder)/3.txt")
      let second = try sync(folder, ["--fetch", results])
      #expect(second["changed"] as? Int == 1 && second["gone"] as? Int == 1 && second["unchanged"] as? Int == 1)
      #expect(FileManager.default.fileExists(atPath: "\(results)/000001/output.jsonl"))
      _ = try run(second)
      let third = try sync(folder, ["--fetch", results])
      #expect(third["unchanged"] as? Int == 2 && third["sequences"] as? [Int] == [3])
      _ = try run(third)

      let audit = ["receipts", "audit", office.store, "--ledger", "--stream", "archive"]
      #expect(try office.ephemeral(audit).status == 0)
      let copy = theatre.path("store-without")
      try FileManager.default.copyItem(atPath: office.storeFolder, toPath: copy)
      let job = try #require((second["jobs"] as? [String])?.first)
      try FileManager.default.removeItem(atPath: "\(copy)/jobs/\(job)")
      let later = ["--as-of", "2100-01-01"]
      let failed = try office.ephemeral(["receipts", "audit", copy] + audit.dropFirst(3) + later)
      #expect(failed.status == 21 && failed.output.contains("number 2: no receipt"), "\(failed.output)")
      #expect(try office.operate(["schedule", "rm", "archive"]).status == 0)
    }
  }
}
