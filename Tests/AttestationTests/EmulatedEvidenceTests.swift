import Crypto
import Foundation
import SealedCrypto
import TestSupport
import Testing
import Wire

@testable import Attestation

extension TestDocument {
  /// As the emulator would write it: nobody signs, and zeros stand where certificates would.
  func unsigned(signature: [UInt8] = QEMU.zeros) -> [UInt8] {
    var document = self
    document["certificate"] = .bytes(QEMU.zeros)
    document["cabundle"] = .array([.bytes(QEMU.zeros)])
    return document.unsignedAsItStands(signature: signature)
  }

  /// With its own certificates under the emulator's header.
  func unsignedAsItStands(signature: [UInt8] = QEMU.zeros) -> [UInt8] {
    let payload = CBOR.map(pairs).encoded() + payloadSuffix
    return CBOR.array([.bytes([0xA1, 0x01, 0x20]), .map(unprotected), .bytes(payload), .bytes(signature)]).encoded()
  }
}

enum QEMU {
  static let zeros = [UInt8](repeating: 0, count: 64)
  static let verifier = AttestationVerifier(.emulated)
}

/// The third class: true measurements that nobody signed. Everything but chain and signature is held to the same rules.
struct EmulatedEvidenceTests {
  private let pki: TestPKI
  private let bound = Array(SHA256.hash(data: [1]))
  private let image = TestDocument.image

  init() throws { pki = try TestPKI() }

  private func reason(
    _ bytes: [UInt8], by verifier: AttestationVerifier = QEMU.verifier,
    at moment: AttestationVerifier.Moment = .documentTime,
    measurements: [MeasurementTuple]? = [TestDocument.image], userData: FieldExpectation = .anything,
    maximumAgeMs: UInt64? = nil
  ) -> AttestationRefusal.Reason? {
    refusal {
      _ = try verifier.verify(
        .init(bytes), at: moment, measurements: measurements, userData: userData, maximumAgeMs: maximumAgeMs)
    }?.reason
  }

  @Test func anEmulatorsDocumentIsEmulatedEvidenceAndNoOther() throws {
    let bytes = TestDocument(pki, userData: bound).unsigned()
    let verified = try QEMU.verifier.verify(
      .init(bytes), at: .documentTime, measurements: [image], userData: .exactly(bound), nonce: .absent,
      publicKey: .absent)
    #expect(verified.evidenceClass == .emulated)
    #expect(verified.image == image)
    #expect(verified.chain.isEmpty)
    #expect(refusal { _ = try ProductionEvidence(verified) }?.reason == .evidenceClass)
  }

  @Test func noClassTakesAnothersDocuments() throws {
    let unsigned = TestDocument(pki).unsigned()
    let signed = try TestDocument(pki).signed(pki.leafKey)
    #expect(reason(unsigned, by: try pki.verifier) == .evidenceClass)
    #expect(reason(unsigned, by: AttestationVerifier(try .production())) == .evidenceClass)
    #expect(reason(signed) == .evidenceClass)
    #expect(reason(signed, by: try pki.verifier) == nil)
    #expect(reason(unsigned) == nil)
  }

  @Test func aSignedDocumentsPartsUnderTheEmulatorsHeaderAreRefused() throws {
    var document = TestDocument(pki)
    #expect(reason(document.unsignedAsItStands()) == .certificate)
    document["certificate"] = .bytes(QEMU.zeros)
    #expect(reason(document.unsignedAsItStands()) == .certificate)
    let bundles: [[[UInt8]]] = [[QEMU.zeros, QEMU.zeros], [[1] + QEMU.zeros.dropFirst()], [[0]]]
    for bundle in bundles {
      document["cabundle"] = .array(bundle.map { .bytes($0) })
      #expect(reason(document.unsignedAsItStands()) == .certificate)
    }
    document["cabundle"] = .array([.bytes(QEMU.zeros)])
    #expect(reason(document.unsignedAsItStands()) == nil)
    let certificates: [[UInt8]] = [[0], QEMU.zeros.dropLast() + [1], QEMU.zeros + [0]]
    for der in certificates {
      document["certificate"] = .bytes(der)
      #expect(reason(document.unsignedAsItStands()) == .certificate)
    }
    let signatures: [[UInt8]] = [QEMU.zeros.dropLast() + [1], Array(QEMU.zeros.dropLast()), QEMU.zeros + [0], []]
    for signature in signatures {
      #expect(reason(TestDocument(pki).unsigned(signature: signature)) == .signature)
    }
  }

