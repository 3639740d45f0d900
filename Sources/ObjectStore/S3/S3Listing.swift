import SealedCrypto

extension S3Store {
  /// S3's own most.
  private static let pageLimit = 1000
  /// A thousand entries of the longest keys, escaped.
  private static let pageBytes = 16 << 20
  /// Pages without an entry, one behind the other, that a listing may have.
  private static let emptyPages = 100

  package func list(prefix: String, after: ObjectKey?, limit: Int) throws -> ObjectPage {
    let limit = max(limit, 1)
    let base = client.location.prefix
    var entries: [ObjectInfo] = []
    var token: String?
    var last = after.map { base + $0.text } ?? ""
    var emptyPages = 0
    while true {
      var query = [("list-type", "2"), ("prefix", base + prefix)]
      query.append(("max-keys", String(min(limit - entries.count, Self.pageLimit))))
      if let token {
        query.append(("continuation-token", token))
      } else if let after {
        query.append(("start-after", base + after.text))
      }
      let page = try Page(
        client.send(
          S3Call(operation: .listObjects, query: query, responseLimit: Self.pageBytes)
        ).body,
        action: "GET \(location)\(prefix)*")
      // Order is what makes a listing end: a server that goes back or gives nothing could go on for ever.
      for item in page.items {
        guard last.utf8.lexicographicallyPrecedes(item.key.utf8) else {
          throw Self.strange("GET \(location)\(prefix)*", "a listing that does not advance")
        }
        last = item.key
      }
      emptyPages = page.items.isEmpty ? emptyPages + 1 : 0
      guard emptyPages <= Self.emptyPages else {
        throw Self.strange("GET \(location)\(prefix)*", "empty page after empty page")
      }
      // Names that cannot be keys (a folder made in the web console, say) are somebody else's.
      for item in page.items where item.key.hasPrefix(base) {
        // A server that gives more than was asked for must not have the rest forgotten, also where it calls that the end.
        guard entries.count < limit else { return ObjectPage(entries: entries, next: entries.last?.key) }
        guard let key = try? ObjectKey(String(item.key.unicodeScalars.dropFirst(base.unicodeScalars.count))) else {
          continue
        }
        entries.append(ObjectInfo(key: key, bytes: item.bytes, version: item.version, modified: item.modified))
      }
      guard let next = page.next else { return ObjectPage(entries: entries, next: nil) }
      guard entries.count < limit else { return ObjectPage(entries: entries, next: entries.last?.key) }
      guard next != token else { throw Self.strange("GET \(location)\(prefix)*", "the same page twice") }
      token = next
    }
  }
}

/// One ListObjectsV2 answer.
private struct Page {
  struct Item {
    let key: String
    let bytes: UInt64
    let version: String
    let modified: Int64
  }

  let items: [Item]
  /// The continuation token when the listing goes on.
  let next: String?

  init(_ body: [UInt8], action: String) throws {
    do {
      let root = try XMLReader.read(body)
      guard root.name == "ListBucketResult" else { throw S3Store.strange(action, "<\(root.name)> as a listing") }
      items = try root.all("Contents").map { item in
        guard let key = item.child("Key")?.text, let bytes = item.child("Size").flatMap({ ObjectInfo.length($0.text) }),
          let version = item.child("ETag")?.text,
          let modified = (item.child("LastModified")?.text).map(HTTPDate.compactISO).flatMap(SigV4Date.seconds)
        else { throw S3Store.strange(action, "a listing entry without key, size, ETag or date") }
        return Item(key: key, bytes: bytes, version: version, modified: modified)
      }
      let isTruncated = root.child("IsTruncated")?.text == "true"
      next = isTruncated ? root.child("NextContinuationToken")?.text : nil
      guard !isTruncated || next?.isEmpty == false else { throw S3Store.strange(action, "a listing that cannot go on") }
    } catch let fault as XMLReader.Fault {
      throw S3Store.strange(action, fault.description)
    }
  }
}

extension ObjectInfo {
  /// A length as a server gives it. Only what can be one: sums with it must not overflow.
  static func length(_ text: String) -> UInt64? { Int64(text).flatMap { UInt64(exactly: $0) } }
}
