import Attestation
import Crypto
import SealedCrypto
import Testing
import Wire
import X509

@testable import DevCloud

@Suite("Attestation documents of devcloud")
struct DocumentTests {
  let laboratory: Laboratory
  let now = Laboratory.now
  init() throws { laboratory = try Laboratory() }

  private func verify(_ document: [UInt8], at now: Int64) throws -> VerifiedAttestation {
    try laboratory.verifier.verify(
      UnverifiedAttestation(document), at: .at(ms: UInt64(now)), measurements: nil, maximumAgeMs: 60_000)
  }

  @Test("verify under the development root and carry what the enclave asked for")
  func verifies() throws {
    let publicKey = [UInt8](repeating: 7, count: 294)
    let document = try laboratory.module().document(userData: [1, 2], nonce: [3], publicKey: publicKey, at: now)
    let verified = try verify(document, at: now)
    #expect(verified.evidenceClass == .development)
    #expect(verified.userData == [1, 2])
    #expect(verified.nonce == [3])
    #expect(verified.publicKey == publicKey)
    #expect(verified.timeMs == UInt64(now))
    #expect(verified.pcrs.count == 16)
    #expect(verified.pcrs[0] == Laboratory.measurement.pcr0)
    #expect(verified.pcrs[1] == Laboratory.measurement.pcr1)
    #expect(verified.pcrs[2] == Laboratory.measurement.pcr2)
    #expect(verified.pcrs[3] == PCRBank.zero)
    #expect(verified.pcrs[4] != PCRBank.zero)
    #expect(verified.chain.count == 5)
  }

  @Test("have the bytes of real ones: untagged, ES384, indefinite map, nulls, root first, DER of at most 1024")
  func realForm() throws {
    let document = try laboratory.module().document(at: now)
    #expect(document.starts(with: [0x84, 0x44, 0xA1, 0x01, 0x38, 0x22, 0xA0, 0x59]))
    let cose = try COSESign1(document, tagging: .optional, mode: .lenient)
    #expect(cose.payload.first == 0xBF)
    #expect(cose.payload.suffix(1) == [0xFF])
    #expect(cose.signature.count == 96)
    guard case .map(let pairs) = try CBORDecoder.decode(cose.payload, mode: .lenient) else {
      Issue.record("the payload is not a map")
      return
    }
    let names = [
      "module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle", "public_key", "user_data", "nonce",
    ]
    #expect(pairs.map(\.key) == names.map { .text($0) })
    #expect(pairs.suffix(3).map(\.value) == [.null, .null, .null])
    guard case .bytes(let leaf) = pairs[4].value, case .array(let bundle) = pairs[5].value else {
      Issue.record("no certificates")
      return
    }
    #expect(leaf.count <= 1024)
    let ders = bundle.compactMap { if case .bytes(let der) = $0 { der } else { nil } }
    #expect(ders.count == 4)
    #expect(ders.allSatisfy { (1...1024).contains($0.count) })
    #expect(try ders[0] == CertificateIssuer.der(laboratory.state.attestationRoot.certificate))
    let certificate = try Certificate(derEncoded: leaf)
    #expect(certificate.notValidAfter.timeIntervalSince(certificate.notValidBefore) <= 3 * 3600 + 61)
    let usage = try #require(certificate.extensions[oid: .X509ExtensionID.keyUsage])
    #expect(!usage.critical)
  }

  @Test("are refused under another root, and with one bit changed")
  func refused() throws {
    let document = try laboratory.module().document(userData: [9], at: now)
    let other = try Laboratory()
    #expect(throws: AttestationRefusal.self) {
      try other.verifier.verify(UnverifiedAttestation(document), at: .at(ms: UInt64(now)), measurements: nil)
    }
    for offset in stride(from: 0, to: document.count, by: 97) {
      var broken = document
      broken[offset] ^= 0x10
      #expect(throws: AttestationRefusal.self) { try verify(broken, at: now) }
    }
  }

  @Test("still verify when the enclave outlives its certificates", arguments: [1, 3, 25, 24 * 30])
  func renewal(hours: Int64) throws {
    let module = laboratory.module()
    _ = try module.document(at: now)
    let later = now + hours * 3_600_000
    #expect(try verify(module.document(at: later), at: later).timeMs == UInt64(later))
  }
}
