import Foundation
import TestSupport
import Testing
import Wire

@testable import SealedCrypto

/// COSE_Sign1 against pycose: its statements have their outcomes here, and ours verify there.
struct COSEInteroperabilityTests {
  private struct Golden: Decodable {
    struct Vector: Decodable {
      let name: String
      /// `accepted`, or a part of the refusal.
      let expect: String
      let cose: String
    }
    let key: String
    let vectors: [Vector]
  }

  @Test func everyStatementOfPycoseHasItsOutcome() throws {
    let data = try Data(contentsOf: Checkout.root.appending(path: "Tests/Vectors/cose/pycose.json"))
    let golden = try JSONDecoder().decode(Golden.self, from: data)
    #expect(golden.vectors.count > 15)
    let key = try VerifyingKey(try #require(Hex.decode(golden.key)))
    for vector in golden.vectors {
      let bytes = try #require(Hex.decode(vector.cose))
      var outcome = "accepted"
      do {
        let signed = try UnverifiedStatement<CancelClaims>(bytes).verified(by: key)
        #expect(signed.claims.job.bytes == [UInt8](repeating: 0x11, count: 32))
        #expect(signed.claims.issuedMs == StatementSamples.timeMs)
      } catch {
        outcome = "\(error)"
      }
      #expect(outcome.contains(vector.expect), "\(vector.name)")
    }
  }

  /// Ed25519 is deterministic, so the same key and claims give the very bytes of pycose.
  @Test func oursAreTheBytesOfPycose() throws {
    let data = try Data(contentsOf: Checkout.root.appending(path: "Tests/Vectors/cose/pycose.json"))
    let golden = try JSONDecoder().decode(Golden.self, from: data)
    let key = try SigningKey(seed: try SecretBytes(copying: Array(0..<32)))
    let job = try ContentDigest([UInt8](repeating: 0x11, count: 32))
    let signed = try Signed.sign(CancelClaims(job: job, issuedMs: StatementSamples.timeMs), with: key)
    #expect(Hex.encode(signed.bytes) == golden.vectors.first { $0.expect == "accepted" }?.cose)
  }

  @Test(.enabled(if: Need.pycose.isMet, Comment(rawValue: Need.pycose.comment)))
  func pycoseVerifiesAStatementOfEveryKind() throws {
    let key = try SigningKey.generate()
    let own = key.verifyingKey
    let document: ([UInt8]) -> [UInt8] = { _ in [UInt8](repeating: 0xD0, count: 4000) }
    let lines = [
      line(try Signed.sign(StatementSamples.policy(own), with: key)),
      line(try Signed.sign(StatementSamples.model(), with: key)),
      line(try Signed.sign(StatementSamples.manifest(), with: key)),
      line(try Signed.sign(StatementSamples.cancel(), with: key)),
      line(try Signed.sign(StatementSamples.head(), with: key)),
      line(try Signed.sign(StatementSamples.announcement(own), with: key, attest: document)),
      line(try Signed.sign(StatementSamples.receipt(own), with: key, attest: document)),
      line(try Signed.sign(StatementSamples.status(own), with: key, attest: document)),
    ]
    #expect(lines.count == StatementKind.allCases.count)
    let process = Process()
    process.executableURL = try Need.pycose.require()
    process.arguments = [Checkout.root.appending(path: "scripts/golden-cose.py").path, "verify"]
    let (input, output) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    try input.fileHandleForWriting.write(contentsOf: Data(lines.joined(separator: "\n").utf8))
    try input.fileHandleForWriting.close()
    let answer = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    #expect(String(decoding: answer, as: UTF8.self) == "\(lines.count)\n")
  }

  private func line<Claims>(_ signed: Signed<Claims>) -> String {
    let fields = [
      ("cose", signed.bytes), ("key", signed.signer.bytes), ("label", Claims.kind.label), ("payload", signed.payload),
    ]
    return "{" + fields.map { "\"\($0.0)\": \"\(Hex.encode($0.1))\"" }.joined(separator: ", ") + "}"
  }
}
