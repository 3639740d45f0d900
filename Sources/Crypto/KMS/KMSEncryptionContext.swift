import Wire

/// What KMS authenticates beside a data key (protocol §2). Computed from verified data, never read from a stanza.
package enum KMSEncryptionContext: Hashable, Sendable {
  /// The seed of one epoch, under one policy key.
  case epoch(UInt64, policyKey: VerifyingKey)
  /// A file of the model with this manifest.
  case model(manifest: ContentDigest)

  /// The pairs as they stand in the request.
  package var pairs: [String: String] {
    switch self {
    case .epoch(let number, let policyKey):
      [
        "ephemeralml:use": "epoch", "ephemeralml:epoch": String(number),
        "ephemeralml:policy-key": Hex.encode(policyKey.bytes),
      ]
    case .model(let manifest): ["ephemeralml:use": "model", "ephemeralml:manifest": manifest.hex]
    }
  }
}
