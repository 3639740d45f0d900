import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// The same over S3, with a server on loopback.
  @Suite("S3")
  struct ObjectStorage {
    @Test(
      "A job over S3, from submit to a verified receipt, with every party at its own process",
      .enabled(if: Need.moto.isMet, "\(Need.moto.comment)"))
    func wholeWay() throws {
      _ = try Need.moto.require()
      let folder = "/tmp/eml-s3-\(UUID().uuidString.prefix(8))"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let script = Checkout.root.appending(path: "scripts/moto.sh")
      let path = ["PATH": "/usr/local/bin:/usr/bin:/bin"]
      let started = try TheatreProcess(
        script, ["start", folder, "\(getpid())"], environment: path, directory: folder, logs: folder + "/start")
      #expect(try started.wait(seconds: 60) == 0, "\(started.tail)")
      defer {
        _ = try? TheatreProcess(script, ["stop", folder], environment: path, directory: "/", logs: folder + "/stop")
          .wait(seconds: 20)
      }
      var environment: [String: String] = [:]
      for line in try String(contentsOfFile: folder + "/moto.env", encoding: .utf8).split(separator: "\n") {
        let parts = line.split(separator: "=", maxSplits: 1)
        if parts.count == 2 { environment[String(parts[0])] = parts[1].trimmingCharacters(in: ["'", "\""]) }
      }
      let endpoint = try #require(environment["EPHEMERALML_S3_ENDPOINT"])
      let office = try Office(over: ("s3://bucket/tests?endpoint=\(endpoint)&region=us-east-1", environment))
      defer {
        office.daemon.stop()
        office.worker.stop()
      }
      let job = try office.submit([try office.documents(10, named: "s3")])
      let watched = try office.watch(job)
      #expect(watched.status == 0, "\(watched.errors)\n\(office.daemon.errors.suffix(2000))")
      let results = office.newFolder()
      let got = try office.ephemeral(["results", "get", job, "--output", results])
      #expect(got.status == 0, "\(got.errors)")
      #expect(got.output.contains("receipt verified: completed, 10 items, 0 failed"))
    }
  }
}
