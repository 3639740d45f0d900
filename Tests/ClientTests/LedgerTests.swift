import Foundation
import ObjectStore
import SealedCrypto
import Testing
import Wire

@testable import Client

@Suite("The ledger takes a number once, whole, before the upload")
struct LedgerTests {
  private struct Stopped: Error {}

  @Test("numbers of a stream have no gaps and each manifest names the one before")
  func chain() throws {
    let desk = try Desk()
    let entries = try ["one", "two", "three"].map { try desk.submit([$0]) }
    #expect(entries.map(\.record.stream.sequence) == [1, 2, 3])
    #expect(entries[0].record.stream.previous == nil)
    #expect(entries[1].record.stream.previous == entries[0].record.manifest)
    #expect(entries[2].record.stream.previous == entries[1].record.manifest)
    #expect(Set(entries.map(\.record.stream.id)).count == 1)
    let other = try desk.submit(["four"]) { $0.queue = "nightly" }
    #expect(other.record.stream.sequence == 1)
    #expect(other.record.stream.name == "nightly")
    #expect(other.record.stream.id != entries[0].record.stream.id)
  }

  @Test("what dies while it seals leaves no number behind, and what it left is swept")
  func crashWhileSealing() throws {
    let desk = try Desk()
    #expect(throws: Stopped.self) {
      _ = try desk.ledger.add(stream: "s", submitter: desk.submitterKey.verifyingKey, profile: "dev") { _, directory in
        try PrivateFiles.write([1, 2, 3], to: "\(directory)/bundle.age")
        throw Stopped()
      }
    }
    // A process that was killed could not even clean up.
    let orphan = "\(desk.home.ledgerPath)/.new-0011223344556677"
    try PrivateFiles.makeDirectory(orphan)
    try PrivateFiles.write([1], to: "\(orphan)/bundle.age")
    let entry = try desk.submit(["one"]) { $0.stream = "s" }
    #expect(entry.record.stream.sequence == 1)
    #expect(try PrivateFiles.names(in: desk.home.ledgerPath).contains { $0.hasPrefix(".new-") } == false)
  }

  @Test("a bundle that was not uploaded goes up later, byte for byte the same, and is kept until then")
  func retry() throws {
    let desk = try Desk()
    let path = try desk.file("in.jsonl", #"{"id":"a","text":"one"}"#)
    let prepared = try desk.submitter.prepare(JSONLFile(path: path), SubmissionRequest(), nowMs: Desk.nowMs)
    let sealed = try desk.submitter.seal(prepared, nowMs: Desk.nowMs)
    let bytes = try PrivateFiles.read(sealed.bundlePath)
    #expect(try desk.ledger.pending(store: desk.store.location).map(\.record.job) == [sealed.record.job])
    #expect(try desk.store.head(try ObjectKey(StoreLayout.bundle(sealed.record.job, queue: "default"))) == nil)

    #expect(try desk.uploadPending().count == 1)
    #expect(try desk.store.getSmall(try ObjectKey(StoreLayout.bundle(sealed.record.job, queue: "default"))) == bytes)
    #expect(try desk.ledger.pending(store: desk.store.location).isEmpty)
    #expect(try PrivateFiles.read(sealed.bundlePath) == bytes)
    #expect(try desk.uploadPending().isEmpty)
  }

  @Test("a crash between upload and mark uploads again, and the store keeps the first")
  func crashAfterUpload() throws {
    let desk = try Desk()
    let path = try desk.file("in.jsonl", #"{"id":"a","text":"one"}"#)
    let sealed = try desk.submitter.seal(
      try desk.submitter.prepare(JSONLFile(path: path), SubmissionRequest(), nowMs: Desk.nowMs), nowMs: Desk.nowMs)
    let key = try ObjectKey(StoreLayout.bundle(sealed.record.job, queue: "default"))
    _ = try desk.store.put(key, try PrivateFiles.read(sealed.bundlePath), .ifAbsent)
    let version = try desk.store.head(key)?.version
    #expect(try desk.uploadPending().count == 1)
    #expect(try desk.store.head(key)?.version == version)
    #expect(try desk.ledger.entry(sealed.record.job)?.uploadedMs == Desk.nowMs)
  }

  @Test("something planted under a pending bundle's name keeps no other bundle waiting, and counts as no upload")
  func planted() throws {
    let desk = try Desk()
    let first = try desk.sealed("one", stream: "s")
    let second = try desk.sealed("two", stream: "s")
    let key = try ObjectKey(StoreLayout.bundle(first.record.job, queue: "default"))
    var planted = try PrivateFiles.read(first.bundlePath)
    planted[planted.count / 2] ^= 1
    _ = try desk.store.put(key, planted, .ifAbsent)
    var refused: [JobName: ClientError.Kind] = [:]
    let sent = try desk.submitter.uploadPending(nowMs: Desk.nowMs) { refused[$0.record.job] = $1.kind }
    #expect(sent.map(\.record.job) == [second.record.job])
    #expect(refused == [first.record.job: .invalid])
    #expect(try desk.ledger.pending(store: desk.store.location).map(\.record.job) == [first.record.job])
    let upload = BundleUpload(ledger: desk.ledger, store: desk.store)
    #expect(clientError { try upload.abandon(first, nowMs: Desk.nowMs) }?.kind == .invalid)
    #expect(try desk.ledger.entry(first.record.job)?.uploadedMs == nil)
    try desk.store.delete(key)
    #expect(try desk.uploadPending().map(\.record.job) == [first.record.job])
  }

  @Test("two submitters at once take two numbers")
  func concurrent() throws {
    let desk = try Desk()
    let ledger = desk.ledger
    let key = desk.submitterKey.verifyingKey
    let template = try desk.submit(["template"]).record
    DispatchQueue.concurrentPerform(iterations: 8) { index in
      _ = try? ledger.add(stream: "s", submitter: key, profile: "dev") { position, _ in
        var record = template
        record.stream = position
        record.manifest = SHA256Of.number(index)
        record.job = SHA256Of.number(100 + index)
        return record
      }
    }
    let entries = try ledger.entries().filter { $0.record.stream.name == "s" }.sorted {
      $0.record.stream.sequence < $1.record.stream.sequence
    }
    #expect(entries.map(\.record.stream.sequence) == Array(1...8))
    for (before, after) in zip(entries, entries.dropFirst()) {
      #expect(after.record.stream.previous == before.record.manifest)
    }
  }

  @Test("a record that was moved or altered is refused, with the remedy")
  func damage() throws {
    let desk = try Desk()
    let entry = try desk.submit(["one"])
    let record = "\(entry.path)/record.cbor"
    var bytes = try PrivateFiles.read(record)
    bytes[bytes.count / 2] ^= 1
    try PrivateFiles.write(bytes + [0], to: record)
    let error = clientError { _ = try desk.ledger.entries() }
    #expect(error?.kind == .other)
    #expect(error?.remedy == "restore it from a backup; do not delete it")
  }

  @Test("a job is found by the beginning of its name, and only by enough of it")
  func prefixes() throws {
    let desk = try Desk()
    let job = try desk.submit(["one"]).record.job
    #expect(try desk.ledger.entry(named: String(job.hex.prefix(6)).uppercased()).record.job == job)
    #expect(clientError { _ = try desk.ledger.entry(named: String(job.hex.prefix(3))) }?.kind == .usage)
    #expect(clientError { _ = try desk.ledger.entry(named: "zzzz") }?.kind == .usage)
    let absent = job.hex.hasPrefix("0000") ? "1111" : "0000"
    #expect(clientError { _ = try desk.ledger.entry(named: absent) }?.kind == .notFound)
  }

  @Test("keys, ledger and home are their owner's alone")
  func modes() throws {
    let desk = try Desk()
    let entry = try desk.submit(["one"])
    for (path, mode) in [
      (desk.home.path, 0o700), (desk.home.keysPath, 0o700), (desk.home.keys.identityPath, 0o600),
      (desk.home.keys.path(.submitter), 0o600), (entry.path, 0o700), (entry.manifestPath, 0o600),
    ] {
      let found = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
      #expect(found == mode, "\(path)")
    }
  }
}

private enum SHA256Of {
  static func number(_ value: Int) -> ContentDigest { BundleDigest.of([UInt8(truncatingIfNeeded: value)]) }
}
