import Client
import Crypto
import Foundation
import ObjectStore
import SealedCrypto
import TestSupport
import Testing
import Wire

extension HostileHost {
  /// The host alters, cuts, swaps and replays what lies in the store after a job; the client alone decides.
  @Suite("Results")
  struct Results {
    let stage: Stage
    init() throws { stage = try Stage.raise() }

    /// Puts `bytes` in the place of a result file for the length of `body`.
    private func with(_ bytes: [UInt8], as file: ResultFile, of job: JobName, _ body: () throws -> Void) throws {
      let key = StoreLayout.result(job, attempt: 1, file)
      let honest = try stage.store.get(key)
      try stage.store.put(key, bytes)
      defer { try? stage.store.put(key, honest) }
      try body()
    }

    private func expectRefused(_ job: JobName, by analyst: Analyst, _ what: @autoclosure () -> String) {
      expectClientRefuses(what()) { _ = try analyst.examine(job, in: stage.store).verified() }
    }

    private func expectAccepted(_ job: JobName, by analyst: Analyst) throws {
      let examined = try analyst.examine(job, in: stage.store)
      _ = try examined.verified()
      #expect(examined.results != nil)
    }

    @Test("A bit flipped at any offset of a sealed result file: the file's own seal does not open")
    func everyOffsetOfTheSeal() throws {
      let (_, ended) = try stage.finishedJob(stage.alice, ["the bridge"])
      let identities = try stage.alice.identities
      for (file, bytes) in ended.files {
        for offset in bytes.indices {
          #expect(throws: (any Error).self, "\(file) at \(offset)") {
            let opened = try AgeDecryptor(
              identities: identities, from: MemorySource(bytes.flipped(at: offset)), role: .result(recipientCount: 1))
            _ = try opened.readAll(limit: 1 << 20, "result")
          }
        }
      }
    }

    /// The whole client costs some 20 ms a turn, so that every offset would be minutes: every 32nd, and the last. The
    /// digest in the receipt, which is compared here, covers all alike.
    @Test("A bit flipped at every 32nd offset of a sealed result file is refused by the whole client")
    func offsetsInTheStore() throws {
      let (job, ended) = try stage.finishedJob(stage.alice, ["the bridge"])
      for (file, bytes) in ended.files {
        for offset in bytes.indices where offset % 32 == 0 || offset == bytes.count - 1 {
          try with(bytes.flipped(at: offset), as: file, of: job.name) {
            expectRefused(job.name, by: stage.alice, "\(file) at \(offset)")
          }
        }
      }
      try expectAccepted(job.name, by: stage.alice)
    }

