import Attestation
import Crypto
import Foundation
import ObjectStore
import SealedCrypto
import Testing
import Wire

@testable import Client
@testable import JobRunner

@Suite("One item can be proven, and no other is opened by it")
struct ItemProofTests {
  private let texts = ["the report", "a memo", "fail this", "note of the bridge", "the fifth"]

  private struct Proven {
    let desk: Desk
    let results: OpenedResults
    let receipt: [UInt8]
    var prover: ItemProver { ItemProver(results, receipt: receipt) }
    var check: ReceiptCheck { ReceiptCheck(verifier: desk.profile.verifier, policies: [desk.policy]) }
    let input: String
  }

  private func prepare() throws -> Proven {
    let desk = try Desk()
    let entry = try desk.submit(texts)
    try desk.finish(entry)
    let examined = try desk.examine(entry)
    return Proven(
      desk: desk, results: try #require(examined.results), receipt: examined.bytes, input: entry.record.source)
  }

  @Test("every item is proven by id and by place, with its lines where they are disclosed")
  func every() throws {
    let proven = try prepare()
    for index in texts.indices {
      let proof = try proven.prover.prove(
        .id("d\(index)"), input: JSONLFile(path: proven.input), disclosingOutput: true)
      #expect(try ItemProof(decoding: proof.encoded()) == proof)
      let item = try #require(try proof.verified(by: proven.check).item)
      #expect(item.leaf.index == UInt64(index))
      #expect(item.leaf.status == (index == 2 ? .failed : .ok))
      let line = String(decoding: item.input ?? [], as: UTF8.self)
      #expect(line == #"{"id":"d\#(index)","text":"\#(texts[index])"}"#)
      #expect(String(decoding: item.output ?? [], as: UTF8.self).contains(#""custom_id":"d\#(index)""#))
      let bare = try proven.prover.prove(.index(UInt64(index)), input: nil, disclosingOutput: false)
      #expect(bare.leaf == proof.leaf && bare.path == proof.path)
      #expect(try proven.check.verified(bare)?.input == nil)
      #expect(bare.encoded().count < proof.encoded().count)
    }
    #expect(
      clientError { _ = try proven.prover.prove(.id("d9"), input: nil, disclosingOutput: true) }?.kind == .notFound)
    #expect(
      clientError { _ = try proven.prover.prove(.index(5), input: nil, disclosingOutput: true) }?.kind == .notFound)
    let other = try proven.desk.file("other.jsonl", #"{"id":"d0","text":"another text"}"#)
    #expect(
      clientError { _ = try proven.prover.prove(.index(0), input: JSONLFile(path: other), disclosingOutput: true) }?
        .kind == .notFound)
  }

  @Test("a proof holds neither the manifest's salt nor anything by which a sibling could be guessed")
  func siblings() throws {
    let proven = try prepare()
    let salt = proven.results.manifest.claims.salt
    for index in texts.indices {
      let bytes = try proven.prover.prove(
        .index(UInt64(index)), input: JSONLFile(path: proven.input), disclosingOutput: true
      ).encoded()
      #expect(bytes.firstRange(of: salt) == nil)
      #expect(bytes.firstRange(of: proven.results.manifest.bytes) == nil)
      for (other, text) in texts.enumerated() where other != index {
        let line = Array(#"{"id":"d\#(other)","text":"\#(text)"}"#.utf8)
        #expect(bytes.firstRange(of: SHA256.digest(of: line).bytes) == nil)
        #expect(bytes.firstRange(of: ItemRecord.salt(manifestSalt: salt, index: UInt64(other))) == nil)
        // Who guesses the line right still cannot check it: the leaf's hash is over the salt.
        let unsalted = CBOR.array([.unsigned(UInt64(other)), .bytes(SHA256.digest(of: line).bytes)]).encoded()
        #expect(bytes.firstRange(of: MerkleTree.leafHash(unsalted)) == nil)
      }
    }
  }

  @Test("every changed byte of a proof is refused")
  func flipped() throws {
    let proven = try prepare()
    let bytes = try proven.prover.prove(
      .index(3), input: JSONLFile(path: proven.input), disclosingOutput: true
    ).encoded()
    let genuine = try ItemProof(decoding: bytes)
    // Everything behind the receipt, which a signature covers, and every 97th byte of that.
    let receipt = try #require(bytes.firstRange(of: proven.receipt))
    let places = bytes.indices.filter { !receipt.contains($0) || $0.isMultiple(of: 97) }
    for place in places {
      var altered = bytes
      altered[place] ^= 0x01
      guard let proof = try? ItemProof(decoding: altered), proof != genuine else { continue }
      #expect((try? proof.verified(by: proven.check).item) == nil, "byte \(place)")
    }
    for length in stride(from: 0, to: bytes.count, by: 61) {
      #expect(throws: (any Error).self) { _ = try ItemProof(decoding: Array(bytes.prefix(length))) }
    }
    #expect(throws: (any Error).self) { _ = try ItemProof(decoding: bytes + [0]) }
  }

  @Test("another item's line, another job's receipt and another root's evidence prove nothing")
  func mixed() throws {
    let proven = try prepare()
    let first = try proven.prover.prove(.index(0), input: JSONLFile(path: proven.input), disclosingOutput: true)
    let second = try proven.prover.prove(.index(1), input: JSONLFile(path: proven.input), disclosingOutput: true)
    func refused(_ proof: ItemProof) -> Bool { (try? proof.verified(by: proven.check).item) == nil }
    #expect(
      refused(
        ItemProof(receipt: first.receipt, leaf: first.leaf, path: first.path, input: second.input, output: nil)))
    #expect(
      refused(
        ItemProof(receipt: first.receipt, leaf: first.leaf, path: first.path, input: nil, output: second.output)))
    #expect(
      refused(ItemProof(receipt: first.receipt, leaf: first.leaf, path: second.path, input: nil, output: nil)))
    let other = try proven.desk.submit(["another job"])
    let receipt = try proven.desk.finish(other).receipt.bytes
    #expect(refused(ItemProof(receipt: receipt, leaf: first.leaf, path: first.path, input: nil, output: nil)))
    let unbound = try proven.desk.resigned(proven.receipt) {
      $0.outcome = .refused
      $0.code = .refused
      $0.job = nil
    }
    #expect(refused(ItemProof(receipt: unbound, leaf: first.leaf, path: first.path, input: nil, output: nil)))
    let stranger = try TestEnclave(nowMs: Desk.nowMs)
    var claims = try UnverifiedStatement<ReceiptClaims>(proven.receipt).signedByItsOwnKey().signed.claims
    claims.key = stranger.verifyingKey
    let forged = try stranger.sign(claims, atMs: claims.endedMs).bytes
    let verdict = try ItemProof(receipt: forged, leaf: first.leaf, path: first.path, input: nil, output: nil)
      .verified(by: proven.check)
    #expect(verdict.item == nil)
    #expect(verdict.verdict.failure?.question == .chain)
  }

  @Test("the commands write a proof, and verify it in another home without a store")
  func commands() throws {
    let proven = try prepare()
    let desk = proven.desk
    let job = try desk.ledger.entries()[0].record.job.hex
    let path = "\(desk.folder)/item.proof"
    let store = ["--store", "file://\(desk.folder)/store"]
    #expect(
      try desk.exitCode(
        ReceiptsCommand.Prove.self,
        [job, "--item", "d1", "--disclose", "input,output", "--input", proven.input, "--output", path] + store) == 0)
    #expect(try desk.exitCode(ReceiptsCommand.VerifyItem.self, [path]) == 0)
    let receipt = try desk.file("right.receipt", proven.receipt)
    #expect(try desk.exitCode(ReceiptsCommand.VerifyItem.self, [path, "--receipt", receipt]) == 0)
    let wrong = try desk.file("wrong.receipt", try desk.resigned(proven.receipt) { $0.attempt = 9 })
    #expect(
      try desk.exitCode(ReceiptsCommand.VerifyItem.self, [path, "--receipt", wrong]) == ExitStatus.invalid.rawValue)
    #expect(try desk.exitCode(ReceiptsCommand.VerifyItem.self, [wrong]) == ExitStatus.invalid.rawValue)
    _ = try TrustStore(home: desk.home).add(
      name: "prod", evidenceClass: .production, rootPEM: nil, policyKey: desk.policyKey.verifyingKey)
    let command = try ReceiptsCommand.VerifyItem.parse([path, "--home", desk.home.path, "--profile", "prod", "--json"])
    let error = clientError { try command.run() }
    #expect(error?.kind == .rejected)
    #expect(
      try desk.exitCode(ReceiptsCommand.Verify.self, ["\(desk.folder)/missing.receipt"])
        == ExitStatus.notFound.rawValue)
  }
}

extension ReceiptCheck {
  fileprivate func verified(_ proof: ItemProof) throws -> ProvenItem? { try proof.verified(by: self).item }
}
