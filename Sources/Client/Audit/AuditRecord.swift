import Attestation
import SealedCrypto
import Wire

/// A stream as receipts name it: its submitter's key and its 16 bytes (protocol §7).
package struct StreamKey: Hashable, Sendable, Comparable {
  /// SHA-256 of the submitter's key.
  package let submitter: ContentDigest
  package let id: [UInt8]

  package static func < (left: StreamKey, right: StreamKey) -> Bool {
    left.submitter == right.submitter
      ? left.id.lexicographicallyPrecedes(right.id) : left.submitter < right.submitter
  }
}

/// Where a job stands in its stream, as its receipt says.
package struct StreamPlace: Sendable {
  package let key: StreamKey
  package let sequence: UInt64
  package let manifest: ContentDigest
  package let previous: ContentDigest?
}

/// What an audit keeps of one receipt that verified. Nothing but ``Auditor`` makes one.
package struct AuditRecord: Sendable {
  /// The file or object.
  package let place: String
  package let job: JobName
  /// SHA-256 of the receipt's COSE bytes.
  package let receipt: ContentDigest
  /// Nil where the job ended before its manifest verified.
  package let stream: StreamPlace?
  package let outcome: JobOutcome
  package let items: UInt64
  package let failedItems: UInt64
  package let model: ContentDigest?
  package let precision: String
  package let policyVersion: UInt64
  package let policyDigest: ContentDigest
  /// The image's name in the policy, and its PCR0.
  package let image: String
  package let pcr0: [UInt8]
  package let software: String
  /// By the security module's clock, milliseconds since 1970.
  package let startedMs, endedMs: UInt64
  /// The host's word.
  package let attempt: UInt64
  /// False where the store has it as an attempt that it did not commit; nil where no store says.
  package let isCommitted: Bool?
}

extension AuditRecord {
  init(_ receipt: Attested<ReceiptClaims>, digest: ContentDigest, place: String, isCommitted: Bool?) {
    let claims = receipt.claims
    self.place = place
    self.isCommitted = isCommitted
    self.receipt = digest
    job = claims.bundle
    stream = claims.job.map {
      StreamPlace(
        key: StreamKey(submitter: $0.submitter, id: $0.stream), sequence: $0.sequence, manifest: $0.manifest,
        previous: $0.previous)
    }
    outcome = claims.outcome
    items = claims.job?.items ?? 0
    failedItems = claims.job?.failedItems ?? 0
    model = claims.job?.model
    precision = claims.job?.precision ?? ""
    policyVersion = claims.policyVersion
    policyDigest = claims.policyDigest
    image = receipt.attestation.image?.name ?? ""
    pcr0 = receipt.attestation.image?.pcr0 ?? []
    software = claims.software
    startedMs = claims.startedMs
    endedMs = claims.endedMs
    attempt = claims.attempt
  }
}
