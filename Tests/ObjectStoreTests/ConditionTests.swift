import Foundation
import TestSupport
import Testing

@testable import ObjectStore

/// Servers that do not hold to conditions, made of moto and a proxy that takes the header out.
@Suite("S3 store before a server without conditions", .enabled(if: Need.moto.isMet, "\(Need.moto.comment)"))
struct ConditionTests {
  private let moto: Moto
  private let prefix = UUID().uuidString
  private let key: ObjectKey

  init() throws {
    moto = try Moto.smallParts.get()
    key = try ObjectKey("jobs/x/commit.json")
  }

  private func store(_ choose: @escaping @Sendable (String) -> FaultProxy.Fault) throws -> (S3Store, FaultProxy) {
    let proxy = try FaultProxy(to: moto.endpoint, choose: choose)
    return (try moto.smallStore(through: proxy, prefix: prefix) { $0.testsConditions = true }, proxy)
  }

  private func direct() throws -> S3Store { try moto.smallStore(prefix: prefix) }

  @Test("one that ignores them on a PUT is refused by name, again and again, and nothing is replaced")
  func ignoredPut() throws {
    _ = try direct().put(key, [1], .always)
    let (store, _) = try store { $0.hasPrefix("PUT") ? .strip(header: "if-none-match") : .pass }
    for _ in 0..<2 {
      let error = try #require(storeFailure { try store.put(key, [2], .ifAbsent) })
      #expect(error.kind == .invalid && error.mender == .operator_)
      #expect(error.description.contains("ignores If-None-Match on PutObject"), "\(error)")
    }
    #expect(try direct().getSmall(key) == [1])
    // What needs no condition still works.
    #expect(try store.put(try ObjectKey("other"), [3], .always) == .written)
  }

  @Test("one that ignores them on a completion alone is found out before it replaces anything")
  func ignoredCompletion() throws {
    _ = try direct().put(key, [1], .always)
    let (store, _) = try store { $0.hasPrefix("POST") ? .strip(header: "if-none-match") : .pass }
    #expect(try store.put(key, [2], .ifAbsent) == .alreadyExists)
    let error = try #require(storeFailure { try store.write(key, Bytes.random(20_000), .ifAbsent) })
    #expect(error.description.contains("ignores If-None-Match on CompleteMultipartUpload"), "\(error)")
    #expect(try direct().getSmall(key) == [1])
    #expect(try direct().removeStaleUploads(olderThanSeconds: -60) == 0)
  }

  @Test("one that knows no conditional requests is told from one that ignores them", arguments: [400, 501])
  func unsupported(status: Int) throws {
    let (store, _) = try store { $0.hasPrefix("PUT") ? .answer(status: status, code: "NotImplemented") : .pass }
    let error = try #require(storeFailure { try store.put(key, [2], .ifAbsent) })
    #expect(error.kind == .invalid && error.description.contains("does not support If-None-Match"), "\(error)")
    #expect(try direct().head(key) == nil)
  }

  @Test("a server that holds to them is asked once, in the folder of the write, and no listing shows the question")
  func askedOnce() throws {
    let (store, proxy) = try store { _ in .pass }
    #expect(try store.put(key, [1], .ifAbsent) == .written)
    #expect(proxy.requests.map { $0.split(separator: " ")[0] } == ["PUT", "PUT", "PUT"])
    #expect(proxy.requests[0].contains("/jobs/x/.ephemeralml-probe "))
    #expect(try store.put(key, [1], .ifAbsent) == .alreadyExists)
    #expect(proxy.requests.count == 5)
    #expect(try store.write(try ObjectKey("jobs/x/big"), Bytes.random(20_000), .ifAbsent) == .written)
    #expect(try store.write(try ObjectKey("jobs/x/big"), Bytes.random(20_000), .ifAbsent) == .alreadyExists)
    #expect(
      try store.list(prefix: "", after: nil, limit: 10).entries.map(\.key.text) == ["jobs/x/big", "jobs/x/commit.json"])
    #expect(try direct().removeStaleUploads(olderThanSeconds: -60) == 0)
    // Another process finds the question answered.
    let (second, other) = try self.store { _ in .pass }
    #expect(try second.put(try ObjectKey("jobs/x/y"), [1], .ifAbsent) == .written)
    #expect(other.requests.count == 2)
  }

  @Test("who may not write the question may still write what he may")
  func denied() throws {
    let (store, _) = try store {
      $0.contains(".ephemeralml-probe") ? .answer(status: 403, code: "AccessDenied") : .pass
    }
    #expect(try store.put(key, [1], .ifAbsent) == .written)
    #expect(try store.put(key, [2], .ifAbsent) == .alreadyExists)
  }

  @Test("an examination finds moto able, a stripping proxy not, and tidies up behind itself")
  func examination() throws {
    let findings = try direct().examine()
    #expect(findings.filter { $0.isNeeded && !$0.isMet }.map(\.name) == [], "\(findings)")
    let (store, _) = try store { $0.hasPrefix("PUT") ? .strip(header: "if-none-match") : .pass }
    let lacks = try store.examine().filter { $0.isNeeded && !$0.isMet }.map(\.name)
    #expect(lacks == ["If-None-Match on PutObject"])
    #expect(try direct().list(prefix: "", after: nil, limit: 10).entries.isEmpty)
  }
}

