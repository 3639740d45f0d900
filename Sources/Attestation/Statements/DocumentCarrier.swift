import SealedCrypto
import Wire

/// A file with an attestation document in it: the document itself, or an announcement, receipt or status around one.
package struct DocumentCarrier: Sendable {
  /// The document.
  package let document: [UInt8]
  /// The statement around it, whose own signature verified; nil for a bare document.
  package let kind: StatementKind?
  private let binding: [UInt8]?

  /// Takes a statement only with a good signature of the key that it names, under the label of its kind.
  ///
  /// - Throws: ``AttestationRefusal`` for bytes that have a statement's form and are none of the three kinds, unaltered.
  package init(_ bytes: [UInt8]) throws(AttestationRefusal) {
    // The form is the same for all kinds; the label under which the signature verifies tells them apart.
    guard (try? UnverifiedStatement<AnnouncementClaims>(bytes)) != nil else {
      (document, kind, binding) = (bytes, nil, nil)
      return
    }
    if let found = Self.signed(AnnouncementClaims.self, bytes) {
      self = found
    } else if let found = Self.signed(ReceiptClaims.self, bytes) {
      self = found
    } else if let found = Self.signed(StatusClaims.self, bytes) {
      self = found
    } else {
      throw AttestationRefusal(
        .statement, "statement", "its signature verifies as no announcement, receipt or status: it was altered")
    }
  }

  private init<Claims: AttestedClaims>(_ unattested: Unattested<Claims>) {
    (document, kind, binding) = (unattested.document, Claims.kind, unattested.binding)
  }

  private static func signed<Claims: AttestedClaims>(_: Claims.Type, _ bytes: [UInt8]) -> DocumentCarrier? {
    (try? UnverifiedStatement<Claims>(bytes).signedByItsOwnKey()).map { DocumentCarrier($0) }
  }

  /// Verifies the document, and for a statement that the document binds exactly this one and its key.
  ///
  /// - Parameter measurements: nil asks for no image: the result says what runs there, not that it may.
  /// - Throws: ``AttestationRefusal``.
  package func verify(
    by verifier: AttestationVerifier, at moment: AttestationVerifier.Moment, measurements: [MeasurementTuple]?
  ) throws(AttestationRefusal) -> VerifiedAttestation {
    let unverified = UnverifiedAttestation(document)
    guard let binding else { return try verifier.verify(unverified, at: moment, measurements: measurements) }
    return try verifier.verify(
      unverified, at: moment, measurements: measurements, userData: .exactly(binding), nonce: .absent,
      publicKey: .absent)
  }
}
