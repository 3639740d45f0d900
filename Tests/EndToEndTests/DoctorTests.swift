import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// `ephemeral doctor` on a host that works, and on the same host with one thing broken at a time.
  @Suite("The doctor's visit")
  struct DoctorVisit {
    let office: Office
    init() throws { office = try Office.open() }

    private func visit(_ changes: [String: String] = [:]) throws -> Theatre.Finished {
      let settings = [
        "--store": office.store, "--state": office.theatre.path("host"),
        "--worker": "unix:\(office.theatre.path("worker.sock"))", "--relay-target": "unix:\(office.theatre.kms)",
        "--socket": office.socket, "--policy-key": office.theatre.path("officer/policy.pub"),
        "--schedules": office.theatre.path("schedules"),
      ].merging(changes) { $1 }
      return try office.theatre.run(
        office.theatre.ephemeral, ["doctor", "--json"] + settings.flatMap { [$0.key, $0.value] },
        environment: office.environment)
    }

    private func levels(_ visit: Theatre.Finished) throws -> [String: String] {
      let object = try #require(
        try JSONSerialization.jsonObject(with: Data(visit.output.utf8)) as? [String: Any], "\(visit.errors)")
      let checks = try #require(object["checks"] as? [[String: Any]])
      return Dictionary(
        checks.map { ($0["check"] as? String ?? "", $0["level"] as? String ?? "") }, uniquingKeysWith: { $1 })
    }

    @Test("On a development host nothing fails; that the evidence is no production's is a warning, which is exit 3")
    func sound() throws {
      let visit = try visit()
      let levels = try levels(visit)
      #expect(visit.status == 3, "\(visit.output)\(visit.errors)")
      #expect(!levels.values.contains("fail"), "\(visit.output)")
      for check in [
        "store", "store conditions", "policy", "sealing key", "worker worker-1", "kms", "daemon", "database",
      ] {
        #expect(levels[check] == "ok", "\(check): \(visit.output)")
      }
      #expect(levels["worker worker-1 evidence"] == "warn" && levels["worker worker-1 image"] == "ok")
      #expect(office.objects(under: "host/doctor").isEmpty)
      let words = try office.theatre.run(
        office.theatre.ephemeral, ["doctor", "--state", office.theatre.path("nobody")],
        environment: ["HOME": office.theatre.path("nobody")])
      #expect(words.output.contains("→"), "\(words.output)")
    }

    @Test("What is broken is named, with exit 1")
    func broken() throws {
      for (changes, check) in [
        (["--worker": "unix:\(office.theatre.path("none.sock"))"], "worker worker-1"),
        (["--relay-target": "unix:\(office.theatre.path("none.sock"))"], "kms"),
        (["--store": "file:///nowhere/at/all"], "store"),
        (["--policy-key": office.theatre.path("schedules/nightly.yaml")], "configuration"),
        (["--relay-target": "nonsense"], "configuration"),
      ] {
        let visit = try visit(changes)
        #expect(visit.status == 1, "\(check): \(visit.output)")
        #expect(try levels(visit)[check] == "fail", "\(check): \(visit.output)")
      }
      let daemonless = try visit(["--socket": office.theatre.path("none.sock")])
      #expect(daemonless.status == 1, "the database is another's")
      #expect(daemonless.output.contains("another socket"))
    }
  }
}