    @Test("A result file cut at any chunk border, emptied, extended or gone is refused")
    func truncation() throws {
      let texts = (0..<400).map { "report \($0) of the river" }
      let (job, ended) = try stage.finishedJob(stage.alice, texts)
      let chunk = AgeFormat.chunkBytes + AgeFormat.tagBytes
      #expect((ended.files[.output]?.count ?? 0) > chunk)
      for (file, bytes) in ended.files {
        let last = bytes.count
        // The payload is the file's end, so its borders are counted from where its header ends.
        let start = try #require((0..<last - 4).first { Array(bytes[$0..<$0 + 4]) == Array("\n---".utf8) })
        let payload = try #require(bytes[(start + 1)...].firstIndex(of: 0x0A)) + 1 + AgeFormat.nonceBytes
        let cuts = Set([0, 1, payload - 1, last - 1] + stride(from: payload, to: last, by: chunk))
        for cut in cuts.sorted() {
          try with(Array(bytes[..<cut]), as: file, of: job.name) {
            expectRefused(job.name, by: stage.alice, "\(file) cut at \(cut)")
          }
        }
        try with(bytes + [0], as: file, of: job.name) { expectRefused(job.name, by: stage.alice, "\(file) extended") }
        let key = try ObjectKey(StoreLayout.result(job.name, attempt: 1, file))
        try stage.store.delete(key)
        #expect(throws: (any Error).self, "\(file) gone") {
          _ = try stage.alice.examine(job.name, in: stage.store).verified()
        }
        _ = try stage.store.put(key, bytes, .always)
      }
      try expectAccepted(job.name, by: stage.alice)
    }

    @Test("Two jobs' results, or two jobs' receipts, or both together, cannot stand for each other")
    func swaps() throws {
      let (first, one) = try stage.finishedJob(stage.alice, ["the bridge"])
      let (second, two) = try stage.finishedJob(stage.alice, ["the bridge"])
      let plays: [(String, EndedJob, EndedJob)] = [
        (
          "results swapped", EndedJob(code: .ok, receipt: one.receipt, files: two.files),
          EndedJob(code: .ok, receipt: two.receipt, files: one.files)
        ),
        (
          "receipts swapped", EndedJob(code: .ok, receipt: two.receipt, files: one.files),
          EndedJob(code: .ok, receipt: one.receipt, files: two.files)
        ),
        ("both swapped", two, one),
      ]
      for (what, forFirst, forSecond) in plays {
        try stage.commit(forFirst, as: first.name)
        try stage.commit(forSecond, as: second.name)
        expectRefused(first.name, by: stage.alice, "\(what), first")
        expectRefused(second.name, by: stage.alice, "\(what), second")
      }
      try stage.commit(one, as: first.name)
      try stage.commit(two, as: second.name)
      try expectAccepted(first.name, by: stage.alice)
      try expectAccepted(second.name, by: stage.alice)
    }

    @Test("One file of another job, or another file of the same job, is refused")
    func singleFiles() throws {
      let (job, ended) = try stage.finishedJob(stage.alice, ["the bridge"])
      let (_, other) = try stage.finishedJob(stage.alice, ["the bridge"])
      for file in ResultFile.allCases {
        try with(other.files[file] ?? [], as: file, of: job.name) {
          expectRefused(job.name, by: stage.alice, "\(file) of another job")
        }
        for wrong in ResultFile.allCases where wrong != file {
          try with(ended.files[wrong] ?? [], as: file, of: job.name) {
            expectRefused(job.name, by: stage.alice, "\(wrong) as \(file)")
          }
        }
      }
    }

    @Test("Alice's valid results offered to Bob as his, and Bob's to Alice, are refused")
    func otherSubmitter() throws {
      let (hers, forAlice) = try stage.finishedJob(stage.alice, ["the bridge"])
      let (his, forBob) = try stage.finishedJob(stage.bob, ["the bridge"])
      try stage.commit(forAlice, as: his.name)
      try stage.commit(forBob, as: hers.name)
      expectRefused(his.name, by: stage.bob, "Alice's for Bob's")
      expectRefused(hers.name, by: stage.alice, "Bob's for Alice's")
      // Bob's true results under Bob's name are not Alice's either: she has no such job and no key.
      try stage.commit(forBob, as: his.name)
      expectRefused(his.name, by: stage.alice, "Bob's results read by Alice")
    }

    @Test("Results of last night offered for tonight's job of the same documents are refused")
    func replay() throws {
      let (_, old) = try stage.finishedJob(stage.alice, ["the memo", "the note"])
      let job = try stage.alice.submit(["the memo", "the note"], model: stage.models[0].digest.hex, to: stage.store)
      try stage.commit(old, as: job.name)
      expectRefused(job.name, by: stage.alice, "replayed")
    }

    @Test("The receipt of one attempt does not cover the files of another attempt at the same bundle")
    func attempts() throws {
      let job = try stage.alice.submit(["the memo"], model: stage.models[0].digest.hex, to: stage.store)
      let (first, second) = (try stage.run(job.bundle, attempt: 1), try stage.run(job.bundle, attempt: 2))
      try stage.commit(EndedJob(code: .ok, receipt: second.receipt, files: first.files), as: job.name)
      expectRefused(job.name, by: stage.alice, "files of the other attempt")
      try stage.commit(second, as: job.name)
      try expectAccepted(job.name, by: stage.alice)
    }

    @Test("Results that the host sealed by itself to the analyst's public key are refused")
    func ownResults() throws {
      let (job, ended) = try stage.finishedJob(stage.alice, ["the bridge"])
      let sink = MemorySink()
      let file = try AgeEncryptor(recipients: [stage.alice.recipient], to: sink)
      try file.write(Array(#"{"id":"batch_req_1","custom_id":"d0","response":null,"error":null}"#.utf8) + [0x0A])
      try file.finish()
      try with(sink.bytes, as: .output, of: job.name) { expectRefused(job.name, by: stage.alice, "own output") }

      // The same with a receipt that names them, under the host's key and with the document of the true one.
      let key = try SigningKey.generate()
      var claims = try ended.claims
      claims.key = key.verifyingKey
      let honest = try #require(claims.job)
      let files = honest.files.map { file in
        file.file == .output
          ? ReceiptFile(file: .output, size: UInt64(sink.bytes.count), sha256: SHA256.digest(of: sink.bytes)) : file
      }
      claims.job = ReceiptJob(
        manifest: honest.manifest, model: honest.model, submitter: honest.submitter, stream: honest.stream,
        sequence: honest.sequence, previous: honest.previous, files: files, merkleRoot: honest.merkleRoot,
        items: honest.items, failedItems: honest.failedItems, precision: honest.precision)
      let document = try Forgery.document(of: try #require(ended.receipt))
      let receipt = try Forgery.statement(claims, signedBy: key, document: document)
      try stage.commit(
        EndedJob(code: .ok, receipt: receipt, files: ended.files.merging([.output: sink.bytes]) { $1 }), as: job.name)
      expectRefused(job.name, by: stage.alice, "own output under an own receipt")
      try stage.commit(ended, as: job.name)
      try expectAccepted(job.name, by: stage.alice)
    }

    @Test("The host's word that a job is finished is worth nothing without a receipt")
    func wordOfTheHost() throws {
      let job = try stage.alice.submit(["the memo"], model: stage.models[0].digest.hex, to: stage.store)
      let state = JobStateRecord(state: "finished", attempt: 1, done: 1, updatedMs: 1)
      try stage.store.put(StoreLayout.state(job.name), try StoreRecord.encode(state))
      expectClientRefuses("state.json alone", [.retryable]) {
        _ = try stage.alice.examine(job.name, in: stage.store).verified()
      }
      for text in [
        "", "{", "[]", #"{"attempt":1}"#, #"{"attempt":-1,"outcome":"completed","receipt_sha256":"00"}"#,
        #"{"attempt":99999999999999999999,"outcome":"completed","receipt_sha256":""}"#,
        String(repeating: "[", count: 4000),
      ] {
        try stage.store.put(StoreLayout.commit(job.name), Array(text.utf8))
        expectClientRefuses("commit.json \(text.prefix(40))") {
          _ = try stage.alice.examine(job.name, in: stage.store).verified()
        }
      }
      let nowhere = CommitRecord(attempt: 7, outcome: "completed", receiptSHA256: String(repeating: "0", count: 64))
      try stage.store.put(StoreLayout.commit(job.name), try StoreRecord.encode(nowhere))
      #expect(throws: (any Error).self) { _ = try stage.alice.examine(job.name, in: stage.store).verified() }
    }
  }
}
