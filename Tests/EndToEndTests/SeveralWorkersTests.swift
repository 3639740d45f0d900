import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// One daemon by its configuration file, two real workers, one of which it starts itself.
  @Suite("Several workers of one daemon")
  struct SeveralWorkers {
    /// An office of its own, whose daemon is started anew by a file.
    private func office() throws -> Office {
      let office = try Office(over: nil, tinyAlone: true)
      office.daemon.stop()
      return office
    }

    /// Starts the daemon with a worker `a` that runs and a worker `b` that it starts.
    private func daemon(_ office: Office, drainSeconds: Int = 60) throws -> TheatreProcess {
      let theatre = office.theatre
      try theatre.write(
        "daemon.yaml",
        """
        store: \(office.store)
        state: \(theatre.path("host"))
        socket: \(office.socket)
        relay_target: unix:\(theatre.kms)
        relay_listen: unix:\(theatre.path("host.relay"))
        policy_key: \(theatre.path("officer/policy.pub"))
        aws_profile: \(theatre.cloudState)/credentials:host
        poll_seconds: 0.1
        drain_seconds: \(drainSeconds)
        log_format: json
        workers:
          - name: a
            endpoint: unix:\(theatre.path("worker.sock"))
          - name: b
            endpoint: unix:\(theatre.path("b.sock"))
            start:
              command: [\(theatre.worker.path), --image, \(office.image), --listen, "unix:\(theatre.path("b.sock"))"]
              stop_seconds: 5
        """)
      return try theatre.start(
        theatre.ephemeral, ["daemon", "run", "--config", theatre.path("daemon.yaml")],
        environment: office.environment)
    }

    private func rows(_ office: Office) throws -> [[String: Any]] {
      let finished = try office.operate(["workers", "list", "--json"])
      let object = try JSONSerialization.jsonObject(with: Data(finished.output.utf8)) as? [String: Any]
      return object?["workers"] as? [[String: Any]] ?? []
    }

    private func isCommitted(_ job: String, _ office: Office) -> Bool {
      FileManager.default.fileExists(atPath: "\(office.storeFolder)/jobs/\(job)/commit.json")
    }

    /// Waits until the daemon says so of its workers.
    private func wait(_ office: Office, _ what: String, until isSo: ([[String: Any]]) -> Bool) throws {
      let limit = Date(timeIntervalSinceNow: 150)
      while true {
        let rows = (try? rows(office)) ?? []
        if isSo(rows) { return }
        guard Date() < limit else { throw TheatreError("\(what): \(rows)") }
        usleep(50_000)
      }
    }

    private func state(_ rows: [[String: Any]], _ name: String) -> String? {
      rows.first { $0["worker"] as? String == name }?["state"] as? String
    }

    @Test("both work, one killed costs nobody a job, it is started again, and a stop ends it; every log line is JSON")
    func killed() throws {
      let office = try office()
      let daemon = try daemon(office)
      defer { daemon.stop() }
      let shown = try office.ephemeral(
        ["config", "show", "--daemon", "--config", office.theatre.path("daemon.yaml"), "--json"])
      #expect(
        shown.output.contains(#"{"key":"poll_seconds","value":"0.1","origin":"file","where":"#), "\(shown.output)")
      #expect(shown.output.contains(#"{"key":"drain_seconds","value":"60","origin":"file","where":"#))
      #expect(shown.output.contains(#""origin":"environment","where":"environment EPHEMERAL_STORE"}"#))
      let client = try office.ephemeral(["config", "show", "--profile", "dev"])
      #expect(client.output.contains("flag --profile") && client.output.contains("environment EPHEMERAL_STORE"))
      try wait(office, "both are ready") { rows in ["a", "b"].allSatisfy { state(rows, $0) == "ready" } }
      let input = try office.documents(2000, named: "two")
      // As many jobs as it takes until a look finds it at work: how long one takes is the machine's matter.
      var jobs = try (0..<2).map { _ in try office.submit([input]) }
      try wait(office, "b is busy") { rows in
        if state(rows, "b") == "busy" { return true }
        if jobs.count < 30, let job = try? office.submit([input]) { jobs.append(job) }
        return false
      }
      let pid = try #require(try rows(office).first { $0["worker"] as? String == "b" }?["pid"] as? Int)
      kill(Int32(pid), SIGKILL)
      for job in jobs {
        #expect(try office.watch(job).status == 0, "\(daemon.tail)")
        #expect(try office.ephemeral(["receipts", "verify", job]).status == 0)
      }
      var again = pid
      try wait(office, "b is back") { rows in
        again = rows.first { $0["worker"] as? String == "b" }?["pid"] as? Int ?? pid
        return again != pid && ["ready", "busy"].contains(state(rows, "b"))
      }
      #expect(office.objects(under: "epochs") == ["1/announcement.cose", "1/seed.age"], "one made it, both opened it")
      #expect(try office.operate(["daemon", "status"]).output.contains("2 of 2 workers take jobs"))
      #expect(try office.operate(["workers", "drain", "a"]).status == 0)
      #expect(try office.operate(["workers", "drain", "nobody"]).status == 10)
      let alone = try office.submit([try office.documents(3, named: "alone")])
      #expect(try office.watch(alone).status == 0)
      #expect(try office.operate(["queue", "inspect", alone, "--json"]).output.contains(#""worker":"b""#))
      daemon.signal(SIGTERM)
      #expect(try daemon.wait(seconds: 150) == 0)
      #expect(kill(Int32(again), 0) != 0, "its program ends with the daemon")
      for line in daemon.errors.split(separator: "\n") {
        let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        #expect(object?["time"] is String && object?["message"] is String, "\(line)")
      }
    }

    @Test("SIGTERM lets the attempt under way end; a second signal gives it back, and it costs none")
    func drained() throws {
      let office = try office()
      var daemon = try daemon(office)
      try wait(office, "both are ready") { rows in ["a", "b"].allSatisfy { state(rows, $0) == "ready" } }
      let input = try office.documents(3000, named: "drained")
      let job = try office.submit([input])
      try wait(office, "one is busy, or was") { rows in
        ["a", "b"].contains { state(rows, $0) == "busy" } || isCommitted(job, office)
      }
      daemon.signal(SIGTERM)
      #expect(try daemon.wait(seconds: 150) == 0)
      #expect(isCommitted(job, office), "\(daemon.tail)")

      daemon = try self.daemon(office)
      try wait(office, "both are ready") { rows in ["a", "b"].allSatisfy { state(rows, $0) == "ready" } }
      let other = try office.submit([try office.documents(20_000, named: "given-back")])
      try wait(office, "one is busy, or was") { rows in
        ["a", "b"].contains { state(rows, $0) == "busy" } || isCommitted(other, office)
      }
      daemon.signal(SIGTERM)
      try office.waitForLog("daemon is draining", of: daemon)
      daemon.signal(SIGTERM)
      #expect(try daemon.wait(seconds: 150) == 0)
      if !isCommitted(other, office) {
        #expect(daemon.errors.contains("a second signal: stopping at once"))
        #expect(daemon.errors.contains("given back"), "\(daemon.tail)")
      }
      daemon = try self.daemon(office)
      defer { daemon.stop() }
      #expect(try office.watch(other).status == 0)
      let inspected = try office.operate(["queue", "inspect", other, "--json"])
      #expect(inspected.output.contains(#""strikes":0"#), "\(inspected.output)")
    }
  }
}