  @Test(arguments: DocumentRefusalTests.cases.filter { !$0.isOfTheChain })
  func whatASignedDocumentMustSayAnUnsignedOneMustToo(_ one: DocumentRefusalTests.Case) throws {
    var document = TestDocument(pki)
    one.spoil(&document)
    #expect(reason(document.unsigned(), measurements: nil) == one.reason)
  }

  @Test func measurementsBindingsAndAgeAreHeldAsEver() throws {
    let bytes = TestDocument(pki, userData: bound).unsigned()
    let other = MeasurementTuple(name: "other", pcr0: image.pcr0, pcr1: image.pcr1, pcr2: image.pcr1, pcr8: nil)
    #expect(reason(bytes, measurements: [other]) == .measurements)
    #expect(reason(bytes, userData: .exactly([1])) == .userData)
    #expect(reason(bytes, userData: .absent) == .userData)
    let later = TestPKI.timeMs + 300_001
    #expect(reason(bytes, at: .at(ms: later), maximumAgeMs: 300_000) == .stale)
    #expect(reason(bytes, at: .at(ms: later - 1), maximumAgeMs: 300_000) == nil)
    var debug = TestDocument(pki, userData: bound)
    for index: UInt64 in 0...2 { debug.setRegister(index, Array(repeating: 0, count: 48)) }
    #expect(reason(debug.unsigned(), measurements: nil) == .debugMode)
  }

  @Test func aProfileOfTheClassHasNoRoot() throws {
    let key = try SigningKey.generate().verifyingKey
    let profile = try TrustProfile(name: "qemu", evidenceClass: .emulated, rootPEM: nil, policyKey: key)
    #expect(profile.evidenceClass == .emulated)
    #expect(profile.anchor.rootSHA256 == nil)
    for pem in [AWSNitroRoot.pem, "junk", ""] {
      let refused = refusal {
        _ = try TrustProfile(name: "qemu", evidenceClass: .emulated, rootPEM: pem, policyKey: key)
      }
      #expect(refused?.reason == .wrongRoot)
    }
  }

  @Test func receiptsAndAnnouncementsHoldForTheirClassAlone() throws {
    let enclave = try TestEnclave(pki)
    let policy = try enclave.policy()
    let receipt = try enclave.emulatedReceipt(under: policy)
    let expected = ReceiptExpectation(job: TestEnclave.job)
    let verdict = ReceiptCheck(verifier: QEMU.verifier, policies: [policy]).verdict(receipt, expecting: expected)
    #expect(verdict.isVerified)
    #expect(verdict.receipt?.attestation.evidenceClass == .emulated)
    #expect(verdict.lines.contains { "\($0.answer)".contains("EMULATED") })
    for anchor in [try pki.anchor, try TrustAnchor.production()] {
      let refused = ReceiptCheck(verifier: AttestationVerifier(anchor), policies: [policy]).verdict(
        receipt, expecting: expected)
      #expect(!refused.isVerified)
      #expect(refused.failure?.question == .chain)
    }
    let signed = ReceiptCheck(verifier: QEMU.verifier, policies: [policy]).verdict(
      try enclave.receipt(under: policy), expecting: expected)
    #expect(signed.failure?.question == .chain)

    let now = TestPKI.timeMs + 1_000
    func reasonOf(_ bytes: [UInt8], _ verifier: AttestationVerifier) throws -> AttestationRefusal.Reason? {
      let check = AnnouncementCheck(verifier: verifier, policy: policy, newestAcceptedMs: 0)
      return refusal { _ = try check.accept(bytes, nowMs: now) }?.reason
    }
    let emulated = try enclave.emulatedAnnouncement(under: policy)
    #expect(try reasonOf(emulated, QEMU.verifier) == nil)
    #expect(try reasonOf(emulated, try pki.verifier) == .evidenceClass)
    #expect(try reasonOf(try enclave.announcement(under: policy), QEMU.verifier) == .evidenceClass)
  }

