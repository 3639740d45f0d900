import Attestation
import Client
import Foundation
import ObjectStore
import SealedCrypto
import TestSupport
import Testing
import Wire

extension HostileHost {
  /// The host alters or invents the enclave's word on a job.
  @Suite("Receipts")
  struct Receipts {
    let stage: Stage
    init() throws { stage = try Stage.raise() }

    /// The judge that the client asks, with everything that the ledger knows.
    private func judge(_ job: SubmittedJob) throws -> ([UInt8]) -> ReceiptVerdict {
      let check = ReceiptCheck(verifier: stage.alice.profile.verifier, policies: [stage.policy])
      let expected = ReceiptExpectation(job: job.name, manifest: job.record.manifest, model: job.record.model)
      return { check.verdict($0, expecting: expected) }
    }

    @Test("A bit flipped at any offset of a receipt, its attestation document included, makes it no receipt")
    func everyOffset() throws {
      let (job, ended) = try stage.finishedJob(stage.alice, ["the bridge"])
      let receipt = try #require(ended.receipt)
      let verdict = try judge(job)
      #expect(verdict(receipt).isVerified)
      for offset in receipt.indices {
        let answer = verdict(receipt.flipped(at: offset))
        #expect(!answer.isVerified && answer.failure != nil, "offset \(offset)")
      }
    }

    @Test("Every beginning of a receipt, and one with a byte behind it, is no receipt")
    func truncation() throws {
      let (job, ended) = try stage.finishedJob(stage.alice, ["the bridge"])
      let receipt = try #require(ended.receipt)
      let verdict = try judge(job)
      for count in receipt.indices { #expect(!verdict(Array(receipt[..<count])).isVerified, "\(count) bytes") }
      #expect(!verdict(receipt + [0]).isVerified)
    }

    @Test("A changed receipt is refused whether commit.json names the true one or the changed one")
    func inTheStore() throws {
      let (job, ended) = try stage.finishedJob(stage.alice, ["the bridge"])
      let receipt = try #require(ended.receipt)
      for offset in stride(from: 0, to: receipt.count, by: 97) {
        let forged = receipt.flipped(at: offset)
        try stage.store.put(StoreLayout.receipt(job.name, attempt: 1), forged)
        expectClientRefuses("offset \(offset), old commit") {
          _ = try stage.alice.examine(job.name, in: stage.store).verified()
        }
        try stage.commit(receipt: forged, as: job.name)
        expectClientRefuses("offset \(offset), new commit") {
          _ = try stage.alice.examine(job.name, in: stage.store).verified()
        }
        expectClientRefuses("offset \(offset), as a file") {
          _ = try stage.alice.examine(receipt: forged, of: job.name).verified()
        }
      }
    }

    @Test("A receipt that the host signs itself is refused with every document that it can get hold of")
    func ownReceipt() throws {
      let (job, ended) = try stage.finishedJob(stage.alice, ["the bridge"])
      let verdict = try judge(job)
      let key = try SigningKey.generate()
      var claims = try ended.claims
      claims.key = key.verifyingKey
      claims.software = "better than the real one"
      let payload = try Signed<ReceiptClaims>.sign(claims, with: key) { _ in [] }.payload
      let binding = statementBinding(.receipt, payload: payload)
      for (origin, document) in try stage.documentsOfTheHost(binding: binding) {
        let forged = try Forgery.statement(claims, signedBy: key, document: document)
        #expect(!verdict(forged).isVerified, "with the document of \(origin)")
        let keepsOldKey = try Forgery.statement(try #require(ended.receipt), withDocument: document)
        #expect(!verdict(keepsOldKey).isVerified, "the true receipt with the document of \(origin)")
      }
    }

    @Test("Bytes that are no receipt fail the first line and nothing else is asked")
    func garbage() throws {
      let (job, ended) = try stage.finishedJob(stage.alice, ["the bridge"])
      let verdict = try judge(job)
      let status = try #require(try stage.host.perform(.status(nonce: [1, 2, 3])).statement)
      let announcement = try stage.store.get(StoreLayout.announcement(1))
      let samples = [[], [0xD2], [UInt8](repeating: 0x9F, count: 5000), status, announcement, stage.policy.bytes]
      for bytes in samples { #expect(verdict(bytes).failure?.question == .form) }
      #expect(verdict(try #require(ended.receipt)).isVerified)
    }
  }
}

extension Stage {
  /// Every genuine attestation document that a host can obtain: what the worker answers, and what the hypervisor says of
  /// an enclave of the host's own.
  ///
  /// - Parameter binding: the 32 bytes that the host would like to see attested; it slips them in wherever it may.
  func documentsOfTheHost(binding: [UInt8]) throws -> [(origin: String, document: [UInt8])] {
    func of(_ statement: [UInt8]?) throws -> [UInt8] { try Forgery.document(of: statement ?? []) }
    let rogue = RogueEnclave(theatre: theatre)
    let job = try finishedJob(alice, ["a note"])
    return [
      ("a status with the binding as nonce", try of(try host.perform(.status(nonce: binding)).statement)),
      ("a status", try of(try host.perform(.status(nonce: [])).statement)),
      ("a new epoch", try of(try host.perform(.createEpoch(1)).statement)),
      ("the stored announcement", try of(try store.get(StoreLayout.announcement(1)))),
      ("another job's receipt", try of(job.1.receipt)),
      ("a refused bundle's receipt", try of(try run(binding).receipt)),
      ("an enclave of the host", try rogue.document(userData: binding)),
      ("an enclave of the host, with a nonce", try rogue.document(userData: binding, nonce: [1])),
      ("an enclave of the host, with a key", try rogue.document(userData: binding, publicKey: binding)),
      ("an enclave of the host, without user data", try rogue.document(userData: nil)),
    ]
  }
}
