import Foundation
import TestSupport
import Testing

@testable import ObjectStore

@Suite("directory store")
struct DirectoryStoreTests {
  private let directory: TemporaryDirectory
  private let store: DirectoryStore

  init() throws {
    directory = try TemporaryDirectory()
    store = try DirectoryStore(path: directory.path + "/store", create: true)
  }

  @Test("conforms", arguments: Conformance.checks)
  func conforms(check: Conformance.Check) throws { try check.run(store) }

  @Test("temporary files are never listed, and a stale one is swept")
  func temporaries() throws {
    let writer = try store.openWriter(try ObjectKey("a/b"))
    try writer.write([1, 2, 3])
    let temporaries = directory.path + "/store/" + DirectoryStore.temporaryDirectory
    #expect(try FileManager.default.contentsOfDirectory(atPath: temporaries).count == 1)
    #expect(try store.list(prefix: "", after: nil, limit: 10).entries.isEmpty)
    #expect(try store.list(prefix: ".", after: nil, limit: 10).entries.isEmpty)
    #expect(try store.list(prefix: ".ephemeralml-tmp/", after: nil, limit: 10).entries.isEmpty)
    #expect(try writer.commit(.always) == .written)
    #expect(try FileManager.default.contentsOfDirectory(atPath: temporaries).isEmpty)

    let (stale, fresh) = (temporaries + "/1-stale", temporaries + "/1-fresh")
    for path in [stale, fresh] { #expect(FileManager.default.createFile(atPath: path, contents: Data())) }
    try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSinceNow: -90_000)], ofItemAtPath: stale)
    let next = try DirectoryStore(path: directory.path + "/store")
    _ = try next.put(try ObjectKey("x"), [1], .always)
    #expect(try FileManager.default.contentsOfDirectory(atPath: temporaries) == ["1-fresh"])
  }

  @Test("pages of any size, from any key and under any prefix, have together what is there, in the order of bytes")
  func pages() throws {
    var generator = SeededGenerator(seed: 11)
    let parts = ["a", "a-b", "a.b", "ab", "ä", "Z", "0"]
    var keys: Set<String> = []
    while keys.count < 120 {
      let key = (0..<Int.random(in: 1...3, using: &generator)).map { _ in
        parts[Int.random(in: 0..<parts.count, using: &generator)] + "\(Int.random(in: 0...9, using: &generator))"
      }.joined(separator: "/")
      // An object's name is no other's directory.
      guard !keys.contains(where: { $0.hasPrefix(key + "/") || key.hasPrefix($0 + "/") }) else { continue }
      keys.insert(key)
      _ = try store.put(try ObjectKey(key), [1], .always)
    }
    // Directories without an object, more of them than a page has, and a name that can be no key.
    for index in 0..<40 {
      let path = directory.path + "/store/a0e\(index)/below"
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    #expect(fopen(directory.path + "/store/a\u{1}", "w").map(fclose) == 0)

    let sorted = keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    for prefix in ["", "a", "a0", "a0/", "ä", "Z1/a", "nothing"] {
      let wanted = sorted.filter { $0.utf8.starts(with: prefix.utf8) }
      for limit in [1, 2, 3, 7, 50, 1000] {
        var listed: [String] = []
        var after: ObjectKey?
        repeat {
          let page = try store.list(prefix: prefix, after: after, limit: limit)
          #expect(page.entries.count <= limit)
          listed += page.entries.map(\.key.text)
          after = page.next
        } while after != nil
        #expect(listed == wanted, "\(prefix), \(limit) a page")
      }
    }
    for after in sorted {
      let page = try store.list(prefix: "", after: try ObjectKey(after), limit: 1000)
      #expect(page.entries.map(\.key.text) == sorted.filter { after.utf8.lexicographicallyPrecedes($0.utf8) })
    }
    // Keys that are not there, a directory's own name among them.
    for after in ["a", "a0", "a0e1", "a0e1/below", "zz"] {
      let page = try store.list(prefix: "a", after: try ObjectKey(after), limit: 1000)
      #expect(
        page.entries.map(\.key.text)
          == sorted.filter { $0.hasPrefix("a") && after.utf8.lexicographicallyPrecedes($0.utf8) })
    }
  }

  @Test("no symbolic link is followed, in reading, writing, listing or deleting")
  func symbolicLinks() throws {
    let outside = directory.path + "/outside"
    try FileManager.default.createDirectory(atPath: outside, withIntermediateDirectories: false)
    #expect(FileManager.default.createFile(atPath: outside + "/secret", contents: Data("secret".utf8)))
    try FileManager.default.createSymbolicLink(atPath: directory.path + "/store/dir", withDestinationPath: outside)
    try FileManager.default.createSymbolicLink(
      atPath: directory.path + "/store/file", withDestinationPath: outside + "/secret")

    let (through, link) = (try ObjectKey("dir/secret"), try ObjectKey("file"))
    #expect(Conformance.kind { try store.getSmall(through) } == .notFound)
    #expect(Conformance.kind { try store.getSmall(link) } == .invalid)
    #expect(Conformance.kind { try store.put(through, [1], .always) } == .invalid)
    #expect(Conformance.kind { try store.put(try ObjectKey("dir/new"), [1], .ifAbsent) } == .invalid)
    #expect(Conformance.kind { try store.put(link, [1], .ifAbsent) } == .invalid)
    #expect(try store.list(prefix: "", after: nil, limit: 10).entries.isEmpty)
    #expect(try store.list(prefix: "dir/", after: nil, limit: 10).entries.isEmpty)
    try store.delete(through)
    // Replacing or deleting the link touches the link alone.
    #expect(try store.put(link, [7], .always) == .written)
    #expect(try String(contentsOfFile: outside + "/secret", encoding: .utf8) == "secret")
    #expect(try FileManager.default.contentsOfDirectory(atPath: outside) == ["secret"])
  }

  @Test("a file that is cut short under a reader is an error, never a short read")
  func truncatedUnderReader() throws {
    let key = try ObjectKey("cut")
    _ = try store.put(key, Bytes.random(3 << 20), .always)
    let reader = try store.read(key)
    _ = try reader.read(upTo: 1000)
    #expect(truncate(directory.path + "/store/cut", 2000) == 0)
    #expect(Conformance.kind { try reader.readAll(limit: 4 << 20, "test") } == .conflict)
  }

  @Test("a directory and an object of one name exclude each other with a named error")
  func nameConflicts() throws {
    _ = try store.put(try ObjectKey("n/a"), [1], .always)
    #expect(Conformance.kind { try store.put(try ObjectKey("n"), [1], .always) } == .invalid)
    #expect(Conformance.kind { try store.put(try ObjectKey("n"), [1], .ifAbsent) } == .invalid)
    #expect(Conformance.kind { try store.put(try ObjectKey("n/a/b"), [1], .always) } == .invalid)
    #expect(try store.head(try ObjectKey("n")) == nil)
    #expect(try store.head(try ObjectKey("n/a/b")) == nil)
    try store.delete(try ObjectKey("n"))
    #expect(try store.getSmall(try ObjectKey("n/a")) == [1])
  }

  @Test("exactly one of several processes wins")
  func processes() throws {
    // `ln` without -f is link(2): another program that races for the same name.
    for round in 0..<10 {
      let key = try ObjectKey("race-\(round)")
      let rival = directory.path + "/rival-\(round)"
      #expect(FileManager.default.createFile(atPath: rival, contents: Data("rival".utf8)))
      let process = Process()
      process.executableURL = URL(filePath: "/bin/ln")
      process.arguments = [rival, directory.path + "/store/race-\(round)"]
      process.standardError = FileHandle.nullDevice
      try process.run()
      let outcome = try store.put(key, Array("ours".utf8), .ifAbsent)
      process.waitUntilExit()
      #expect((outcome == .written) != (process.terminationStatus == 0))
      #expect(try store.getSmall(key) == Array((outcome == .written ? "ours" : "rival").utf8))
    }
  }

  @Test("opening a directory that is not there makes it only when asked to")
  func opening() throws {
    #expect(Conformance.kind { try DirectoryStore(path: directory.path + "/absent") } == .notFound)
    #expect(Conformance.kind { try DirectoryStore(path: directory.path + "/a/b", create: true) } == .notFound)
    #expect(FileManager.default.createFile(atPath: directory.path + "/plain", contents: Data()))
    #expect(Conformance.kind { try DirectoryStore(path: directory.path + "/plain") } == .invalid)
  }
}

/// A directory that goes with the test.
final class TemporaryDirectory: Sendable {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appending(path: "ephemeralml-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path(percentEncoded: false)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}
