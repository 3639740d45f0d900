import Foundation
import TestSupport
import Testing

@testable import Attestation

/// Tests/Vectors/attestation: documents that Python made (scripts/golden-attestation.py), each named for its outcome.
struct GoldenDocumentTests {
  private static let folder = Checkout.root.appending(path: "Tests/Vectors/attestation")
  private let verifier: AttestationVerifier

  init() throws {
    let pem = try String(contentsOf: Self.folder.appending(path: "root.pem"), encoding: .utf8)
    verifier = AttestationVerifier(try .development(pem: pem))
  }

  private func document(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: Self.folder.appending(path: "\(name).cose")))
  }

  @Test func everyDocumentHasTheOutcomeOfItsName() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).filter {
      $0.hasSuffix(".cose") && $0 != "emulated.cose"
    }
    #expect(files.count == 3)
    for file in files {
      let name = String(file.dropLast(5))
      let bytes = try document(name)
      let refused = refusal { _ = try verifier.verify(.init(bytes), at: .documentTime, measurements: nil) }
      #expect(refused?.reason.rawValue ?? "accepted" == name)
    }
  }

  @Test func theFieldsAreThoseThatPythonWrote() throws {
    let attestation = try verifier.verify(
      .init(try document("accepted")), at: .documentTime, measurements: nil, userData: .exactly(Array("golden".utf8)),
      nonce: .absent, publicKey: .absent)
    #expect(attestation.timeMs == 1_780_000_000_000)
    #expect(attestation.pcrs[2] == [UInt8](repeating: 3, count: 48))
    #expect(attestation.pcrs.count == 16)
    #expect(attestation.chain.first?.subject == "CN=root.test.invalid")
  }

  @Test func oneFlippedBitAnywhereIsRefused() throws {
    let bytes = try document("accepted")
    for offset in stride(from: 0, to: bytes.count, by: 5) {
      var spoilt = bytes
      spoilt[offset] ^= 1 << UInt8(offset % 8)
      let refused = refusal { _ = try verifier.verify(.init(spoilt), at: .documentTime, measurements: nil) }
      #expect(refused != nil, "accepted with a bit flipped at offset \(offset)")
    }
  }
}
