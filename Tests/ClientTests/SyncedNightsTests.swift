import Foundation
import ObjectStore
import SealedCrypto
import Testing
import TestSupport
import Wire

@testable import Client
@testable import JobRunner

@Suite("A sync looks after the nights before it")
struct SyncedNightsTests {
  @Test("each receipt is verified once, what lacks one is named, and what is verified is fetched")
  func lookBack() throws {
    let desk = try Desk()
    try desk.documents(["a.txt": "one"])
    let first = try #require(try desk.sync().jobs.first)
    try desk.documents(["b.txt": "two"])
    let second = try #require(try desk.sync().jobs.first)
    try desk.finish(first)
    let results = "\(desk.folder)/results"
    let third = try desk.sync { $0.fetchFolder = results }
    #expect(third.earlier.map(\.number) == [1, 2] && third.earlier[0].fetched == "\(results)/000001")
    #expect(try String(contentsOfFile: "\(results)/000001/output.jsonl", encoding: .utf8).contains("a.txt"))
    #expect(third.earlier[1].standing == .waiting(hostSays: "nothing") && !third.needsLook)
    #expect(try first.settled()?.outcome == .completed)
    // The store may forget what was verified.
    try desk.store.delete(try ObjectKey(StoreLayout.commit(first.record.job)))
    try desk.finish(second)
    let fourth = try desk.sync { $0.fetchFolder = results }
    #expect(fourth.earlier.map(\.isOld) == [true, false, false] && fourth.earlier[0].fetched == nil)
    #expect(PrivateFiles.exists("\(results)/000002/receipt.cose"))
  }

  @Test("a receipt that does not verify is told, keeps nothing back, and ends the command with 21")
  func forged() throws {
    let desk = try Desk()
    try desk.documents(["a.txt": "one"])
    let first = try #require(try desk.sync().jobs.first)
    let finished = try desk.finish(first)
    let other = try desk.resigned(finished.receipt.bytes) { $0.bundle = BundleDigest.of([1]) }
    _ = try desk.store.put(try ObjectKey(StoreLayout.receipt(first.record.job, attempt: 1)), other, .always)
    try desk.documents(["b.txt": "two"])
    let next = try desk.sync { $0.fetchFolder = "\(desk.folder)/results" }
    #expect(next.invalid.map(\.number) == [1] && next.jobs.map(\.record.inputItems) == [1])
    #expect(SyncCommand.status(next) == .invalid)
    #expect(!PrivateFiles.exists("\(desk.folder)/results"))
  }

