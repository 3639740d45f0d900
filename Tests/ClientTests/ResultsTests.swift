import Attestation
import Crypto
import Foundation
import ObjectStore
import SealedCrypto
import TestSupport
import Testing
import Wire

@testable import Client

@Suite("Results are written when all of them verified, and not otherwise")
struct ResultsTests {
  private let texts = ["the report", "a memo", "fail this", "note of the bridge"]

  @Test("every line of a good receipt is met, and the lines come out as the enclave wrote them")
  func good() throws {
    let desk = try Desk()
    let entry = try desk.submit(texts)
    try desk.finish(entry)
    let examined = try desk.examine(entry)
    #expect(try examined.verified().claims.outcome == .partial)
    for line in examined.verdict.lines {
      guard case .met = line.answer else {
        Issue.record("\(line.question.rawValue): \(line.answer)")
        continue
      }
    }
    let results = try #require(examined.results)
    #expect(results.recomputed == RecomputedItems(merkleRoot: results.recomputed.merkleRoot, count: 4, failed: 1))
    let folder = "\(desk.folder)/out"
    let names = try ResultsWriter(results, receipt: examined.bytes).write(.jsonl, to: folder, replacing: false)
    #expect(names == ["errors.jsonl", "output.jsonl", "receipt.cose"])
    let lines = String(decoding: try PrivateFiles.read("\(folder)/output.jsonl"), as: UTF8.self).split(separator: "\n")
    #expect(lines.count == 3)
    #expect(lines.allSatisfy { $0.hasSuffix("}") })
    #expect(
      clientError { try ResultsWriter(results, receipt: []).write(.jsonl, to: folder, replacing: false) }?.kind
        == .usage)
    _ = try ResultsWriter(results, receipt: examined.bytes).write(.npy, to: folder, replacing: true)
    #expect(try PrivateFiles.names(in: folder) == ["embeddings.npy", "errors.jsonl", "ids.jsonl", "receipt.cose"])
    #expect(try PrivateFiles.names(in: desk.folder).contains { $0.contains("partial") } == false)
  }

  @Test("a folder with other files in it is never replaced")
  func foreignFolder() throws {
    let desk = try Desk()
    let entry = try desk.submit(texts)
    try desk.finish(entry)
    let examined = try desk.examine(entry)
    _ = try desk.file("out/thesis.txt", "mine")
    let writer = ResultsWriter(try #require(examined.results), receipt: examined.bytes)
    #expect(clientError { try writer.write(.jsonl, to: "\(desk.folder)/out", replacing: true) }?.kind == .usage)
    #expect(PrivateFiles.exists("\(desk.folder)/out/thesis.txt"))
  }

  @Test("the array is one that numpy reads, rows in input order, an id for each")
  func numpy() throws {
    let desk = try Desk()
    let entry = try desk.submit(texts)
    try desk.finish(entry)
    let examined = try desk.examine(entry)
    let folder = "\(desk.folder)/out"
    try ResultsWriter(try #require(examined.results), receipt: examined.bytes).write(.npy, to: folder, replacing: false)
    let bytes = try PrivateFiles.read("\(folder)/embeddings.npy")
    let header = NumpyArray.header(rows: 3, columns: 3)
    #expect(header.count % 64 == 0)
    #expect(bytes.starts(with: header))
    let expected = [[0, 1, -0.5], [1, 1, -0.5], [3, 1, -0.5]].flatMap { NumpyArray.row($0.map { Float($0) }) }
    #expect(Array(bytes.dropFirst(header.count)) == expected)
    #expect(
      String(decoding: try PrivateFiles.read("\(folder)/ids.jsonl"), as: UTF8.self) == "\"d0\"\n\"d1\"\n\"d3\"\n")
  }

  @Test("a receipt of another job, valid as it is, is refused")
  func swapped() throws {
    let desk = try Desk()
    let first = try desk.submit(["one"])
    let second = try desk.submit(["two"])
    try desk.finish(first)
    try desk.commit(first.record.job, try desk.finish(second))
    let examined = try desk.examine(first)
    #expect(examined.results == nil)
    #expect(clientError { _ = try examined.verified() }?.kind == .invalid)
    #expect(examined.verdict.failure?.question == .bundle)
  }

  @Test("a byte more, a byte less or a byte changed in any sealed file is refused", arguments: ResultFile.allCases)
  func sealedFiles(_ file: ResultFile) throws {
    let desk = try Desk()
    let entry = try desk.submit(texts)
    let finished = try desk.finish(entry)
    let key = try ObjectKey(StoreLayout.result(entry.record.job, attempt: 1, file))
    let good = try #require(finished.files[file])
    for bad in [good + [0], Array(good.dropLast()), good.dropLast() + [good[good.count - 1] ^ 1]] {
      _ = try desk.store.put(key, Array(bad), .always)
      let examined = try desk.examine(entry)
      #expect(examined.verdict.failure?.question == .files)
      #expect(clientError { _ = try examined.verified() }?.kind == .invalid)
      #expect(examined.results == nil)
    }
  }

  @Test("sealed files that a receipt covers and whose lines are not those of its items are refused")
  func lyingEnclave() throws {
    let desk = try Desk()
    let entry = try desk.submit(texts)
    var finished = try desk.finish(entry)
    let other = try desk.finish(try desk.submit(["w", "fail x", "y", "z"]))
    finished.files[.output] = other.files[.output]
    var claims = finished.receipt.claims
    claims.job?.files = finished.files.sorted { $0.key.rawValue < $1.key.rawValue }.map {
      ReceiptFile(file: $0.key, size: UInt64($0.value.count), sha256: BundleDigest.of($0.value))
    }
    finished.receipt = try desk.enclave.sign(claims, atMs: Desk.nowMs + 1000)
    try desk.commit(entry.record.job, finished)
    let error = clientError { _ = try desk.examine(entry) }
    #expect(error?.kind == .invalid)
    #expect(error?.reason == "the results do not verify: the line of item 1 is missing or another")
  }

  @Test("the manifest digest of the ledger is required; without an entry the sealed copy speaks")
  func withoutLedger() throws {
    let desk = try Desk()
    let entry = try desk.submit(texts)
    try desk.finish(entry)
    try FileManager.default.removeItem(atPath: desk.home.ledgerPath)
    let examined = try desk.examine(entry)
    #expect(examined.entry == nil)
    #expect(examined.results?.manifest.digest == entry.record.manifest)
    guard case .notChecked = examined.verdict.lines.first(where: { $0.question == .manifest })?.answer else {
      Issue.record("the manifest line claims what nobody compared")
      return
    }
  }

  @Test("a receipt under a policy that was never accepted, or of an image that it does not list, is refused as such")
  func evidence() throws {
    let desk = try Desk()
    let entry = try desk.submit(texts)
    let stranger = try TestEnclave(nowMs: Desk.nowMs)
    var finished = try desk.finish(entry)
    finished.receipt = try stranger.sign(
      {
        var claims = finished.receipt.claims
        claims.key = stranger.verifyingKey
        return claims
      }(), atMs: Desk.nowMs + 1000)
    try desk.commit(entry.record.job, finished)
    #expect(clientError { _ = try desk.examine(entry).verified() }?.kind == .rejected)

    finished = try desk.finish(entry)
    var claims = finished.receipt.claims
    claims.policyDigest = BundleDigest.of([1])
    finished.receipt = try desk.enclave.sign(claims, atMs: Desk.nowMs + 1000)
    try desk.commit(entry.record.job, finished)
    let examined = try desk.examine(entry)
    #expect(examined.verdict.failure?.question == .policy)
    #expect(clientError { _ = try examined.verified() }?.kind == .rejected)
  }

  @Test("a job without a commit is not ready, whatever the host says")
  func notReady() throws {
    let desk = try Desk()
    let entry = try desk.submit(texts)
    let state = JobStateRecord(state: "finished\u{1B}[2J", attempt: 1, done: 4, updatedMs: 5)
    _ = try desk.store.put(
      try ObjectKey(StoreLayout.state(entry.record.job)), try StoreRecord.encode(state), .always)
    let error = clientError { _ = try desk.examine(entry) }
    #expect(error?.kind == .retryable)
    #expect(error?.reason.hasSuffix("the host says: finished?[2J") == true)
    let timeout = clientError {
      _ = try Watcher(store: desk.store).waitForCommit(
        entry.record.job, deadlineMs: 10, nowMs: { 10 }, sleep: { _ in }, report: { _ in })
    }
    #expect(timeout?.kind == .timedOut)
  }

  @Test("the bundle is what the worker expects, and only the sealing key opens it")
  func bundle() throws {
    let desk = try Desk()
    let entry = try desk.submit(texts)
    let bytes = try desk.store.getSmall(try ObjectKey(StoreLayout.bundle(entry.record.job, queue: "default")))
    #expect(BundleDigest.of(bytes) == entry.record.job)
    let (manifest, input) = try desk.enclave.open(bytes, desk.policy)
    #expect(manifest.digest == entry.record.manifest)
    #expect(manifest.claims.inputItems == 4)
    #expect(input.count(where: { $0 == 0x0A }) == 4)
    #expect(throws: (any Error).self) {
      _ = try AgeDecryptor(identities: try desk.home.keys.identities(), from: MemorySource(bytes))
    }
  }

  @Test("a cancel is signed by the submitter and names the job")
  func cancel() throws {
    let desk = try Desk()
    let entry = try desk.submit(texts)
    try Canceller(store: desk.store).cancel(entry.record.job, with: desk.submitterKey, nowMs: Desk.nowMs)
    let object = try #require(try desk.store.list(prefix: StoreLayout.cancels, after: nil, limit: 2).entries.first)
    let statement = try UnverifiedStatement<CancelClaims>(try desk.store.getSmall(object.key))
      .verified(by: desk.submitterKey.verifyingKey)
    #expect(statement.claims.job == entry.record.job)
    #expect(object.key.text == StoreLayout.cancel(statement.digest))
  }
}
