import Foundation
import SealedCrypto
import TestSupport

@testable import ObjectStore

/// A moto server for this test process: the one that EPHEMERALML_S3_ENDPOINT names, or one of its own that
/// scripts/moto.sh starts on a free port and that ends with this process.
final class Moto: Sendable {
  let endpoint: String
  let accessKeyID: String
  let secret: String

  /// Without signature checks: moto refuses even botocore's on hard names.
  static let open = Result { try Moto(demandsSignatures: false) }
  /// That takes parts of 256 bytes, where S3 and the others want 5 MiB, so that a thousand uploads in parts are no load.
  static let smallParts = Result { try Moto(demandsSignatures: false, smallestPartBytes: 256) }
  /// With signature checks.
  static let strict = Result { try Moto(demandsSignatures: true) }

  private init(demandsSignatures: Bool, smallestPartBytes: Int? = nil) throws {
    let environment = ProcessInfo.processInfo.environment
    if !demandsSignatures, smallestPartBytes == nil, let endpoint = environment["EPHEMERALML_S3_ENDPOINT"] {
      self.endpoint = endpoint
      (accessKeyID, secret) = (
        environment["AWS_ACCESS_KEY_ID"] ?? "test", environment["AWS_SECRET_ACCESS_KEY"] ?? "test"
      )
      return
    }
    _ = try Need.moto.require()
    let directory = try TemporaryDirectory()
    let process = Process()
    process.executableURL = Checkout.root.appending(path: "scripts/moto.sh")
    process.arguments = ["start", directory.path, String(ProcessInfo.processInfo.processIdentifier)]
    process.environment = environment.merging([
      "AUTH": demandsSignatures ? "1" : "", "S3_UPLOAD_PART_MIN_SIZE": String(smallestPartBytes ?? 5 << 20),
    ]) { $1 }
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failed() }
    let text = try String(contentsOfFile: directory.path + "/moto.env", encoding: .utf8)
    let lines = text.split(separator: "\n").map { $0.split(separator: "=", maxSplits: 1).map(String.init) }
    let fields = Dictionary(uniqueKeysWithValues: lines.map { ($0[0], $0[1]) })
    endpoint = fields["EPHEMERALML_S3_ENDPOINT"] ?? ""
    accessKeyID = fields["AWS_ACCESS_KEY_ID"] ?? ""
    secret = fields["AWS_SECRET_ACCESS_KEY"] ?? ""
  }

  private struct Failed: Error, CustomStringConvertible {
    let description = "scripts/moto.sh did not start a server"
  }

  /// A store below a prefix of its own, through `endpoint` when a test stands between.
  func store(
    through endpoint: String? = nil, bucket: String = "bucket", prefix: String = UUID().uuidString,
    secret: String? = nil, settings: S3Settings = S3Settings(), observer: any StoreObserver = NoStoreObserver(),
    now: @escaping @Sendable () -> Int64 = { Int64(time(nil)) }
  ) throws -> S3Store {
    var retry = RetryPolicy()
    retry.pause = { usleep(useconds_t(min($0, 20)) * 1000) }
    return S3Store(
      try S3Location(bucket: bucket, prefix: prefix, region: "us-east-1", endpoint: endpoint ?? self.endpoint),
      credentials: FixedCredentials(try credentials(secret: secret)), retry: retry, settings: settings,
      observer: observer, now: now)
  }

  /// What the server knows, or the same access key with another secret.
  func credentials(secret: String? = nil) throws -> AWSCredentials {
    AWSCredentials(
      accessKeyID: accessKeyID, secret: try SecretBytes(copying: Array((secret ?? self.secret).utf8)))
  }
}
