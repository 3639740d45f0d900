import Foundation
import SealedCrypto
import TestSupport
import Testing

@testable import ObjectStore

@Suite("S3 store", .enabled(if: Need.moto.isMet, "\(Need.moto.comment)"))
struct S3StoreTests {
  private let moto: Moto

  init() throws { moto = try Moto.open.get() }

  @Test("conforms", arguments: Conformance.checks)
  func conforms(check: Conformance.Check) throws { try check.run(moto.store()) }

  @Test("conforms at the root of a bucket too, and prefixes keep stores apart")
  func prefixes() throws {
    let (outer, inner) = (try moto.store(prefix: ""), try moto.store(prefix: "apart/one"))
    let key = try ObjectKey("x")
    _ = try inner.put(key, [1], .always)
    #expect(try outer.getSmall(try ObjectKey("apart/one/x")) == [1])
    #expect(try moto.store(prefix: "apart/o").head(key) == nil)
    #expect(try moto.store(prefix: "apart/o").list(prefix: "", after: nil, limit: 10).entries.isEmpty)
    #expect(try inner.list(prefix: "", after: nil, limit: 10).entries.map(\.key) == [key])
  }

  @Test("objects of others whose names cannot be keys are passed over, page by page")
  func foreignNames() throws {
    let store = try moto.store()
    let directory = URL(filePath: store.client.location.prefix).lastPathComponent
    for name in ["a", "b//c", "b/../d", "dir/", "z"] {
      let path = "/bucket/\(directory)/\(name)"
      let signature = SigV4Signer(credentials: try moto.credentials(), region: "us-east-1", service: "s3").sign(
        method: "PUT", host: store.client.location.host, path: path, payload: .body([1]), at: Int64(time(nil)))
      let answer = try CurlTransport().perform(
        HTTPRequest(method: .put, url: moto.endpoint + path, headers: signature, body: [1], responseLimit: 10_000))
      #expect(answer.status == 200)
    }
    #expect(try store.list(prefix: "", after: nil, limit: 1000).entries.map(\.key.text) == ["a", "z"])
    let first = try store.list(prefix: "", after: nil, limit: 1)
    #expect(first.entries.map(\.key.text) == ["a"])
    #expect(try store.list(prefix: "", after: first.next, limit: 1).entries.map(\.key.text) == ["z"])
  }

  @Test("more than a thousand objects are listed through several requests")
  func manyObjects() throws {
    let store = try moto.store()
    let keys = try (0..<1005).map { try ObjectKey(String(format: "many/%04d", $0)) }
    DispatchQueue.concurrentPerform(iterations: keys.count) { _ = try? store.put(keys[$0], [], .always) }
    let all = try store.list(prefix: "many/", after: nil, limit: 5000)
    #expect(all.entries.map(\.key) == keys)
    #expect(all.next == nil)
    var seen: [ObjectKey] = []
    try store.forEach(prefix: "many/") {
      seen.append($0.key)
      return seen.count < 1002
    }
    #expect(seen == Array(keys.prefix(1002)))
  }

  @Test("a large object goes up and down in parts and windows")
  func largeObject() throws {
    let store = try moto.store()
    let key = try ObjectKey("large")
    let piece = Bytes.random(1 << 20)
    let writer = try store.openWriter(key)
    for _ in 0..<40 { try writer.write(piece) }
    #expect(try writer.commit(.ifAbsent) == .written)
    let reader = try store.read(key, range: 3..<(40 << 20))
    #expect(reader.info.bytes == 40 << 20)
    var position = 3
    while true {
      let got = try reader.read(upTo: 300_000)
      if got.isEmpty { break }
      let start = position % piece.count
      #expect(got == Array((piece + piece)[start..<start + got.count]))
      position += got.count
    }
    #expect(position == 40 << 20)
  }

  @Test("a missing bucket, a refused connection and a missing credential are each named")
  func namedErrors() throws {
    let absent = try moto.store(bucket: "no-such-bucket")
    let error = try #require(failure { try absent.getSmall(try ObjectKey("x")) })
    #expect(error.kind == .notFound && error.description.contains("no bucket no-such-bucket"))
    #expect(failure { try absent.list(prefix: "", after: nil, limit: 1) }?.kind == .notFound)

    let closed = try moto.store(through: "http://127.0.0.1:9")
    let refused = try #require(failure { try closed.put(try ObjectKey("x"), [1], .ifAbsent) })
    #expect(refused.kind == .retryable && refused.description.contains("127.0.0.1:9"))

    let anonymous = try StoreURL.open(
      "s3://bucket/x?endpoint=\(moto.endpoint)", environment: noInstance.merging(["HOME": "/nonexistent"]) { $1 })
    let unnamed = try #require(failure { try anonymous.head(try ObjectKey("x")) })
    #expect(unnamed.kind == .denied && unnamed.description.contains("AWS_ACCESS_KEY_ID"))
  }

  private func failure<T>(_ body: () throws -> T) -> ObjectStoreError? { storeFailure(body) }
}

@Suite("S3 store before a server that checks signatures", .enabled(if: Need.moto.isMet, "\(Need.moto.comment)"))
struct S3SignedTests {
  private let moto: Moto

  init() throws { moto = try Moto.strict.get() }

  @Test("every kind of request is signed acceptably")
  func accepted() throws {
    // At the root, and listed without a slash: moto computes another signature for a query with an escaped one.
    let store = try moto.store(prefix: "")
    let key = try ObjectKey("inbox/default/" + String(repeating: "ab", count: 32) + ".age")
    #expect(try store.put(key, [1, 2, 3], .ifAbsent) == .written)
    #expect(try store.put(key, [1], .ifAbsent) == .alreadyExists)
    #expect(try store.getSmall(key) == [1, 2, 3])
    #expect(try store.head(key)?.bytes == 3)
    #expect(try store.list(prefix: "inbox", after: nil, limit: 10).entries.map(\.key) == [key])
    for end in [true, false] {
      let writer = try store.openWriter(try ObjectKey("large-\(end)"))
      try writer.write(Bytes.random(9 << 20))
      if end { #expect(try writer.commit(.ifAbsent) == .written) } else { writer.abort() }
    }
    #expect(try store.read(try ObjectKey("large-true")).readAll(limit: 10 << 20, "test").count == 9 << 20)
    #expect(try store.head(try ObjectKey("large-false")) == nil)
    try store.delete(key)
    #expect(try store.head(key) == nil)
  }

  @Test("a wrong secret is refused with a name for it, also where the answer has no body")
  func wrongSecret() throws {
    let store = try moto.store(secret: "not-the-secret")
    let key = try ObjectKey("x")
    for error in [
      storeFailure { try store.put(key, [1], .always) }, storeFailure { try store.head(key) },
      storeFailure { try store.getSmall(key) }, storeFailure { try store.list(prefix: "", after: nil, limit: 1) },
    ] {
      let error = try #require(error)
      #expect(error.kind == .denied)
      #expect(error.description.contains("AWS_SECRET_ACCESS_KEY"), "\(error)")
      #expect(!error.description.contains("not-the-secret"))
    }
  }
}

/// The ``ObjectStoreError`` that `body` throws.
func storeFailure<T>(_ body: () throws -> T) -> ObjectStoreError? {
  do {
    _ = try body()
    return nil
  } catch { return error as? ObjectStoreError }
}