@Suite("S3's checksums", .enabled(if: Need.moto.isMet, "\(Need.moto.comment)"))
struct ChecksumTests {
  private let moto: Moto
  private let prefix = UUID().uuidString
  private let key: ObjectKey

  init() throws {
    moto = try Moto.smallParts.get()
    key = try ObjectKey("object")
  }

  @Test("one changed byte in an answer is an error, of one PUT and of many parts, before the last bytes are given out")
  func corrupted() throws {
    let direct = try moto.smallStore(prefix: prefix)
    for size in [1, 4000, 4096, 4097, 60_000] {
      let bytes = Bytes.random(size)
      _ = try direct.write(key, bytes)
      #expect(try direct.read(key).readAll(limit: size, "test") == bytes)
      for window in Set([0, (size - 1) / 5000]) {
        let faulty = try FaultProxy(
          to: moto.endpoint, Array(repeating: .pass, count: 1 + window) + [.corrupt(at: size / 2)])
        let store = try moto.smallStore(through: faulty, prefix: prefix) { $0.lanes = 0 }
        let error = try #require(storeFailure { try store.read(key).readAll(limit: size, "test") })
        #expect(error.kind == .invalid && error.description.contains("SHA-256"), "\(error)")
      }
    }
    _ = try direct.put(key, Bytes.random(500), .always)
    for fault in [FaultProxy.Fault.corrupt(at: 3), .shorten(by: 1)] {
      let store = try moto.smallStore(through: try FaultProxy(to: moto.endpoint, [fault]), prefix: prefix)
      #expect(storeFailure { try store.getSmall(key) }?.description.contains("SHA-256") == true)
    }
  }

  @Test("what cannot be checked is not: other clients' parts, other algorithms, nonsense")
  func unchecked() {
    let digest = S3Checksum.text([UInt8](repeating: 1, count: 32))
    func read(_ value: String?, type: String? = nil, part: String? = nil, bytes: UInt64 = 100) -> S3Checksum? {
      var headers: [String: String] = [:]
      headers[S3Checksum.header] = value
      headers["x-amz-checksum-type"] = type
      headers[S3Checksum.partHeader] = part
      return S3Checksum(headers, bytes: bytes)
    }
    let one = [UInt8](repeating: 1, count: 32)
    #expect(read(digest) == .whole(one))
    #expect(read(digest, type: "FULL_OBJECT", part: "10") == .whole(one))
    #expect(read(digest + "-4", part: "30") == .composite(one, partBytes: 30))
    #expect(read(digest, type: "COMPOSITE", part: "30") == .composite(one, partBytes: 30))
    for nothing in [
      read(nil), read(digest + "-4"), read(digest + "-5", part: "30"), read(digest + "-4", part: "0"),
      read(digest + "-4", part: "x"), read(digest, type: "COMPOSITE"), read("short"), read(digest + "-x", part: "30"),
      read(String(repeating: "A", count: 65)), read(digest + "-4", part: "18446744073709551615"),
    ] {
      #expect(nothing == nil)
    }
  }
}
