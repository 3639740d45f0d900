import Foundation
import ObjectStore
import SealedCrypto
import Synchronization
import Testing
import Wire

@testable import Client
@testable import JobRunner

extension Desk {
  /// Writes documents into the folder that is synced.
  func documents(_ texts: [String: String]) throws {
    for (name, text) in texts { _ = try file("documents/\(name)", text) }
  }

  /// One sync of the folder into the stream `nightly`.
  @discardableResult
  func sync(
    store: (any ObjectStore)? = nil, nowMs: UInt64 = Desk.nowMs, _ change: (inout SyncRequest) -> Void = { _ in },
    reading: @escaping (String) -> Void = { _ in }, report: (SyncEvent) -> Void = { _ in }
  ) throws -> SyncSummary {
    var submission = SubmissionRequest()
    submission.queue = "nightly"
    var request = SyncRequest(folder: "\(folder)/documents", submission: submission)
    change(&request)
    var syncer = Syncer(home: home, profile: profile, store: store ?? self.store)
    syncer.afterReading = reading
    return try syncer.run(request, nowMs: nowMs, report: report)
  }

  /// The ids in a job's results, once it was computed.
  func ids(_ entry: LedgerEntry) throws -> [String] {
    try finish(entry)
    var ids: [String] = []
    try #require(try examine(entry).results).forEachLine(.output) { line in
      let object = try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any]
      ids.append(object?["custom_id"] as? String ?? "?")
    }
    return ids
  }
}

@Suite("A sync seals what is new or changed, and each document exactly once")
struct SyncTests {
  @Test("a first night takes all, a second what changed, a third proves that nothing did")
  func nights() throws {
    let desk = try Desk()
    try desk.documents(["a.txt": "one", "b.txt": "two", "sub/c.txt": "three", ".hidden": "no", "d.bin": "\0\0"])
    let first = try desk.sync()
    #expect(first.count(.new) == 3 && first.jobs.count == 1 && first.skipped.count == 2 && !first.needsLook)
    #expect(try desk.ids(first.jobs[0]) == ["a.txt", "b.txt", "sub/c.txt"])

    try desk.documents(["b.txt": "two again", "e.txt": "five"])
    try FileManager.default.removeItem(atPath: "\(desk.folder)/documents/a.txt")
    let second = try desk.sync()
    #expect([second.count(.new), second.count(.changed), second.count(.gone), second.unchanged] == [1, 1, 1, 1])
    #expect(try desk.ids(second.jobs[0]) == ["b.txt", "e.txt"])
    #expect(second.earlier.map(\.number) == [1])

    let third = try desk.sync()
    #expect(third.unchanged == 3 && third.jobs.map(\.record.inputItems) == [0])
    #expect(third.count(.gone) == 0, "a deletion is told once")
    try desk.finish(third.jobs[0])
    let records = [first, second, third].flatMap(\.jobs).map(\.record)
    #expect(records.map(\.stream.sequence) == [1, 2, 3] && records[2].stream.previous == records[1].manifest)

    let fourth = try desk.sync { $0.skipsEmpty = true }
    #expect(fourth.jobs.isEmpty && fourth.earlier.count == 3 && !fourth.needsLook)
    #expect(try desk.audit(ReceiptStore(desk.store)) { $0.ledger = try desk.streams() }.isSound)
  }

  @Test("what was sealed and not uploaded goes up with the same bytes, once, and no document is sealed twice")
  func uploadFails() throws {
    let desk = try Desk()
    try desk.documents(["a.txt": "one"])
    let broken = FailingStore(desk.store)
    #expect(throws: ObjectStoreError.self) { try desk.sync(store: broken) }
    let entry = try #require(try desk.ledger.entries().first)
    let bytes = try PrivateFiles.read(entry.bundlePath)
    #expect(entry.uploadedMs == nil)

    let next = try desk.sync()
    #expect(next.uploadedPending == 1 && next.jobs.isEmpty, "the night has its job already")
    #expect(next.count(.new) == 0 && next.unchanged == 1)
    #expect(try desk.store.getSmall(try ObjectKey(StoreLayout.bundle(entry.record.job, queue: "nightly"))) == bytes)
    #expect(try desk.ledger.entries().count == 1)
  }

