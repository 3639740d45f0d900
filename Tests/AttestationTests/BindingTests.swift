import SealedCrypto
import Testing
import Wire

@testable import Attestation

/// Measurements are one tuple; `user_data`, `nonce` and `public_key` are what the caller demands.
struct BindingTests {
  private let pki: TestPKI
  private let verifier: AttestationVerifier

  init() throws {
    pki = try TestPKI()
    verifier = try pki.verifier
  }

  private func reason(
    _ document: TestDocument, measurements: [MeasurementTuple]? = nil, userData: FieldExpectation = .anything,
    nonce: FieldExpectation = .anything, publicKey: FieldExpectation = .anything
  ) throws -> AttestationRefusal.Reason? {
    let bytes = try document.signed(pki.leafKey)
    return refusal {
      _ = try verifier.verify(
        .init(bytes), at: .documentTime, measurements: measurements, userData: userData, nonce: nonce,
        publicKey: publicKey)
    }?.reason
  }

  private func image(_ pcr0: UInt8, _ pcr1: UInt8, _ pcr2: UInt8, pcr8: UInt8? = nil) -> MeasurementTuple {
    func pcr(_ byte: UInt8) -> [UInt8] { Array(repeating: byte, count: 48) }
    return MeasurementTuple(name: "x", pcr0: pcr(pcr0), pcr1: pcr(pcr1), pcr2: pcr(pcr2), pcr8: pcr8.map(pcr))
  }

  @Test func oneListedImageMustMatchAsAWhole() throws {
    let document = TestDocument(pki)
    #expect(try reason(document, measurements: [image(1, 2, 3), TestDocument.image]) == nil)
    #expect(try reason(document, measurements: []) == .measurements)
    // Between them these list every register of the document, but no image does.
    let halves = [image(0xA0, 0xA1, 9), image(9, 0xA1, 0xA2), image(0xA0, 9, 0xA2)]
    #expect(try reason(document, measurements: halves) == .measurements)
  }

  @Test func aSignedImageNeedsItsSignersRegister() throws {
    var document = TestDocument(pki)
    let signed = image(0xA0, 0xA1, 0xA2, pcr8: 7)
    #expect(try reason(document, measurements: [signed]) == .measurements)
    document.setRegister(8, Array(repeating: 7, count: 48))
    #expect(try reason(document, measurements: [signed]) == nil)
    document.setRegister(8, nil)
    #expect(try reason(document, measurements: [signed]) == .measurements)
  }

  @Test func fieldsAreComparedAsDemanded() throws {
    let full = TestDocument(pki, userData: [1], nonce: [2], publicKey: [3])
    let empty = TestDocument(pki)
    #expect(try reason(full, userData: .exactly([1]), nonce: .exactly([2]), publicKey: .present) == nil)
    #expect(try reason(full, userData: .exactly([2])) == .userData)
    #expect(try reason(empty, userData: .exactly([])) == .userData)
    #expect(try reason(full, nonce: .absent) == .nonce)
    #expect(try reason(full, publicKey: .absent) == .publicKey)
    #expect(try reason(empty, publicKey: .present) == .publicKey)
    #expect(try reason(empty, userData: .absent, nonce: .absent, publicKey: .absent) == nil)
  }

  @Test func absentFieldsMayBeLeftOut() throws {
    var document = TestDocument(pki)
    for key in ["user_data", "nonce", "public_key"] { document[key] = nil }
    #expect(try reason(document, userData: .absent, nonce: .absent, publicKey: .absent) == nil)
  }

  @Test func theUnprovenFieldsAreThoseOfTheBytes() throws {
    let document = TestDocument(pki, userData: [1, 2])
    // Signed by nobody's key: nothing here is proven, and nothing here says so.
    let shown = try UnverifiedAttestation(try document.signed(try TestPKI().leafKey)).unprovenFields()
    #expect(shown.userData == [1, 2])
    #expect(shown.timeMs == TestPKI.timeMs)
  }
}
