import SealedCrypto
import Wire

/// A stream as the submitter's ledger has it.
package struct LedgerStream: Sendable {
  /// 16 bytes.
  package let id: [UInt8]
  package let name: String
  /// Whose manifests these are.
  package let submitter: VerifyingKey
  /// By number, at least one.
  package let entries: [LedgerEntry]

  /// Numbers that will never come, ascending: those that a manifest voided, and those abandoned since.
  package var voided: [UInt64] {
    let byManifests = entries.flatMap(\.record.stream.voided)
    let abandoned = entries.filter { $0.abandonedMs != nil }.map(\.record.stream.sequence)
    return Set(byManifests + abandoned).sorted()
  }

  /// The statement of how far the stream goes, for an auditor.
  ///
  /// - Throws: ``ClientError`` of kind `usage` for another submitter's stream, an empty one, or one with more void
  ///   numbers than a head holds.
  package func head(signedBy key: SigningKey, nowMs: UInt64) throws -> Signed<StreamHeadClaims> {
    guard let last = entries.last else {
      throw ClientError(.usage, "stream \(name) has no numbers yet", remedy: "submit to it first")
    }
    guard submitter == key.verifyingKey else {
      throw ClientError(
        .usage, "stream \(name) was signed by another submitter key than yours",
        remedy: "use the home whose key signed it")
    }
    guard voided.count <= StreamHeadClaims.voidedLimit else {
      throw ClientError(.usage, "stream \(name) has \(voided.count) void numbers", remedy: "go on in a new stream")
    }
    let claims = StreamHeadClaims(
      stream: id, sequence: last.record.stream.sequence, manifest: last.record.manifest, voided: voided,
      issuedMs: nowMs)
    return try Signed.sign(claims, with: key)
  }
}
