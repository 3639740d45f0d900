import SealedCrypto
import SwiftASN1
import Testing
import X509

@testable import Attestation

/// A profile names exactly one class and its one root (protocol §8).
struct TrustProfileTests {
  private let key: VerifyingKey
  private let development: String

  init() throws {
    key = try SigningKey.generate().verifyingKey
    development = try Certificate(derEncoded: TestPKI().certificates[0]).serializeAsPEM().pemString
  }

  private func profile(_ evidenceClass: EvidenceClass, _ root: String?) throws -> TrustProfile {
    try TrustProfile(name: "test", evidenceClass: evidenceClass, rootPEM: root, policyKey: key)
  }

  @Test func productionHasTheAWSRootAndNoOther() throws {
    #expect(try profile(.production, nil).anchor.rootSHA256?.hex == AWSNitroRoot.sha256)
    #expect(try profile(.production, AWSNitroRoot.pem).evidenceClass == .production)
    #expect(refusal { _ = try profile(.production, development) }?.reason == .wrongRoot)
    #expect(refusal { _ = try profile(.production, "junk") }?.reason == .certificate)
  }

  @Test func developmentNeedsARootThatIsNotAWSs() throws {
    #expect(try profile(.development, development).evidenceClass == .development)
    #expect(refusal { _ = try profile(.development, nil) }?.reason == .wrongRoot)
    #expect(refusal { _ = try profile(.development, AWSNitroRoot.pem) }?.reason == .evidenceClass)
    #expect(refusal { _ = try profile(.development, "") }?.reason == .certificate)
  }

  @Test func everyClassButProductionSaysSo() {
    #expect(EvidenceClass.production.banner == nil)
    #expect(EvidenceClass.development.banner?.hasPrefix("DEVELOPMENT") == true)
    #expect(EvidenceClass.emulated.banner?.hasPrefix("EMULATED") == true)
  }

  @Test func bytesThatAreNoCertificateAreRefusedInWordsForPeople() throws {
    let der = try TestPKI().certificates[0]
    let broken: [[UInt8]] = [
      [], [0x30], Array(der.dropLast()), Array(der.dropFirst(4)), [0x04, 0x01, 0x00], der + [0],
    ]
    let pems = ["", "junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", development + development]
    let refusals =
      broken.map { der in refusal { _ = try TrustAnchor.development(der: der) } }
      + pems.map { pem in refusal { _ = try TrustAnchor.development(pem: pem) } }
    for refused in refusals {
      #expect(refused?.reason == .certificate && refused?.place.hasPrefix("root") == true)
      let detail = try #require(refused?.detail)
      #expect(!detail.contains("Error") && !detail.contains(".swift") && !detail.isEmpty, "\(detail)")
    }
  }
}