  @Test("what died while it sealed left no document as sent")
  func diesWhileSealing() throws {
    let desk = try Desk()
    try desk.documents(["a.txt": "one"])
    // All but the rename took place.
    let orphan = "\(desk.home.ledgerPath)/.new-0011223344556677"
    try PrivateFiles.makeDirectory(orphan)
    let stamp = DocumentStamp(size: 3, modifiedNs: 1, changedNs: 1, inode: 1)
    let sent = SyncedDocument(stamp: stamp, sha256: BundleDigest.of(Array("one".utf8)), sentIn: 1)
    try SyncRecord(folder: "\(desk.folder)/documents", sent: ["a.txt": sent])
      .write(to: orphan, recipient: try desk.home.keys.recipient())
    let next = try desk.sync()
    #expect(next.count(.new) == 1 && next.jobs.map(\.record.stream.sequence) == [1])
    #expect(!PrivateFiles.exists(orphan))
  }

  @Test("an abandoned job's documents are new again")
  func abandoned() throws {
    let desk = try Desk()
    try desk.documents(["a.txt": "one"])
    #expect(throws: ObjectStoreError.self) { try desk.sync(store: FailingStore(desk.store)) }
    let entry = try #require(try desk.ledger.entries().first)
    try desk.ledger.abandon(entry, atMs: Desk.nowMs)
    let next = try desk.sync()
    #expect(next.count(.new) == 1 && next.jobs.first?.record.stream.sequence == 2)
    #expect(next.jobs.first?.record.stream.voided == [1])
  }

  @Test("a document that is written to while it is read waits for the next sync, and a fresh one as long as is asked")
  func halfWritten() throws {
    let desk = try Desk()
    try desk.documents(["a.txt": "one", "b.txt": "half"])
    let path = "\(desk.folder)/documents/b.txt"
    let first = try desk.sync(reading: { name in
      guard name == "b.txt", let file = FileHandle(forWritingAtPath: path) else { return }
      _ = try? file.seekToEnd()
      try? file.write(contentsOf: Data(" and the other half".utf8))
    })
    #expect(first.count(.new) == 1 && first.count(.unsettled) == 1 && first.needsLook)
    #expect(SyncCommand.status(first) == .partial)
    #expect(try desk.ids(first.jobs[0]) == ["a.txt"])
    let waiting = try desk.sync { $0.quietSeconds = 3600 }
    #expect(waiting.count(.unsettled) == 1 && waiting.jobs.map(\.record.inputItems) == [0])
    let second = try desk.sync()
    #expect(try desk.ids(second.jobs[0]) == ["b.txt"])
  }

  @Test("one sync of a stream at a time: a second says so, or waits")
  func lock() throws {
    let desk = try Desk()
    try desk.documents(["a.txt": "one"])
    let holder = Mutex<SyncLock?>(try SyncLock(desk.home, profile: "dev", stream: "nightly", waitMs: 0))
    #expect(clientError { try desk.sync() }?.kind == .retryable)
    #expect(clientError { try desk.sync() }?.reason.contains("another sync of stream nightly") == true)
    let release = Thread { holder.withLock { $0 = nil } }
    release.start()
    #expect(try desk.sync { $0.lockWaitMs = 60_000 }.jobs.count == 1)
  }

  @Test("a touched document is no change, and the ledger's record names nothing to whoever lacks the identity")
  func touched() throws {
    let desk = try Desk()
    try desk.documents(["secret-name.txt": "one"])
    let entry = try #require(try desk.sync().jobs.first)
    let record = "\(entry.path)/\(SyncRecord.fileName)"
    let mode = try FileManager.default.attributesOfItem(atPath: record)[.posixPermissions] as? Int
    #expect(mode == 0o600)
    #expect(!String(decoding: try PrivateFiles.read(record), as: UTF8.self).contains("secret-name"))
    try desk.documents(["secret-name.txt": "one"])
    let next = try desk.sync()
    #expect(next.unchanged == 1 && next.count(.changed) == 0 && next.jobs.map(\.record.inputItems) == [0])
    // Without the identity the record is refused with the way out, and the way out works.
    try FileManager.default.removeItem(atPath: desk.home.keys.identityPath)
    try desk.home.keys.generateIdentity(createdAt: "later")
    #expect(clientError { try desk.sync() }?.remedy.contains("--force-all") == true)
    #expect(try desk.sync { $0.forceAll = true }.count(.new) == 1)
    #expect(try desk.sync().unchanged == 1)
  }

