import Wire

/// A document as it was received. It exposes bytes only: whatever acts on a field takes a ``VerifiedAttestation``.
package struct UnverifiedAttestation: Sendable {
  /// The bytes as received.
  package let bytes: [UInt8]

  /// Takes any bytes; nothing is checked.
  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// What the document claims, for a person's eyes (`attest show`). Anybody could have written it: decide nothing by it.
  ///
  /// - Throws: ``AttestationRefusal`` when the form is wrong.
  package func unprovenFields() throws -> DocumentFields { try AttestationDocument(bytes).fields }
}
