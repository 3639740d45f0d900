import Foundation
import ObjectStore
import SealedCrypto
import TestSupport
import Testing

@testable import JobRunner

/// What killed processes leave of uploads in parts, on a server without lifecycle rules.
@Suite("Uploads that nobody ends", .timeLimit(.minutes(15)))
struct UploadSweepTests {
  @Test(
    "The daemon takes them from the store once they are old enough, and says how many",
    .enabled(if: Need.moto.isMet, "\(Need.moto.comment)"))
  func sweep() throws {
    let moto = try MotoProcess()
    defer { withExtendedLifetime(moto) {} }
    let secret = try SecretBytes(copying: Array((moto.environment["AWS_SECRET_ACCESS_KEY"] ?? "test").utf8))
    let credentials = AWSCredentials(
      accessKeyID: moto.environment["AWS_ACCESS_KEY_ID"] ?? "test", secret: secret)
    let store = S3Store(
      try S3Location(bucket: "bucket", prefix: "sweep", region: "us-east-1", endpoint: moto.endpoint),
      credentials: FixedCredentials(credentials))
    let left = try store.openWriter(try ObjectKey("jobs/left"))
    // More than a part: the upload has begun on the server.
    try left.write([UInt8](repeating: 7, count: 17 << 20))
    let log = LogLines()
    // moto says of every upload that it began in 2010.
    let sweep = try #require(UploadSweep(store, log: log.logger))
    sweep.start()
    eventually { log.count(.info, "removed 1 uploads that were never ended") == 1 }
    sweep.stop(within: 30)
    #expect(try store.removeStaleUploads(olderThanSeconds: -60) == 0)
    withExtendedLifetime(left) {}
  }

  @Test("A directory has none")
  func directory() throws {
    let host = try TestDaemon()
    #expect(UploadSweep(host.store, log: host.log.logger) == nil)
  }
}
