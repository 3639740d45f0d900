import Foundation
import ObjectStore
import SealedCrypto
import Testing
import Wire

@testable import Client
@testable import JobRunner

@Suite("A sealed bundle goes up again, or is given up, and its number is never used twice")
struct ResendTests {
  private func key(_ entry: LedgerEntry) throws -> ObjectKey {
    try ObjectKey(StoreLayout.bundle(entry.record.job, queue: entry.record.queue))
  }

  @Test("what the host lost is sent again, byte for byte, as often as one asks")
  func lost() throws {
    let desk = try Desk()
    let entry = try desk.submit(["one"])
    let bytes = try desk.store.getSmall(try key(entry))
    let upload = BundleUpload(ledger: desk.ledger, store: desk.store)
    #expect(try upload.resend(entry, nowMs: Desk.nowMs) == false)
    try desk.store.delete(try key(entry))
    #expect(try upload.resend(entry, nowMs: Desk.nowMs) == true)
    #expect(try desk.store.getSmall(try key(entry)) == bytes)
    #expect(try upload.resend(entry, nowMs: Desk.nowMs) == false)
    // The same size is not the same bundle.
    var spoilt = bytes
    spoilt[bytes.count / 2] ^= 1
    _ = try desk.store.put(try key(entry), spoilt, .always)
    #expect(clientError { _ = try upload.resend(entry, nowMs: Desk.nowMs) }?.kind == .invalid)
    _ = try desk.store.put(try key(entry), Array(bytes.dropLast()), .always)
    #expect(clientError { _ = try upload.resend(entry, nowMs: Desk.nowMs) }?.kind == .invalid)
  }

  @Test("a tenant's bundle goes to his folder, is found there again, and takes the numbers of the same stream")
  func tenants() throws {
    let desk = try Desk()
    let plain = try desk.submit(["one"])
    let entry = try desk.submit(["two"]) { $0.tenant = "team-a" }
    #expect(entry.record.queue == "default/team-a" && entry.record.stream.name == plain.record.stream.name)
    #expect(entry.record.stream.sequence == plain.record.stream.sequence + 1)
    #expect(try key(entry).text == "inbox/default/team-a/\(entry.record.job.hex).age")
    #expect(try desk.store.head(try key(entry))?.bytes == entry.record.bundleBytes)
    let upload = BundleUpload(ledger: desk.ledger, store: desk.store)
    #expect(try upload.resend(entry, nowMs: Desk.nowMs) == false)
    #expect(try QueueFolder.tenant("team-a") == "team-a" && QueueFolder.tenant(nil) == nil)
    for wrong in ["", "cancel", "a/b", "../x", String(repeating: "t", count: 64)] {
      #expect(clientError { _ = try QueueFolder.tenant(wrong) }?.kind == .usage)
    }
  }

  @Test("a job with a result is not sent again, nor one whose bundle went away with its receipt")
  func finished() throws {
    let desk = try Desk()
    let entry = try desk.submit(["one"])
    try desk.finish(entry)
    let upload = BundleUpload(ledger: desk.ledger, store: desk.store)
    #expect(clientError { _ = try upload.resend(entry, nowMs: Desk.nowMs) }?.kind == .usage)
    _ = try desk.examine(entry)
    try desk.store.delete(try ObjectKey(StoreLayout.commit(entry.record.job)))
    #expect(clientError { _ = try upload.resend(entry, nowMs: Desk.nowMs) }?.reason.contains("is not kept") == true)
  }

  @Test("an upload that cannot happen is abandoned: its number is void, once, and not uploaded later")
  func abandoned() throws {
    let desk = try Desk()
    let first = try desk.submit(["one"]) { $0.stream = "s" }
    let given = try desk.sealed("two", stream: "s")
    let upload = BundleUpload(ledger: desk.ledger, store: desk.store)
    try upload.abandon(given, nowMs: Desk.nowMs)
    try upload.abandon(given, nowMs: Desk.nowMs)
    #expect(!given.hasBundle)
    #expect(try desk.uploadPending().isEmpty)
    let after = try #require(try desk.ledger.entry(given.record.job))
    #expect(after.abandonedMs == Desk.nowMs)
    #expect(clientError { try upload.upload(after, nowMs: Desk.nowMs) }?.kind == .usage)
    #expect(clientError { _ = try upload.resend(after, nowMs: Desk.nowMs) }?.kind == .usage)
    let third = try desk.submit(["three"]) { $0.stream = "s" }
    #expect(third.record.stream.sequence == 3)
    #expect(third.record.stream.previous == given.record.manifest)
    #expect(third.record.stream.voided == [2])
    #expect(try desk.submit(["four"]) { $0.stream = "s" }.record.stream.voided == [])
    #expect(try desk.streams().first?.voided == [2])
    _ = first
  }

  @Test("what the store has is not abandoned, also where a crash kept the ledger from knowing")
  func uploaded() throws {
    let desk = try Desk()
    let upload = BundleUpload(ledger: desk.ledger, store: desk.store)
    let sent = try desk.submit(["one"]) { $0.stream = "s" }
    #expect(clientError { try upload.abandon(sent, nowMs: Desk.nowMs) }?.kind == .usage)
    let crashed = try desk.sealed("two", stream: "s")
    _ = try desk.store.put(try key(crashed), try PrivateFiles.read(crashed.bundlePath), .ifAbsent)
    #expect(clientError { try upload.abandon(crashed, nowMs: Desk.nowMs) }?.kind == .usage)
    #expect(try desk.ledger.entry(crashed.record.job)?.uploadedMs == Desk.nowMs)
    let elsewhere = try DirectoryStore(path: "\(desk.folder)/elsewhere", create: true)
    let third = try desk.sealed("three", stream: "s")
    let wrong = BundleUpload(ledger: desk.ledger, store: elsewhere)
    #expect(clientError { try wrong.abandon(third, nowMs: Desk.nowMs) }?.kind == .usage)
    #expect(clientError { _ = try wrong.resend(third, nowMs: Desk.nowMs) }?.kind == .usage)
  }
}
