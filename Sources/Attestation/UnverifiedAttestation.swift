import Crypto
import SealedCrypto
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

extension UnverifiedAttestation {
  /// The class that the document pretends to: unsigned is QEMU's, under the AWS root is production's, another root is
  /// development's. For a host's own screens, which need no proof of the host's own worker: decide nothing by it.
  ///
  /// - Throws: ``AttestationRefusal`` when the form is wrong.
  package func unprovenClass() throws -> EvidenceClass {
    let document = try AttestationDocument(bytes)
    guard document.form == .signed else { return .emulated }
    guard let root = document.bundle.first, SHA256.digest(of: root).hex == AWSNitroRoot.sha256 else {
      return .development
    }
    return .production
  }
}
