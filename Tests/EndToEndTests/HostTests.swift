import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// The host's processes are killed at any point; each job is finished once.
  @Suite("The host's processes")
  struct HostProcesses {
    let office: Office
    init() throws { office = try Office.open() }

    /// When a process is killed.
    private enum Moment: Sendable, CustomStringConvertible {
      /// So long after the upload: before the claim, mostly.
      case afterUpload(milliseconds: UInt32)
      /// So long after the daemon wrote that it claimed the job: while it streams.
      case afterClaim(milliseconds: UInt32)
      /// As soon as the commit is in the store: before the queue knows it.
      case atCommit

      var description: String {
        switch self {
        case .afterUpload(let milliseconds): "\(milliseconds) ms after the upload"
        case .afterClaim(let milliseconds): "\(milliseconds) ms after the claim"
        case .atCommit: "at the commit"
        }
      }
    }

    private func commitPath(_ job: String) -> String { "\(office.storeFolder)/jobs/\(job)/commit.json" }

    /// Waits for a moment of a job's life; returns early when the job is over.
    private func wait(for moment: Moment, of job: String) throws {
      let limit = Date(timeIntervalSinceNow: 60)
      let isOver = { FileManager.default.fileExists(atPath: commitPath(job)) }
      switch moment {
      case .afterUpload(let milliseconds): usleep(milliseconds * 1000)
      case .afterClaim(let milliseconds):
        while Date() < limit, !isOver(), !claimed(job, in: office.daemon.errors) { usleep(500) }
        usleep(milliseconds * 1000)
      case .atCommit: while Date() < limit, !isOver() { usleep(200) }
      }
    }

    private func claimed(_ job: String, in log: String) -> Bool {
      log.split(separator: "\n").contains { $0.contains("claimed") && $0.contains(job) }
    }

    /// One commit, never changed, a receipt that verifies, every item there, and the queue at rest.
    private func expectFinishedOnce(_ job: String, items: Int, firstCommit: Data?, _ what: String) throws {
      let watched = try office.watch(job)
      #expect(watched.status == 0, "\(what): \(watched.errors)\n\(office.daemon.errors.suffix(2000))")
      let commit = try Data(contentsOf: URL(filePath: commitPath(job)))
      if let firstCommit { #expect(commit == firstCommit, "\(what): the commit was changed") }
      #expect(try office.ephemeral(["receipts", "verify", job]).status == 0, "\(what)")
      let folder = office.newFolder()
      #expect(try office.ephemeral(["results", "get", job, "--output", folder]).status == 0, "\(what)")
      let lines = try String(contentsOfFile: folder + "/output.jsonl", encoding: .utf8).split(separator: "\n")
      #expect(lines.count == items, "\(what)")
      let inspected = try office.inspectOnceFinished(job)
      #expect(inspected.output.contains("\(job): finished"), "\(what): \(inspected.output)")
      #expect(try Data(contentsOf: URL(filePath: commitPath(job))) == commit, "\(what)")
    }

    @Test(
      "The daemon killed with SIGKILL twelve times, before the claim, while streaming, and at the commit, finishes each job once"
    )
    func killedDaemon() throws {
      let items = 3000
      let input = try office.documents(items, named: "killed")
      let plays: [[Moment]] = [
        [.afterUpload(milliseconds: 0), .afterClaim(milliseconds: 2), .atCommit],
        [.afterClaim(milliseconds: 10), .afterClaim(milliseconds: 40), .atCommit],
        [.afterUpload(milliseconds: 60), .afterClaim(milliseconds: 80), .atCommit],
        [.afterUpload(milliseconds: 120), .afterClaim(milliseconds: 150), .afterClaim(milliseconds: 300)],
      ]
      for moments in plays {
        let job = try office.submit([input])
        var firstCommit: Data?
        for moment in moments {
          try wait(for: moment, of: job)
          office.daemon.murder()
          firstCommit = firstCommit ?? (try? Data(contentsOf: URL(filePath: commitPath(job))))
          try office.restartDaemon()
        }
        try expectFinishedOnce(job, items: items, firstCommit: firstCommit, "\(moments)")
      }
      #expect(office.worker.isAlive, "the worker outlives every daemon")
    }

    @Test(
      "The worker killed with SIGKILL while it computes costs an attempt: the next boot opens the stored epoch and finishes once"
    )
    func killedWorker() throws {
      let items = 3000
      let input = try office.documents(items, named: "worker-killed")
      for milliseconds in [UInt32(5), 60] {
        let job = try office.submit([input])
        try wait(for: .afterClaim(milliseconds: milliseconds), of: job)
        office.worker.murder()
        let firstCommit = try? Data(contentsOf: URL(filePath: commitPath(job)))
        try office.restartWorker()
        try expectFinishedOnce(job, items: items, firstCommit: firstCommit, "\(milliseconds) ms after the claim")
      }
      #expect(office.objects(under: "epochs") == ["1/announcement.cose", "1/seed.age"], "no epoch was made anew")
    }

    @Test("A second daemon on the same state refuses to start")
    func secondDaemon() throws {
      let second = try office.theatre.run(
        office.theatre.ephemeral,
        [
          "daemon", "run", "--store", office.store, "--state", office.theatre.path("host"), "--worker",
          "unix:\(office.theatre.path("worker.sock"))", "--relay-target", "unix:\(office.theatre.kms)",
          "--relay-listen",
          "unix:\(office.theatre.path("relay-2.sock"))", "--socket", office.theatre.path("daemon-2.sock"),
        ], environment: office.environment, seconds: 60)
      #expect(second.status == 1, "\(second.errors)")
      #expect(office.daemon.isAlive)
    }

    @Test("What waits in a schedule's inbox is run by run-now, all of it, and not before")
    func schedule() throws {
      let jobs = try (0..<3).map {
        try office.submit([try office.documents(2, named: "nightly-\($0)"), "--schedule", "nightly"])
      }
      usleep(700_000)
      for job in jobs { #expect(!FileManager.default.fileExists(atPath: commitPath(job)), "not before its run") }
      let run = try office.operate(["schedule", "run-now", "nightly"])
      #expect(run.status == 0, "\(run.errors)")
      #expect(run.output.contains("took 3 bundles"), "\(run.output)")
      for job in jobs { #expect(try office.watch(job).status == 0) }
      let again = try office.operate(["schedule", "run-now", "nightly"])
      #expect(again.output.contains("took 0 bundles"), "\(again.output)")
      #expect(try office.operate(["schedule", "show", "nightly"]).status == 0)
      #expect(try office.operate(["schedule", "run-now", "no-such"]).status == 10)
    }

    @Test("SIGHUP takes new schedules over while jobs run on; a mistake leaves everything as it was, and is said")
    func reload() throws {
      let file = "schedules/weekly.yaml"
      defer { try? FileManager.default.removeItem(atPath: office.theatre.path(file)) }
      try office.theatre.write(file, "name: weekly\ncron: 0 3 * * 0\n")
      #expect(try office.operate(["schedule", "show", "weekly"]).status == 10, "not before it is told to")
      let pid = office.daemon.pid
      office.daemon.signal(SIGHUP)
      try office.waitForLog("configuration read again")
      #expect(try office.operate(["schedule", "show", "weekly"]).status == 0)
      try office.theatre.write(file, "name: weekly\ncron: 61 3 * * 0\n")
      office.daemon.signal(SIGHUP)
      try office.waitForLog("the configuration stays as it was")
      #expect(office.daemon.errors.contains("weekly.yaml:2"))
      #expect(try office.operate(["schedule", "show", "weekly"]).output.contains("0 3 * * 0"))
      try FileManager.default.removeItem(atPath: office.theatre.path(file))
      office.daemon.signal(SIGHUP)
      let limit = Date(timeIntervalSinceNow: 150)
      while try office.operate(["schedule", "show", "weekly"]).status != 10, Date() < limit { usleep(50_000) }
      #expect(try office.operate(["schedule", "show", "weekly"]).status == 10)
      let job = try office.submit([try office.documents(2, named: "after-the-reload")])
      #expect(try office.watch(job).status == 0)
      #expect(office.daemon.isAlive && office.daemon.pid == pid)
    }

    @Test("Operator's commands answer in a table and in JSON, and an absent daemon is exit 5")
    func operatorCommands() throws {
      for command in [["queue", "stats"], ["queue", "list"], ["schedule", "list"], ["epochs", "list"]] {
        #expect(try office.operate(command).status == 0, "\(command)")
        let json = try office.operate(command + ["--json"])
        #expect(json.status == 0)
        for line in json.output.split(separator: "\n") {
          #expect((try? JSONSerialization.jsonObject(with: Data(line.utf8))) != nil, "\(command): \(line)")
        }
      }
      for (path, mode) in [("host", 0o700), ("daemon.sock", 0o600), ("host.relay", 0o600)] {
        let attributes = try FileManager.default.attributesOfItem(atPath: office.theatre.path(path))
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == mode, "\(path)")
      }
      let refusal = try office.operate(["queue", "pause", "nosuch", "--json"])
      #expect(refusal.status == 10 && refusal.output.contains(#""remedy":"name one of: default"#), "\(refusal.output)")
      #expect(try office.operate(["queue", "cancel", String(repeating: "ab", count: 32)]).status == 10)
      let nobody = try office.theatre.run(
        office.theatre.ephemeral, ["queue", "stats", "--socket", office.theatre.path("no.sock")],
        environment: office.environment)
      #expect(nobody.status == 5)
    }
  }
}
