import Foundation
import SealedCrypto
import TestSupport
import Testing
import Wire

@testable import ObjectStore

/// An S3 server that a test run names: `EPHEMERALML_TEST_S3` is a store's URL, credentials are the environment's.
private enum SecondServer {
  static let url = ProcessInfo.processInfo.environment["EPHEMERALML_TEST_S3"]
  static let comment: Comment =
    "skipped: EPHEMERALML_TEST_S3 names no server; `make test-s3-second` starts Debian's OpenStack Swift"

  /// A store below a prefix of its own.
  static func store(settings: S3Settings = S3Settings()) throws -> S3Store {
    let opened = try StoreURL.open(url ?? "")
    let base = try #require(opened as? S3Store).client.location
    return S3Store(
      try S3Location(
        bucket: base.bucket, prefix: base.prefix + UUID().uuidString, region: base.region,
        endpoint: "\(base.scheme)://\(base.authority)", style: base.style),
      credentials: DefaultCredentials(ProcessInfo.processInfo.environment), settings: settings)
  }

  static func findings() throws -> [StoreFinding] { try store().examine() }
}

/// What everything but the conditions themselves is tested through, on a server that has none: looks, then writes.
private struct WithoutConditions: ObjectStore {
  let store: S3Store
  var location: String { store.location }

  final class Writer: ObjectWriter {
    let writer: any ObjectWriter
    let isThere: () throws -> Bool
    init(_ writer: any ObjectWriter, _ isThere: @escaping () throws -> Bool) {
      self.writer = writer
      self.isThere = isThere
    }
    var count: UInt64 { writer.count }
    func write(_ bytes: [UInt8]) throws { try writer.write(bytes) }
    func abort() { writer.abort() }
    func commit(_ condition: WriteCondition) throws -> PutOutcome {
      guard condition == .ifAbsent, try isThere() else { return try writer.commit(.always) }
      writer.abort()
      return .alreadyExists
    }
  }

  func put(_ key: ObjectKey, _ bytes: [UInt8], _ condition: WriteCondition) throws -> PutOutcome {
    if condition == .ifAbsent, try head(key) != nil { return .alreadyExists }
    return try store.put(key, bytes, .always)
  }
  func openWriter(_ key: ObjectKey) throws -> any ObjectWriter {
    Writer(try store.openWriter(key)) { try store.head(key) != nil }
  }
  func head(_ key: ObjectKey) throws -> ObjectInfo? { try store.head(key) }
  func read(_ key: ObjectKey, range: Range<UInt64>?) throws -> any ObjectReader { try store.read(key, range: range) }
  func getSmall(_ key: ObjectKey, limit: Int) throws -> [UInt8] { try store.getSmall(key, limit: limit) }
  func list(prefix: String, after: ObjectKey?, limit: Int) throws -> ObjectPage {
    try store.list(prefix: prefix, after: after, limit: limit)
  }
  func delete(_ key: ObjectKey) throws { try store.delete(key) }
}

@Suite("S3 store before a second server", .enabled(if: SecondServer.url != nil, SecondServer.comment))
struct SecondServerTests {
  @Test("conforms; where the server has no conditions, all but those", arguments: Conformance.checks)
  func conforms(check: Conformance.Check) throws {
    let store = try SecondServer.store()
    if try Self.hasConditions.get() {
      try check.run(store)
    } else if !Conformance.conditionClaims.contains(check.claim) {
      try check.run(WithoutConditions(store: store))
    }
  }

  @Test("what it is found to do is printed, and what it lacks is refused by name")
  func findings() throws {
    let findings = try SecondServer.findings()
    for finding in findings {
      print("\(finding.isMet ? "yes" : finding.isNeeded ? "NO " : "no ") \(finding.name): \(finding.detail)")
    }
    #expect(findings.contains { $0.name == "reads what was written" && $0.isMet })
    guard try !Self.hasConditions.get() else { return }
    let store = try SecondServer.store()
    let key = try ObjectKey("jobs/x/commit.json")
    let error = try #require(storeFailure { try store.put(key, [1], .ifAbsent) })
    #expect(error.kind == .invalid && error.description.contains("If-None-Match on PutObject"), "\(error)")
    #expect(try store.head(key) == nil)
    #expect(try store.removeStaleUploads(olderThanSeconds: -60) == 0)
  }

  @Test("uploads that nobody ended are found and removed")
  func staleUploads() throws {
    let store = try SecondServer.store()
    for name in ["a b", "c"] {
      let writer = try store.openWriter(try ObjectKey(name))
      try writer.write(Bytes.random(9 << 20))
    }
    #expect(try store.removeStaleUploads(olderThanSeconds: 3600) == 0)
    #expect(try store.removeStaleUploads(olderThanSeconds: -60) == 2)
    #expect(try store.removeStaleUploads(olderThanSeconds: -60) == 0)
  }

  private static let hasConditions = Result {
    try SecondServer.findings().filter { $0.name.hasPrefix("If-None-Match") }.allSatisfy(\.isMet)
  }
}