  @Test("a night that is larger than a job may be becomes several, each within the policy's limits")
  func split() throws {
    let desk = try Desk()
    try desk.install(try desk.policy(2) { ($0.maximumItems, $0.maximumInputBytes) = (3, 2000) })
    var texts = Dictionary(uniqueKeysWithValues: (0..<7).map { ("\($0).txt", "text \($0)") })
    texts["8-large.txt"] = String(repeating: "x ", count: 970)
    texts["9-too-large.txt"] = String(repeating: "x ", count: 1100)
    try desk.documents(texts)
    let summary = try desk.sync()
    #expect(summary.jobs.map(\.record.inputItems) == [3, 3, 1, 1])
    #expect(summary.jobs.map(\.record.stream.sequence) == [1, 2, 3, 4])
    #expect(summary.count(.refused) == 1 && summary.count(.new) == 8 && summary.needsLook)
    let next = try desk.sync()
    #expect(next.unchanged == 8 && next.count(.refused) == 1, "what is left out is said every night")
  }

  @Test("a dry run tells, and leaves neither number nor bundle nor record")
  func dryRun() throws {
    let desk = try Desk()
    try desk.documents(["a.txt": "one", "b.txt": "two"])
    var told: [String] = []
    let summary = try desk.sync(
      { $0.isDryRun = true },
      report: { event in
        if case .document(let path, .new, _) = event { told.append(path) }
      })
    #expect(summary.count(.new) == 2 && told == ["a.txt", "b.txt"] && summary.jobs.isEmpty)
    #expect(try desk.ledger.entries().isEmpty)
  }

  @Test("a folder that lost all its files, or is another one, is refused before anything is taken for deleted")
  func otherFolder() throws {
    let desk = try Desk()
    try desk.documents(["a.txt": "one"])
    try desk.sync()
    _ = try desk.file("elsewhere/a.txt", "one")
    #expect(
      clientError { try desk.sync { $0.folder = "\(desk.folder)/elsewhere" } }?.remedy.contains("--stream") == true)
    #expect(clientError { try desk.sync { $0.folder = "\(desk.folder)/nowhere" } }?.kind == .notFound)
    #expect(clientError { try desk.sync { $0.folder = "\(desk.folder)/documents/a.txt" } }?.kind == .usage)
    try FileManager.default.removeItem(atPath: "\(desk.folder)/documents/a.txt")
    #expect(clientError { try desk.sync() }?.remedy.contains("mounted") == true)
    #expect(try desk.sync { $0.mayBeEmpty = true }.count(.gone) == 1)
    #expect(try desk.sync { ($0.folder, $0.isMoved) = ("\(desk.folder)/elsewhere", true) }.count(.new) == 1)
  }

  @Test("what cannot be seen is not gone: a folder that became a link keeps its documents")
  func unseen() throws {
    let desk = try Desk()
    try desk.documents(["a.txt": "one", "sub/b.txt": "two"])
    try desk.sync()
    let manager = FileManager.default
    try manager.moveItem(atPath: "\(desk.folder)/documents/sub", toPath: "\(desk.folder)/away")
    try manager.createSymbolicLink(
      atPath: "\(desk.folder)/documents/sub", withDestinationPath: "\(desk.folder)/away")
    #expect(try desk.sync().count(.gone) == 0)
    try manager.removeItem(atPath: "\(desk.folder)/documents/sub")
    try manager.moveItem(atPath: "\(desk.folder)/away", toPath: "\(desk.folder)/documents/sub")
    #expect(try desk.sync().unchanged == 2)
  }

  @Test("records are summed up now and then, and the sum knows what all of them knew")
  func snapshots() throws {
    let desk = try Desk()
    try desk.documents(["a.txt": "one"])
    let first = try #require(try desk.sync().jobs.first)
    for number in 0..<SyncMemory.snapshotAfter {
      try desk.documents(["n.txt": "night \(number)"])
      try desk.sync()
    }
    let identities = try desk.home.keys.identities()
    let entries = try desk.ledger.entries()
    #expect(try entries.count(where: { try SyncRecord.read($0, identities: identities)?.isSnapshot == true }) == 1)
    try PrivateFiles.write([0], to: "\(first.path)/\(SyncRecord.fileName)")
    let last = try desk.sync()
    #expect(last.unchanged == 2, "nothing before the sum is read any more")
  }
}