  @Test func noFlippedBitChangesWhatADocumentIsHeldTo() throws {
    let bytes = TestDocument(pki, userData: bound).unsigned()
    try EmulatedDocumentBits.check(bytes, image: image, userData: bound)
  }

  /// Of QEMU's own security module: scripts/nsm-exchanges.py asked a real /dev/nsm for it, over SHA-256 of "emulated".
  @Test func aDocumentOfTheRealEmulatorVerifiesAndNoFlippedBitChangesWhatItIsHeldTo() throws {
    let file = Checkout.root.appending(path: "Tests/Vectors/attestation/emulated.cose")
    let bytes = [UInt8](try Data(contentsOf: file))
    let bound = Array(SHA256.hash(data: Array("emulated".utf8)))
    let found = try QEMU.verifier.verify(
      .init(bytes), at: .documentTime, measurements: nil, userData: .exactly(bound), nonce: .absent, publicKey: .absent)
    #expect(found.evidenceClass == .emulated)
    #expect(found.pcrs.keys.sorted() == Array(0...17))
    let measured = MeasurementTuple(
      name: "probe", pcr0: try #require(found.pcrs[0]), pcr1: try #require(found.pcrs[1]),
      pcr2: try #require(found.pcrs[2]), pcr8: nil)
    try EmulatedDocumentBits.check(bytes, image: measured, userData: bound)
    #expect(reason(bytes, by: AttestationVerifier(try .production()), measurements: nil) == .evidenceClass)
    #expect(reason(bytes, by: try pki.verifier, measurements: nil) == .evidenceClass)
  }
}

/// Nothing signs an emulated document, so what nobody compares (time, module, the other registers) can be changed. What
/// is compared cannot: every flipped bit of it is refused.
enum EmulatedDocumentBits {
  static func check(_ bytes: [UInt8], image: MeasurementTuple, userData: [UInt8]) throws {
    let fields = try UnverifiedAttestation(bytes).unprovenFields()
    var accepted = 0
    for offset in bytes.indices {
      for bit in 0..<8 {
        var spoilt = bytes
        spoilt[offset] ^= 1 << bit
        guard
          let verified = try? QEMU.verifier.verify(
            .init(spoilt), at: .documentTime, measurements: [image], userData: .exactly(userData), nonce: .absent,
            publicKey: .absent)
        else { continue }
        accepted += 1
        let others = verified.pcrs.filter { $0.key > 2 } != fields.pcrs.filter { $0.key > 2 }
        #expect(
          verified.moduleID != fields.moduleID || verified.timeMs != fields.timeMs || others,
          "bit \(bit) of byte \(offset)")
      }
    }
    // The module's name, 8 bytes of time, 13 registers and their indices: the rest is most of the document's bits.
    #expect(accepted < bytes.count * 8 * 3 / 4)
  }
}

extension DocumentRefusalTests.Case {
  /// What only a signed document has.
  fileprivate var isOfTheChain: Bool {
    [.brokenChain, .certificate, .algorithm, .evidenceClass].contains(reason)
      || ["certificate", "cabundle"].contains(place)
  }
}

extension TestEnclave {
  fileprivate func emulatedReceipt(under policy: Signed<PolicyClaims>) throws -> [UInt8] {
    let claims = try UnverifiedStatement<ReceiptClaims>(try receipt(under: policy)).signedByItsOwnKey().signed.claims
    return try Signed.sign(claims, with: bootKey) { TestDocument(pki, userData: $0).unsigned() }.bytes
  }

  fileprivate func emulatedAnnouncement(under policy: Signed<PolicyClaims>) throws -> [UInt8] {
    let bytes = try announcement(under: policy)
    let claims = try UnverifiedStatement<AnnouncementClaims>(bytes).signedByItsOwnKey().signed.claims
    return try Signed.sign(claims, with: bootKey) { TestDocument(pki, userData: $0).unsigned() }.bytes
  }
}
