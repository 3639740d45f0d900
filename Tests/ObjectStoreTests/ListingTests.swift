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
}
