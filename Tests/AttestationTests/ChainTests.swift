import SwiftASN1
import Testing
import Wire
import X509

@testable import Attestation

/// Chains that X.509 alone would accept or that are wrong in one certificate, and the time of judgement.
struct ChainTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let reason: AttestationRefusal.Reason
    let place: String
    let spoil: @Sendable (inout [TestPKI.Level]) -> Void

    init(
      _ claim: String, _ reason: AttestationRefusal.Reason, at place: String,
      _ spoil: @escaping @Sendable (inout [TestPKI.Level]) -> Void
    ) {
      testDescription = claim
      self.reason = reason
      self.place = place
      self.spoil = spoil
    }
  }

  static let cases: [Case] = [
    Case("an expired leaf", .notValidAtTime, at: "certificate") { $0[4].notAfter = TestPKI.time - 1 },
    Case("a leaf from the future", .notValidAtTime, at: "certificate") { $0[4].notBefore = TestPKI.time + 1 },
    Case("an expired zonal certificate", .notValidAtTime, at: "cabundle[2]") { $0[2].notAfter = TestPKI.time - 1 },
    Case("an expired root", .notValidAtTime, at: "pinned root") { $0[0].notAfter = TestPKI.time - 1 },
    Case("an issuer that may not sign certificates", .keyUsage, at: "cabundle[3]") {
      $0[3].usage = KeyUsage(digitalSignature: true)
    },
    Case("an issuer without key usage", .keyUsage, at: "cabundle[1]") { $0[1].usage = nil },
    Case("a leaf that may not sign data", .keyUsage, at: "certificate") { $0[4].usage = KeyUsage(keyAgreement: true) },
    Case("a leaf without key usage", .keyUsage, at: "certificate") { $0[4].usage = nil },
    Case("an issuer that is no authority", .basicConstraints, at: "cabundle[2]") {
      $0[2].constraints = .notCertificateAuthority
    },
    Case("an issuer without basic constraints", .basicConstraints, at: "cabundle[2]") { $0[2].constraints = nil },
    Case("a leaf that is an authority", .basicConstraints, at: "certificate") {
      $0[4].constraints = .isCertificateAuthority(maxPathLength: 0)
    },
    Case("a path longer than its length", .basicConstraints, at: "cabundle[1]") {
      $0[1].constraints = .isCertificateAuthority(maxPathLength: 1)
    },
    Case("a root with path length 2 over three authorities", .basicConstraints, at: "pinned root") {
      $0[0].constraints = .isCertificateAuthority(maxPathLength: 2)
    },
    Case("an unknown critical extension", .certificate, at: "certificate") {
      $0[4].extra = [Certificate.Extension(oid: [1, 3, 6, 1, 4, 1, 99999, 1], critical: true, value: [5, 0])]
    },
    Case("a certificate signed with SHA-256", .certificate, at: "cabundle[3]") {
      $0[3].signatureAlgorithm = .ecdsaWithSHA256
    },
  ]

  @Test(arguments: cases) func isRefused(_ one: Case) throws {
    let pki = try TestPKI(one.spoil)
    let bytes = try TestDocument(pki).signed(pki.leafKey)
    let verifier = try pki.verifier
    let refused = refusal { _ = try verifier.verify(.init(bytes), at: .documentTime, measurements: nil) }
    #expect(refused?.reason == one.reason)
    #expect(refused?.place == one.place)
  }

  @Test func certificatesAreJudgedAtTheGivenTime() throws {
    let pki = try TestPKI { $0[4].notAfter = TestPKI.time + 60 }
    let bytes = try TestDocument(pki).signed(pki.leafKey)
    let verifier = try pki.verifier
    _ = try verifier.verify(.init(bytes), at: .at(ms: TestPKI.timeMs + 60_000), measurements: nil)
    let late = refusal {
      _ = try verifier.verify(.init(bytes), at: .at(ms: TestPKI.timeMs + 60_001), measurements: nil)
    }
    #expect(late?.reason == .notValidAtTime)
  }

  @Test func aFreshDocumentIsDemandedWhereAnAgeIsGiven() throws {
    let pki = try TestPKI()
    let bytes = try TestDocument(pki).signed(pki.leafKey)
    let verifier = try pki.verifier
    func age(_ now: UInt64) -> AttestationRefusal.Reason? {
      refusal { _ = try verifier.verify(.init(bytes), at: .at(ms: now), measurements: nil, maximumAgeMs: 300_000) }?
        .reason
    }
    #expect(age(TestPKI.timeMs) == nil)
    #expect(age(TestPKI.timeMs + 300_000) == nil)
    #expect(age(TestPKI.timeMs + 300_001) == .stale)
    #expect(age(TestPKI.timeMs - 60_000) == nil)
    #expect(age(TestPKI.timeMs - 60_001) == .stale)
  }

  @Test func anotherRootOfTheSameNameIsTheWrongRoot() throws {
    let (mine, other) = (try TestPKI(), try TestPKI())
    let bytes = try TestDocument(other).signed(other.leafKey)
    let verifier = try mine.verifier
    #expect(
      refusal { _ = try verifier.verify(.init(bytes), at: .documentTime, measurements: nil) }?.reason == .wrongRoot)
  }

  @Test func theRootThatADocumentBringsIsNotLookedAt() throws {
    let pki = try TestPKI()
    var document = TestDocument(pki)
    guard case .array(var bundle)? = document["cabundle"] else { return }
    bundle[0] = .bytes(try TestPKI().certificates[0])
    document["cabundle"] = .array(bundle)
    _ = try pki.verifier.verify(.init(try document.signed(pki.leafKey)), at: .documentTime, measurements: nil)
  }

  @Test func aChainWithoutIntermediatesIsLegal() throws {
    let pki = try TestPKI { $0.removeSubrange(1...3) }
    let verified = try pki.verifier.verify(
      .init(try TestDocument(pki).signed(pki.leafKey)), at: .documentTime, measurements: nil)
    #expect(verified.chain.map(\.subject) == ["CN=root", "CN=leaf"])
  }
}
