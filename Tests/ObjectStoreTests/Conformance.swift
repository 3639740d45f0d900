import Foundation
import Synchronization
import Testing
import Wire

@testable import ObjectStore

/// What every store must do. One list, run against the directory and against S3.
enum Conformance {
  struct Check: CustomTestStringConvertible, Sendable {
    let claim: String
    let run: @Sendable (any ObjectStore) throws -> Void
    init(_ claim: String, _ run: @escaping @Sendable (any ObjectStore) throws -> Void) {
      self.claim = claim
      self.run = run
    }
    var testDescription: String { claim }
  }

  static let checks: [Check] = objects + conditions + listings
  /// Of those that are about conditions, and of nothing else.
  static let conditionClaims = Set(conditions.map(\.claim))

  /// Names that break careless escaping, sorting or paths.
  static let hardNames = [
    "a=b", "a+b", "with space", "two  spaces", " leading and trailing ", "ünïcode/日本語/😀", "percent%2Fencoded%zz",
    "star*paren(s)'quote'\"", "semi;colon:at@amp&dollar$,", "question?mark#hash", "back\\slash[brackets]{braces}<>|^`",
    "e\u{301} decomposed", "\u{e9} composed", ".hidden", "dots...", "~tilde", "-dash", "a&amp;b", "%", "trailing.",
  ]

  private static let objects = [
    Check("an object comes back as it was written") { store in
      for size in [0, 1, 1000, 65536, 300_001] {
        let key = try ObjectKey("dir/object-\(size)")
        let bytes = Bytes.random(size)
        #expect(try store.put(key, bytes, .always) == .written)
        #expect(try store.getSmall(key, limit: size) == bytes)
        #expect(try store.read(key).readAll(limit: size, "test") == bytes)
        let info = try #require(try store.head(key))
        #expect(info.key == key && info.bytes == UInt64(size) && !info.version.isEmpty)
        #expect(abs(info.modified - Int64(time(nil))) < 120)
      }
    },
    Check("hard names work in every operation") { store in
      for (index, name) in hardNames.enumerated() {
        let key = try ObjectKey("hard/" + name)
        let bytes = Array("content \(index)".utf8)
        #expect(try store.put(key, bytes, .ifAbsent) == .written, "\(name)")
        #expect(try store.put(key, [], .ifAbsent) == .alreadyExists, "\(name)")
        #expect(try store.head(key)?.bytes == UInt64(bytes.count), "\(name)")
        #expect(try store.getSmall(key) == bytes, "\(name)")
      }
      let expected = try hardNames.map { try ObjectKey("hard/" + $0) }.sorted()
      #expect(try store.list(prefix: "hard/", after: nil, limit: 1000).entries.map(\.key) == expected)
      for key in expected {
        let first = try store.list(prefix: key.text, after: nil, limit: 1).entries.first
        #expect(first?.key.text.hasPrefix(key.text) == true)
        try store.delete(key)
        #expect(try store.head(key) == nil)
      }
    },
    Check("an absent object is told apart, by kind") { store in
      let key = try ObjectKey("no/such/object")
      #expect(try store.head(key) == nil)
      #expect(kind { try store.getSmall(key) } == .notFound)
      #expect(kind { try store.read(key).readAll(limit: 9, "test") } == .notFound)
      #expect(throws: Never.self) { try store.delete(key) }
    },
    Check("a delete is seen, and what is beside it stays") { store in
      let (one, other) = (try ObjectKey("d/one"), try ObjectKey("d/other"))
      _ = try store.put(one, [1], .always)
      _ = try store.put(other, [2], .always)
      try store.delete(one)
      #expect(try store.head(one) == nil)
      #expect(try store.getSmall(other) == [2])
      #expect(try store.put(one, [3], .ifAbsent) == .written)
    },
    Check("an object over the limit is refused, one at the limit is not") { store in
      let key = try ObjectKey("limit")
      _ = try store.put(key, Bytes.random(1000), .always)
      #expect(try store.getSmall(key, limit: 1000).count == 1000)
      #expect(kind { try store.getSmall(key, limit: 999) } == .invalid)
      #expect(kind { try store.getSmall(key, limit: 0) } == .invalid)
    },
    Check("a range is exactly its bytes, and one over the end is refused") { store in
      let key = try ObjectKey("range")
      let bytes = Bytes.random(100_000)
      _ = try store.put(key, bytes, .always)
      for range: Range<UInt64> in [0..<1, 0..<100_000, 99_999..<100_000, 5..<5, 100_000..<100_000, 1234..<77_777] {
        let got = try store.read(key, range: range).readAll(limit: 200_000, "test")
        #expect(got == Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)]), "\(range)")
      }
      #expect(kind { try store.read(key, range: 5..<100_001) } == .invalid)
    },
    Check("a reader never mixes two versions") { store in
      let key = try ObjectKey("replaced")
      let (old, new) = (Bytes.random(400_000), Bytes.random(400_000))
      _ = try store.put(key, old, .always)
      let reader = try store.read(key)
      var got = try reader.readExactly(1, "test")
      _ = try store.put(key, new, .always)
      do {
        got += try reader.readAll(limit: 400_000, "test")
        #expect(got == old)
      } catch let error as ObjectStoreError {
        #expect(error.kind == .conflict)
      }
      #expect(try store.getSmall(key, limit: 400_000) == new)
    },
    Check("a streamed object comes back, whatever the pieces") { store in
      // Around the S3 store's part size: below, exactly, above, two parts and a rest.
      for size in [0, 5, 8 << 20, (8 << 20) + 1, (16 << 20) + 12345] {
        let key = try ObjectKey("streamed-\(size)")
        let bytes = Bytes.random(size)
        let writer = try store.openWriter(key)
        var rest = bytes[...]
        while !rest.isEmpty {
          let piece = rest.prefix(1_000_003)
          try writer.write(Array(piece))
          rest = rest.dropFirst(piece.count)
        }
        #expect(writer.count == UInt64(size))
        #expect(try store.head(key) == nil)
        #expect(try writer.commit(.ifAbsent) == .written)
        writer.abort()
        #expect(try store.read(key).readAll(limit: size, "test") == bytes)
      }
    },
    Check("an abandoned writer leaves nothing") { store in
      let key = try ObjectKey("abandoned/object")
      for size in [10, 9 << 20] {
        let writer = try store.openWriter(key)
        try writer.write(Bytes.random(size))
        writer.abort()
        writer.abort()
        #expect(kind { try writer.commit(.always) } == .invalid)
        #expect(kind { try writer.write([1]) } == .invalid)
      }
      #expect(try store.head(key) == nil)
      #expect(try store.list(prefix: "", after: nil, limit: 1000).entries.allSatisfy { $0.key != key })
    },
  ]

