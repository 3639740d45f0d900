import Wire

/// A document as it was received. It exposes bytes only: whatever acts on a field takes a ``VerifiedAttestation``.
package struct UnverifiedAttestation: Sendable {
  /// The bytes as received.
  package let bytes: [UInt8]

  /// Takes any bytes; nothing is checked.
  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// What the document claims, for a person's eyes (`attest show`). Nothing of it is proven: decide nothing by it.
  ///
  /// - Throws: ``AttestationRefusal`` when the form is wrong.
  package func unprovenFields() throws -> UnprovenFields { UnprovenFields(try AttestationDocument(bytes)) }

  /// Fields that anybody could have written.
  package struct UnprovenFields: Sendable {
    package let moduleID: String
    package let timeMs: UInt64
    package let pcrs: [Int: [UInt8]]
    package let publicKey, userData, nonce: [UInt8]?
    /// Certificates in the bundle, the root included.
    package let bundleCount: Int

    fileprivate init(_ document: AttestationDocument) {
      moduleID = document.moduleID
      timeMs = document.timeMs
      pcrs = document.pcrs
      publicKey = document.publicKey
      userData = document.userData
      nonce = document.nonce
      bundleCount = document.bundle.count
    }
  }
}
