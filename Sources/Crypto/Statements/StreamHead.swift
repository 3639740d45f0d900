import Wire

/// How far a submitter's stream goes (protocol §7), signed by its submitter: with it an auditor who does not hold the
/// ledger sees a tail that is missing.
package struct StreamHeadClaims: StatementClaims, Equatable {
  package static let kind = StatementKind.head
  /// Voided numbers at most; it keeps a head below ``Limits/smallObjectBytes``.
  package static let voidedLimit = 32_768

  /// The stream's 16 bytes.
  package var stream: [UInt8]
  /// The last number that was taken.
  package var sequence: UInt64
  /// Digest of that number's manifest.
  package var manifest: ContentDigest
  /// All numbers that will never come, ascending.
  package var voided: [UInt64]
  /// Milliseconds since 1970, by the submitter's clock.
  package var issuedMs: UInt64

  package init(stream: [UInt8], sequence: UInt64, manifest: ContentDigest, voided: [UInt64], issuedMs: UInt64) {
    self.stream = stream
    self.sequence = sequence
    self.manifest = manifest
    self.voided = voided
    self.issuedMs = issuedMs
  }

  package var fields: [(String, CBOR?)] {
    [
      ("stream", .bytes(stream)), ("sequence", .unsigned(sequence)), ("manifest", .bytes(manifest.bytes)),
      ("voided", .array(voided.map { .unsigned($0) })), ("issued", .unsigned(issuedMs)),
    ]
  }

  package init(reading fields: inout CBORFields) throws {
    stream = try fields.bytes("stream", count: 16)
    sequence = try fields.unsigned("sequence")
    manifest = try fields.digest("manifest")
    voided = try fields.array("voided", limit: Self.voidedLimit) { item in
      guard case .unsigned(let number) = item else { throw WireError.malformed("head: voided") }
      return number
    }
    issuedMs = try fields.unsigned("issued")
    let ascends = zip(voided, voided.dropFirst()).allSatisfy { $0 < $1 }
    guard sequence > 0, ascends, (voided.first ?? 1) > 0, (voided.last ?? 0) <= sequence else {
      throw WireError.malformed("head: voided numbers ascend from 1 to the last number")
    }
  }
}
