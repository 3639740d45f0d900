import Foundation

/// A moto server (S3 and SQS on loopback) as a program beside the test, which scripts/moto.sh starts on a free port; it
/// ends with this object, or else with the test process.
package final class MotoProcess: Sendable {
  /// Such as `http://127.0.0.1:41234`. There is a bucket called `bucket`.
  package let endpoint: String
  /// What AWS's tools need in their environment.
  package let environment: [String: String]
  /// A folder for what belongs to it.
  package let folder: String
  private static let script = Checkout.root.appending(path: "scripts/moto.sh")
  private static let path = ["PATH": "/usr/local/bin:/usr/bin:/bin"]

  /// - Throws: ``TheatreError``; what ``Need/moto`` throws where it is not here.
  package init() throws {
    _ = try Need.moto.require()
    folder = "/tmp/eml-s3-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let started = try TheatreProcess(
      Self.script, ["start", folder, "\(getpid())"], environment: Self.path, directory: folder, logs: folder + "/start")
    guard try started.wait() == 0 else { throw TheatreError("moto does not start: \(started.tail)") }
    var environment: [String: String] = [:]
    for line in try String(contentsOfFile: folder + "/moto.env", encoding: .utf8).split(separator: "\n") {
      let parts = line.split(separator: "=", maxSplits: 1)
      if parts.count == 2 { environment[String(parts[0])] = parts[1].trimmingCharacters(in: ["'", "\""]) }
    }
    guard let endpoint = environment["EPHEMERALML_S3_ENDPOINT"] else { throw TheatreError("moto names no endpoint") }
    self.environment = environment
    self.endpoint = endpoint
  }

  deinit {
    _ = try? TheatreProcess(
      Self.script, ["stop", folder], environment: Self.path, directory: "/", logs: folder + "/stop"
    ).wait()
    try? FileManager.default.removeItem(atPath: folder)
  }
}