  private static let conditions = [
    Check("ifAbsent writes once and changes nothing the second time") { store in
      let key = try ObjectKey("jobs/x/commit.json")
      #expect(try store.put(key, [1], .ifAbsent) == .written)
      #expect(try store.put(key, [2], .ifAbsent) == .alreadyExists)
      // The same bytes are no claim to have won.
      #expect(try store.put(key, [1], .ifAbsent) == .alreadyExists)
      for size in [3, 9 << 20] {
        let writer = try store.openWriter(key)
        try writer.write(Bytes.random(size))
        #expect(try writer.commit(.ifAbsent) == .alreadyExists)
      }
      #expect(try store.getSmall(key) == [1])
      #expect(try store.put(key, [4], .always) == .written)
      #expect(try store.getSmall(key) == [4])
    },
    Check("of many concurrent writers exactly one wins") { store in
      for round in 0..<5 {
        let key = try ObjectKey("race/\(round)")
        let winners = Mutex<[UInt8]>([])
        let failures = Mutex<[String]>([])
        DispatchQueue.concurrentPerform(iterations: 8) { index in
          do {
            let outcome = try store.put(key, [UInt8(index)], .ifAbsent)
            if outcome == .written { winners.withLock { $0.append(UInt8(index)) } }
          } catch {
            failures.withLock { $0.append("\(error)") }
          }
        }
        #expect(failures.withLock { $0 } == [])
        let won = winners.withLock { $0 }
        #expect(won.count == 1)
        #expect(try store.getSmall(key) == won)
      }
    },
    Check("names that lead elsewhere cannot be made") { _ in
      for bad in [
        "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "../a", "a/..", "a\u{0}b", "a\nb", "a\u{7f}",
        "\u{85}", ".ephemeralml-tmp/x", "a/.ephemeralml-x", String(repeating: "x", count: 256),
        String(repeating: "y/", count: 512) + "z",
      ] {
        #expect(kind { try ObjectKey(bad) } == .invalid, "\(bad)")
      }
    },
  ]

