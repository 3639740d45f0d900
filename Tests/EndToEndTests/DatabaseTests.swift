import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// The host's database is lost, damaged or put back; real processes, real results.
  @Suite("The host's database")
  struct HostDatabase {
    let office: Office
    init() throws { office = try Office.open() }

    private var state: String { office.theatre.path("host") }
    private func attempts(_ job: String) -> [String] { office.objects(under: "jobs/\(job)/attempts") }

    private func finish(_ name: String) throws -> String {
      let job = try office.submit([try office.documents(3, named: name)])
      #expect(try office.watch(job).status == 0)
      return job
    }

    /// Once the record in the store knows that no queue is paused any more: an earlier test's pause would come back with
    /// it.
    private func stop() throws {
      let limit = Date(timeIntervalSinceNow: 60)
      while Date() < limit, try settingsOnRecord().contains("\"default\":") { usleep(100_000) }
      office.daemon.murder()
      #expect(try office.operate(["queue", "stats"]).status == 5)
    }

    private func settingsOnRecord() throws -> String {
      try office.objects(under: "host/settings").map { name in
        try String(contentsOfFile: "\(office.storeFolder)/host/settings/\(name)", encoding: .utf8)
      }.joined()
    }

    private func removeDatabase() throws {
      for name in try FileManager.default.contentsOfDirectory(atPath: state) where name.hasPrefix("queue.sqlite") {
        try FileManager.default.removeItem(atPath: "\(state)/\(name)")
      }
    }

    /// The queue says finished, the files are the same, and the client's proof holds.
    private func expectUntouched(_ job: String, _ before: [String]) throws {
      let inspected = try office.inspectOnceFinished(job)
      #expect(inspected.output.contains("\(job): finished"), "\(inspected.output) \(inspected.errors)")
      #expect(attempts(job) == before, "nothing was computed again")
      #expect(try office.ephemeral(["receipts", "verify", job]).status == 0)
      #expect(try office.ephemeral(["results", "get", job, "--output", office.newFolder()]).status == 0)
    }

    @Test("With the database deleted nothing committed runs again, results still verify, and new work is done")
    func deleted() throws {
      let jobs = try (0..<3).map { try finish("lost-\($0)") }
      let before = jobs.map(attempts)
      try stop()
      try removeDatabase()
      try office.restartDaemon()
      try office.waitForLog("the queue is up to the store")
      for (job, files) in zip(jobs, before) { try expectUntouched(job, files) }
      let claims = office.daemon.errors.split(separator: "\n").filter { $0.contains("claimed") }
      #expect(!claims.contains { line in jobs.contains { line.contains($0) } }, "no attempt was even begun")
      _ = try finish("after the loss")
      #expect(try office.operate(["db", "check"]).status == 0)
    }

    @Test("With an older backup put back the daemon notices, and what was done since is not done again")
    func backup() throws {
      let first = try finish("before the backup")
      let copy = office.theatre.path("copy.sqlite")
      let made = try office.operate(["db", "backup", copy])
      #expect(made.status == 0 && made.output.contains("checked"), "\(made.errors)")
      #expect(try office.operate(["db", "backup", copy]).status == 1, "never over another")
      let second = try finish("after the backup")
      let before = [first, second].map(attempts)
      try stop()
      try removeDatabase()
      try FileManager.default.copyItem(atPath: copy, toPath: "\(state)/queue.sqlite")
      try office.restartDaemon()
      try office.waitForLog("the database is an older copy")
      try office.waitForLog("the queue is up to the store")
      for (job, files) in zip([first, second], before) { try expectUntouched(job, files) }
    }

    @Test("While the daemon is stopped the verbs open the file, and a daemon that runs elsewhere is named")
    func offline() throws {
      _ = try finish("checked")
      let online = try office.operate(["db", "check", "--json"])
      #expect(online.status == 0 && online.output.contains(#""sound":true"#), "\(online.output) \(online.errors)")
      let elsewhere = try office.theatre.run(
        office.theatre.ephemeral,
        ["db", "check", "--state", state, "--socket", office.theatre.path("no.sock")], environment: office.environment)
      #expect(elsewhere.status == 5 && elsewhere.errors.contains("a daemon has"), "\(elsewhere.errors)")
      try stop()
      let offline = try office.operate(["db", "check", "--state", state])
      #expect(offline.status == 0 && offline.output.contains("sound"), "\(offline.errors)")
      let kept = try office.operate(["db", "backup", "\(state)/backups", "--keep", "2", "--state", state])
      #expect(kept.status == 0, "\(kept.errors)")
      #expect(try office.operate(["db", "migrate", "--dry-run", "--state", state]).status == 0)
      let handle = try #require(FileHandle(forUpdatingAtPath: "\(state)/queue.sqlite"))
      try handle.seek(toOffset: 5000)
      try handle.write(contentsOf: Data(repeating: 0x5A, count: 9000))
      try handle.close()
      let damaged = try office.operate(["db", "check", "--state", state])
      #expect(damaged.status == 1, "\(damaged.output) \(damaged.errors)")
      #expect((damaged.output + damaged.errors).contains("recovery.md"))
      try removeDatabase()
      try office.restartDaemon()
      try office.waitForLog("the queue is up to the store")
    }
  }
}
