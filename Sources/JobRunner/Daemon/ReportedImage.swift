import Attestation
import SealedCrypto
import Wire

/// The image that an attestation document reports, unverified: the host needs no proof of its own worker. It spares jobs
/// and clients what they would refuse; nothing else rests on it.
struct ReportedImage {
  /// The document's time, milliseconds since 1970.
  let timeMs: UInt64
  private let pcrs: [Int: [UInt8]]

  /// Nil for a document that cannot be read.
  init?(document: [UInt8]) {
    guard let fields = try? UnverifiedAttestation(document).unprovenFields() else { return nil }
    (timeMs, pcrs) = (fields.timeMs, fields.pcrs)
  }

  /// The beginning of PCR0.
  var shortName: String { pcrs[0].map { Hex.encode($0.prefix(8)) + "…" } ?? "unknown" }

  /// Whether the image holds this boot to one policy: PCR16 stands in the document once it is locked.
  var isPinned: Bool { pcrs[16] != nil }

  /// The policy's name for the image; nil where the policy does not list it.
  func name(in policy: PolicyClaims) -> String? {
    policy.measurements.first { image in
      pcrs[0] == image.pcr0 && pcrs[1] == image.pcr1 && pcrs[2] == image.pcr2
        && (image.pcr8 == nil || pcrs[8] == image.pcr8)
    }?.name
  }

  /// Whether the policy lists the image.
  func isListed(in policy: PolicyClaims) -> Bool { name(in: policy) != nil }
}