  private static let listings = [
    Check("a listing is in byte order, pages without gaps, and takes any prefix") { store in
      let names = ["a", "a-b", "a.b", "a0", "ab/c", "b/1", "b/10", "b/2", "b/sub/x", "b-1", "c", "é", "z/y/x/w"]
      let keys = try names.map { try ObjectKey("list/" + $0) }.sorted()
      for key in keys.shuffled() { _ = try store.put(key, Array(key.text.utf8), .always) }
      _ = try store.put(try ObjectKey("lisa"), [1], .always)
      _ = try store.put(try ObjectKey("lisu"), [1], .always)

      let all = try store.list(prefix: "list/", after: nil, limit: 1000)
      #expect(all.entries.map(\.key) == keys)
      #expect(all.next == nil)
      #expect(all.entries.map(\.bytes) == keys.map { UInt64($0.text.utf8.count) })
      for limit in [1, 2, 5, keys.count, keys.count + 1] {
        var paged: [ObjectKey] = []
        var after: ObjectKey?
        repeat {
          let page = try store.list(prefix: "list/", after: after, limit: limit)
          #expect(page.entries.count <= limit)
          paged += page.entries.map(\.key)
          after = page.next
        } while after != nil
        #expect(paged == keys, "limit \(limit)")
      }
      let prefixes = [
        "list/b", "list/b/", "list/b/1", "list/b/sub/", "list/a", "list/nothing", "list//", "/", "list/b/1/",
      ]
      for prefix in prefixes {
        let expected = keys.filter { $0.text.hasPrefix(prefix) }
        #expect(try store.list(prefix: prefix, after: nil, limit: 1000).entries.map(\.key) == expected, "\(prefix)")
      }
      for after in keys {
        let expected = keys.filter { after < $0 }
        #expect(try store.list(prefix: "list/", after: after, limit: 1000).entries.map(\.key) == expected, "\(after)")
      }
    },
    Check("a cursor need not be an object that is still there") { store in
      for name in ["q/1", "q/3", "q/5/x"] { _ = try store.put(try ObjectKey(name), [1], .always) }
      func names(after: String) throws -> [String] {
        try store.list(prefix: "q/", after: try ObjectKey(after), limit: 10).entries.map(\.key.text)
      }
      #expect(try names(after: "q/2") == ["q/3", "q/5/x"])
      #expect(try names(after: "q/5") == ["q/5/x"])
      #expect(try names(after: "q/5/y") == [])
      #expect(try names(after: "a") == ["q/1", "q/3", "q/5/x"])
      #expect(try names(after: "r") == [])
    },
  ]

  /// The kind of ``ObjectStoreError`` that `body` throws; nil when it throws none.
  static func kind<T>(_ body: () throws -> T) -> ObjectStoreError.Kind? {
    do {
      _ = try body()
      return nil
    } catch let error as ObjectStoreError {
      return error.kind
    } catch {
      Issue.record("another error: \(error)")
      return nil
    }
  }
}

/// Test content: random, so that no two objects are alike.
enum Bytes {
  static func random(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    var bytes = [UInt8](repeating: 0, count: count)
    bytes.withUnsafeMutableBytes { buffer in
      for start in stride(from: 0, to: count, by: 8) {
        withUnsafeBytes(of: generator.next()) { word in
          for index in start..<min(start + 8, count) { buffer[index] = word[index - start] }
        }
      }
    }
    return bytes
  }
}