  @Test("whatever the host writes over an earlier job's objects, or takes away of them, tonight's documents are sent")
  func garbledEarlierJobs() throws {
    let desk = try Desk()
    let results = "\(desk.folder)/results"
    func sent(_ number: Int) throws -> LedgerEntry {
      try desk.documents(["\(number).txt": "night \(number)"])
      return try #require(try desk.sync().jobs.first)
    }
    func put(_ key: String, _ bytes: [UInt8]) throws { _ = try desk.store.put(try ObjectKey(key), bytes, .always) }
    let big = [UInt8](repeating: 0x20, count: Limits.smallObjectBytes + 1)
    let jobs = try (1...6).map(sent)
    let names = jobs.map(\.record.job)
    try put(StoreLayout.state(names[0]), Array("nonsense".utf8))
    try put(StoreLayout.state(names[1]), big)
    try put(StoreLayout.commit(names[2]), big)
    try desk.finish(jobs[3])
    try put(StoreLayout.receipt(names[3], attempt: 1), big)
    try desk.finish(jobs[4])
    try desk.store.delete(try ObjectKey(StoreLayout.result(names[4], attempt: 1, .output)))
    try desk.finish(jobs[5])
    try desk.documents(["7.txt": "night 7"])
    let night = try desk.sync { $0.fetchFolder = results }
    #expect(night.jobs.map(\.record.inputItems) == [1] && night.unfetched == 1)
    for index in 0...1 { #expect(night.earlier[index].standing == .waiting(hostSays: "something unreadable")) }
    #expect(night.invalid.map(\.number) == [3, 4])
    #expect(night.earlier[4].fetched == nil && night.earlier[5].fetched == "\(results)/000006")
    #expect(SyncCommand.status(night) == .invalid)
  }

  @Test("an earlier job that nobody may read holds back no documents; a store that cannot be read ends the command")
  func refused() throws {
    let desk = try Desk()
    try desk.documents(["a.txt": "one"])
    let first = try #require(try desk.sync().jobs.first)
    try desk.finish(first)
    try desk.documents(["b.txt": "two"])
    let folder = "jobs/\(first.record.job)/"
    let elsewhere = ObjectStoreError(.invalid, "GET", "the bucket is elsewhere", mend: "give region", isOfStore: true)
    let away = FailingStore(desk.store, takesBundles: true, refusing: folder, with: elsewhere)
    #expect(throws: ObjectStoreError.self) { try desk.sync(store: away) }
    #expect(throws: ObjectStoreError.self) { try Watcher(store: away).hostStatement(first.record.job) }
    let denied = ObjectStoreError(.denied, "GET", "you may not", mend: "allow it")
    let night = try desk.sync(store: FailingStore(desk.store, takesBundles: true, refusing: folder, with: denied)) {
      $0.fetchFolder = "\(desk.folder)/results"
    }
    #expect(night.invalid.map(\.number) == [1] && night.jobs.map(\.record.inputItems) == [1])
  }

  @Test("a night that is overdue is named every time, and its documents are sent again when asked, and only once")
  func lost() throws {
    let desk = try Desk()
    try desk.documents(["a.txt": "one", "b.txt": "two"])
    let first = try #require(try desk.sync { $0.submission.validForMs = Desk.hourMs }.jobs.first)
    let later = first.record.notAfterMs + 1000
    try desk.announce(try desk.enclave.announcement(desk.policy, atMs: later))
    let named = try desk.sync(nowMs: later) { $0.isDryRun = true }
    #expect(named.lost.map(\.number) == [1] && named.count(.new) == 0 && SyncCommand.status(named) == .partial)
    let retried = try desk.sync(nowMs: later) { $0.retriesLost = true }
    #expect(retried.count(.new) == 2 && retried.jobs.map(\.record.inputItems) == [2])
    let after = try desk.sync(nowMs: later) { $0.retriesLost = true }
    #expect(after.lost.isEmpty && after.unchanged == 2 && after.earlier.first?.isLost == true)
  }

  @Test("another model means all documents again, the first one none, and a new policy changes nothing")
  func otherModel() throws {
    let desk = try Desk()
    try desk.documents(["a.txt": "one", "b.txt": "two"])
    try desk.sync()
    try TinyModel(words: TinyModel.office, seed: 2).write(to: "\(desk.folder)/second")
    let second = try ModelPublisher(store: desk.store, kms: LocalKeys()).publish(
      folder: "\(desk.folder)/second", name: "second", key: try KMSKeyARN(TestEnclave.modelKey),
      publisher: desk.publisherKey, nowMs: Desk.nowMs
    ).manifest.digest
    try desk.install(
      try desk.policy(2) {
        $0.submitters = [
          PolicySubmitter(
            name: "analyst", key: desk.submitterKey.verifyingKey, operations: ["embed"], models: [desk.model, second])
        ]
      })
    #expect(try desk.sync { $0.submission.model = "tiny" }.unchanged == 2)
    let other = try desk.sync { $0.submission.model = "second" }
    #expect(other.count(.new) == 2 && other.jobs.first?.record.model == second)
    #expect(try desk.sync { $0.submission.model = "tiny" }.unchanged == 2)
    #expect(try desk.sync { $0.submission.model = "second" }.unchanged == 2)
  }
}

/// A store that takes no bundle, or refuses to read what begins with a prefix.
final class FailingStore: ObjectStore {
  private let inner: DirectoryStore
  private let takesBundles: Bool
  private let prefix: String?
  private let refusal: ObjectStoreError

  init(
    _ inner: DirectoryStore, takesBundles: Bool = false, refusing prefix: String? = nil,
    with refusal: ObjectStoreError = ObjectStoreError(.retryable, "store", "away", mend: "wait")
  ) {
    self.inner = inner
    self.takesBundles = takesBundles
    self.prefix = prefix
    self.refusal = refusal
  }

  private func check(_ key: ObjectKey) throws {
    if let prefix, "\(key)".hasPrefix(prefix) { throw refusal }
  }

  var location: String { inner.location }
  func head(_ key: ObjectKey) throws -> ObjectInfo? {
    try check(key)
    return try inner.head(key)
  }
  func read(_ key: ObjectKey, range: Range<UInt64>?) throws -> any ObjectReader {
    try check(key)
    return try inner.read(key, range: range)
  }
  func getSmall(_ key: ObjectKey, limit: Int) throws -> [UInt8] {
    try check(key)
    return try inner.getSmall(key, limit: limit)
  }
  func delete(_ key: ObjectKey) throws { try inner.delete(key) }
  func put(_ key: ObjectKey, _ bytes: [UInt8], _ condition: WriteCondition) throws -> PutOutcome {
    try inner.put(key, bytes, condition)
  }
  func list(prefix: String, after: ObjectKey?, limit: Int) throws -> ObjectPage {
    try inner.list(prefix: prefix, after: after, limit: limit)
  }
  func openWriter(_ key: ObjectKey) throws -> any ObjectWriter {
    guard takesBundles else { throw refusal }
    return try inner.openWriter(key)
  }
}
