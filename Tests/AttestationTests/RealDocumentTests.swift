import Foundation
import SealedCrypto
import TestSupport
import Testing
import Wire

@testable import Attestation

/// A document of a real Nitro enclave, under the root that the product carries.
@Suite(.enabled(if: Need.vectors.isMet, Comment(rawValue: Need.vectors.comment)))
struct RealDocumentTests {
  private let bytes: [UInt8]
  private let verifier: AttestationVerifier

  init() throws {
    bytes = [UInt8](try Data(contentsOf: Need.vectors.require().appending(path: "nitro-attestation-2025-12.cose")))
    verifier = AttestationVerifier(try .production())
  }

  @Test func verifiesToTheAWSRootAtItsOwnTime() throws {
    let attestation = try verifier.verify(.init(bytes), at: .documentTime, measurements: nil)
    #expect(attestation.evidenceClass == .production)
    #expect(attestation.moduleID == "i-0827e799ec9232d44-enc019b55a68bd2ed4b")
    #expect(attestation.pcrs.keys.sorted() == Array(0...15))
    #expect(attestation.userData?.count == 64)
    #expect(attestation.publicKey == nil)
    #expect(attestation.nonce == nil)
    #expect(attestation.chain.count == 5)
    #expect(try ProductionEvidence(attestation).attestation.timeMs == attestation.timeMs)
  }

  @Test func itIsNoEmulatedEvidence() throws {
    let refused = refusal { _ = try QEMU.verifier.verify(.init(bytes), at: .documentTime, measurements: nil) }
    #expect(refused?.reason == .evidenceClass)
  }

  @Test func itsRootIsTheOneThatTheProductCarries() throws {
    #expect(try TrustAnchor.production().rootSHA256?.hex == AWSNitroRoot.sha256)
    #expect(AWSNitroRoot.sha256 == "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b")
    let document = try AttestationDocument(bytes)
    #expect(try TrustAnchor.production().root?.certificate.derBytes() == document.bundle[0])
  }

  @Test func isRefusedNow() {
    let now = UInt64(Date().timeIntervalSince1970 * 1000)
    let refused = refusal { _ = try verifier.verify(.init(bytes), at: .at(ms: now), measurements: nil) }
    #expect(refused?.reason == .notValidAtTime)
  }

  @Test func isRefusedUnderADevelopmentRoot() throws {
    let development = try TestPKI().verifier
    let refused = refusal { _ = try development.verify(.init(bytes), at: .documentTime, measurements: nil) }
    #expect(refused?.reason == .wrongRoot)
  }

  @Test func theAWSRootIsNoDevelopmentRoot() throws {
    #expect(refusal { _ = try TrustAnchor.development(pem: AWSNitroRoot.pem) }?.reason == .evidenceClass)
  }

  @Test func isRefusedWithOneBitFlippedAtAnyOffset() {
    for offset in bytes.indices {
      var spoilt = bytes
      spoilt[offset] ^= 1 << UInt8(offset % 8)
      let refused = refusal { _ = try verifier.verify(.init(spoilt), at: .documentTime, measurements: nil) }
      #expect(refused != nil, "accepted with a bit flipped at offset \(offset)")
    }
  }

  @Test func isRefusedWhenItIsCutAnywhere() {
    for count in stride(from: 0, to: bytes.count, by: 7) {
      let refused = refusal {
        _ = try verifier.verify(.init(Array(bytes.prefix(count))), at: .documentTime, measurements: nil)
      }
      #expect(refused?.reason == .malformed, "accepted the first \(count) bytes")
    }
  }
}
