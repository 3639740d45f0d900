import SealedCrypto
import Testing

@testable import ObjectStore

/// A store that answers every listing with the same page: it claims to go on behind `next`, whatever was asked.
private struct CirclingStore: ObjectStore {
  struct Unused: Error {}
  let location = "test:"
  let next: [String]

  func list(prefix: String, after: ObjectKey?, limit: Int) throws -> ObjectPage {
    let index = after.flatMap { after in next.firstIndex { $0 == after.text } }.map { $0 + 1 } ?? 0
    let key = try ObjectKey(next[index % next.count])
    return ObjectPage(entries: [ObjectInfo(key: key, bytes: 1, version: "v", modified: 0)], next: key)
  }

  func head(_ key: ObjectKey) throws -> ObjectInfo? { throw Unused() }
  func read(_ key: ObjectKey, range: Range<UInt64>?) throws -> any ObjectReader { throw Unused() }
  func getSmall(_ key: ObjectKey, limit: Int) throws -> [UInt8] { throw Unused() }
  func put(_ key: ObjectKey, _ bytes: [UInt8], _ condition: WriteCondition) throws -> PutOutcome { throw Unused() }
  func openWriter(_ key: ObjectKey) throws -> any ObjectWriter { throw Unused() }
  func delete(_ key: ObjectKey) throws { throw Unused() }
}

@Suite("Listings end")
struct ListingTests {
  @Test(
    "a listing that stays where it is or goes back is an error, not an endless loop", arguments: [["a"], ["a", "b"]])
  func circles(_ keys: [String]) {
    var seen = 0
    do {
      try CirclingStore(next: keys).forEach(prefix: "") { _ in
        seen += 1
        return true
      }
      Issue.record("the listing ended")
    } catch {
      #expect((error as? ObjectStoreError)?.kind == .invalid)
    }
    #expect(seen == keys.count + 1)
  }

  @Test(
    "a server's word for a length is no length unless an object can have it",
    arguments: ["18446744073709551615", "9223372036854775808"])
  func lengths(length: String) throws {
    let digest = String(repeating: "A", count: 43) + "="
    let server = try LoopbackServer { request in
      guard request.method == "HEAD" else {
        return .answer(200, Self.page(["a"], token: nil).replacing("<Size>1<", with: "<Size>\(length)<"))
      }
      return .raw(
        "HTTP/1.1 200 x\r\nContent-Length: \(length)\r\nETag: \"e\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
          + "\(S3Checksum.header): \(digest)-2\r\n\(S3Checksum.partHeader): 8388608\r\nConnection: close\r\n\r\n")
    }
    let store = try store(at: server.endpoint)
    #expect(storeFailure { try store.read(try ObjectKey("a")) }?.kind == .invalid)
    #expect(storeFailure { try store.list(prefix: "", after: nil, limit: 10) }?.kind == .invalid)
  }

  private static func page(_ keys: [String], token: String?) -> String {
    let entries = keys.map {
      "<Contents><Key>\($0)</Key><Size>1</Size><ETag>e</ETag>"
        + "<LastModified>2026-11-22T00:00:00.000Z</LastModified></Contents>"
    }
    let end = token.map {
      "<IsTruncated>true</IsTruncated><NextContinuationToken>\($0)</NextContinuationToken>"
    }
    return "<?xml version=\"1.0\"?><ListBucketResult>\(entries.joined())\(end ?? "")</ListBucketResult>"
  }

  private func store(at endpoint: String) throws -> S3Store {
    let credentials = FixedCredentials(
      AWSCredentials(accessKeyID: "test", secret: try SecretBytes(copying: Array("test".utf8))))
    return S3Store(
      try S3Location(bucket: "bucket", region: "us-east-1", endpoint: endpoint), credentials: credentials)
  }

  @Test("an S3 server that gives more than was asked for, and calls that the end, has nothing forgotten")
  func overlongPage() throws {
    let proxy = try FaultProxy(
      to: "http://127.0.0.1:1",
      [.body(Self.page(["a", "b", "c", "d", "e"], token: nil)), .body(Self.page(["c", "d", "e"], token: nil))])
    let store = try store(at: proxy.endpoint)
    let first = try store.list(prefix: "", after: nil, limit: 2)
    #expect(first.entries.map(\.key.text) == ["a", "b"] && first.next?.text == "b")
    let second = try store.list(prefix: "", after: first.next, limit: 3)
    #expect(second.entries.map(\.key.text) == ["c", "d", "e"] && second.next == nil)
  }

  private func list(_ pages: [String]) throws -> (ObjectStoreError?, requests: Int) {
    let proxy = try FaultProxy(to: "http://127.0.0.1:1", pages.map { .body($0) })
    do {
      _ = try store(at: proxy.endpoint).list(prefix: "", after: nil, limit: 1000)
      return (nil, proxy.requests.count)
    } catch {
      return (error as? ObjectStoreError, proxy.requests.count)
    }
  }

  @Test("an S3 server that gives the same keys again under new tokens, or empty pages without end, is refused")
  func hostileServer() throws {
    for second in [["b"], ["a"], ["c", "b"]] {
      let (error, requests) = try list([Self.page(["a", "b"], token: "1"), Self.page(second, token: "2")])
      #expect(error?.kind == .invalid)
      #expect(error?.reason.contains("does not advance") == true)
      #expect(requests == 2)
    }
    let (error, requests) = try list((0..<200).map { Self.page([], token: "t\($0)") })
    #expect(error?.reason.contains("empty page after empty page") == true)
    #expect(requests < 200)
  }
}
