import Crypto
import SealedCrypto
import Wire
import X509

/// The leaf's key signed the document (ES384: ECDSA on P-384 with SHA-384, raw r‖s).
struct DocumentSignaturePolicy: AttestationPolicy {
  let leaf: Certificate
  let name = "document signature"

  func check(_ candidate: AttestationCandidate) throws(AttestationRefusal) {
    guard let key = P384.Signing.PublicKey(leaf.publicKey) else {
      throw AttestationRefusal(.certificate, "certificate", "its key is not on P-384")
    }
    let cose = candidate.document.cose
    guard let signature = try? P384.Signing.ECDSASignature(rawRepresentation: cose.signature),
      key.isValidSignature(signature, for: cose.signedBytes(externalAAD: []))
    else { throw AttestationRefusal(.signature, "signature", "not made over this document by its certificate's key") }
  }
}

/// QEMU writes 64 zero bytes for the certificate, for the whole bundle and for the signature (hw/virtio/virtio-nsm.c).
/// That proves nothing; another filling is no emulator's document, and what is not looked at could carry anything.
struct UnsignedDocumentPolicy: AttestationPolicy {
  let name = "unsigned"
  private static let zeros = [UInt8](repeating: 0, count: 64)

  func check(_ candidate: AttestationCandidate) throws(AttestationRefusal) {
    let document = candidate.document
    guard document.certificate == Self.zeros else {
      throw AttestationRefusal(.certificate, "certificate", "not the emulator's 64 zero bytes")
    }
    guard document.bundle == [Self.zeros] else {
      throw AttestationRefusal(.certificate, "cabundle", "not the emulator's one entry of 64 zero bytes")
    }
    guard document.cose.signature == Self.zeros else {
      throw AttestationRefusal(.signature, "signature", "not the emulator's 64 zero bytes")
    }
  }
}

/// The registers are SHA-384's.
struct RegisterDigestPolicy: AttestationPolicy {
  let name = "register digest"

  func check(_ candidate: AttestationCandidate) throws(AttestationRefusal) {
    guard candidate.document.digest == "SHA384" else {
      throw AttestationRefusal(.digestAlgorithm, "digest", "not SHA384")
    }
  }
}

/// PCR0, PCR1 and PCR2 stand together, and none is zero: in debug mode, where the host reads the enclave's console, all
/// are. Other registers may honestly be zero.
struct MeasuredBootPolicy: AttestationPolicy {
  let name = "measured boot"

  func check(_ candidate: AttestationCandidate) throws(AttestationRefusal) {
    for index in 0...2 {
      guard let value = candidate.document.fields.pcrs[index] else {
        throw AttestationRefusal(.missingPCR, "PCR\(index)", "is missing")
      }
      guard value.contains(where: { $0 != 0 }) else {
        throw AttestationRefusal(.debugMode, "PCR\(index)", "is zero, as in an enclave in debug mode")
      }
    }
  }
}

/// All registers of one listed image match; never one register of each of two.
struct MeasurementPolicy: AttestationPolicy {
  let allowed: [MeasurementTuple]
  let name = "measurements"

  func check(_ candidate: AttestationCandidate) throws(AttestationRefusal) {
    guard Self.match(candidate.document.fields.pcrs, allowed) == nil else { return }
    let pcr0 = candidate.document.fields.pcrs[0].map { Hex.encode($0.prefix(8)) } ?? "none"
    throw AttestationRefusal(.measurements, "pcrs", "no image of the policy has these measurements (PCR0 \(pcr0)…)")
  }

  static func match(_ pcrs: [Int: [UInt8]], _ allowed: [MeasurementTuple]) -> MeasurementTuple? {
    allowed.first { image in
      pcrs[0] == image.pcr0 && pcrs[1] == image.pcr1 && pcrs[2] == image.pcr2
        && (image.pcr8 == nil || pcrs[8] == image.pcr8)
    }
  }
}

/// The document is no older than `maximumAgeMs` at the time of judgement, and not from its future.
struct FreshnessPolicy: AttestationPolicy {
  let maximumAgeMs: UInt64
  /// How far the two clocks may differ.
  static let skewMs: UInt64 = 60_000
  let name = "freshness"

  func check(_ candidate: AttestationCandidate) throws(AttestationRefusal) {
    let made = candidate.document.fields.timeMs
    let now = candidate.momentMs
    guard made <= now || made - now <= Self.skewMs else {
      throw AttestationRefusal(.stale, "timestamp", "\(made - now) ms in the future")
    }
    guard now <= made || now - made <= maximumAgeMs else {
      throw AttestationRefusal(.stale, "timestamp", "\(now - made) ms old, at most \(maximumAgeMs) are allowed")
    }
  }
}

/// `user_data`, `nonce` and `public_key` are what the caller demands.
struct BindingPolicy: AttestationPolicy {
  let userData: FieldExpectation
  let nonce: FieldExpectation
  let publicKey: FieldExpectation
  let name = "bindings"

  func check(_ candidate: AttestationCandidate) throws(AttestationRefusal) {
    let document = candidate.document.fields
    try check(document.userData, userData, .userData, "user_data")
    try check(document.nonce, nonce, .nonce, "nonce")
    try check(document.publicKey, publicKey, .publicKey, "public_key")
  }

  private func check(
    _ value: [UInt8]?, _ expectation: FieldExpectation, _ reason: AttestationRefusal.Reason, _ place: String
  ) throws(AttestationRefusal) {
    switch expectation {
    case .anything: return
    case .absent:
      guard value == nil else { throw AttestationRefusal(reason, place, "must be null") }
    case .present:
      guard value != nil else { throw AttestationRefusal(reason, place, "must not be null") }
    case .exactly(let bytes):
      guard value == bytes else { throw AttestationRefusal(reason, place, "not the bytes that it must bind") }
    }
  }
}

/// What a caller demands of an optional field.
package enum FieldExpectation: Sendable, Equatable {
  /// Not looked at.
  case anything
  /// Null.
  case absent
  /// Not null.
  case present
  /// These bytes.
  case exactly([UInt8])
}
