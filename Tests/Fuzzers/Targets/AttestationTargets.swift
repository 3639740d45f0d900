import Attestation
import TestSupport
import Wire

extension FuzzTarget {
  /// Under the root of the vectors: only the documents that the vectors' maker signed are accepted, whatever else
  /// stands around their payload.
  static let attestation = FuzzTarget(
    "attestation", longestBytes: 8192, seeds: { try VectorFile.all(in: "attestation") }
  ) { bytes in
    let document = UnverifiedAttestation(bytes)
    _ = try? document.unprovenFields()
    let pem = String(decoding: try VectorFile.bytes("attestation/root.pem"), as: UTF8.self)
    let verifier = AttestationVerifier(try .development(pem: pem))
    let attestation = try verifier.verify(document, at: .documentTime, measurements: nil)
    let genuine = UnverifiedAttestation(try VectorFile.bytes("attestation/accepted.cose"))
    let expected = try verifier.verify(genuine, at: .documentTime, measurements: nil)
    try hold(
      attestation.pcrs == expected.pcrs && attestation.timeMs == expected.timeMs
        && attestation.userData == expected.userData, "only what was signed verifies")
  }

  /// The development root as a profile carries it, and DER of certificates through it.
  static let certificates = FuzzTarget("certificates", longestBytes: 4096, seeds: { try CertificateSeeds.all() }) {
    bytes in
    let anchor = try TrustAnchor.development(der: bytes)
    try hold(anchor.evidenceClass == .development, "a root of a file is a development root")
  }
}

private enum CertificateSeeds {
  static func all() throws -> [[UInt8]] {
    let document = try VectorFile.bytes("attestation/accepted.cose")
    guard case .array(let parts) = try untagged(CBORDecoder.decode(document, mode: .lenient)),
      case .bytes(let payload) = parts[2], case .map(let pairs) = try CBORDecoder.decode(payload, mode: .lenient)
    else { return [] }
    return pairs.flatMap { pair -> [[UInt8]] in
      switch (pair.key, pair.value) {
      case (.text("certificate"), .bytes(let der)): [der]
      case (.text("cabundle"), .array(let items)):
        items.compactMap { if case .bytes(let der) = $0 { der } else { nil } }
      default: []
      }
    }
  }

  private static func untagged(_ item: CBOR) -> CBOR { if case .tagged(_, let inner) = item { inner } else { item } }
}
