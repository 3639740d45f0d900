import Wire

/// What a client seals to (protocol §4): signed by the boot key of the enclave that made the sealing key, attested.
package struct AnnouncementClaims: AttestedClaims, Equatable {
  package static let kind = StatementKind.announcement

  package var epoch: UInt64
  /// X-Wing public key, 1,216 bytes.
  package var publicKey: [UInt8]
  package var notBeforeMs: UInt64
  package var notAfterMs: UInt64
  /// Full ARN of the KMS key that guards the seed.
  package var kmsKey: String
  package var policyVersion: UInt64
  package var policyDigest: ContentDigest
  package var key: VerifyingKey

  package init(
    epoch: UInt64, publicKey: [UInt8], notBeforeMs: UInt64, notAfterMs: UInt64, kmsKey: String,
    policyVersion: UInt64, policyDigest: ContentDigest, key: VerifyingKey
  ) {
    self.epoch = epoch
    self.publicKey = publicKey
    self.notBeforeMs = notBeforeMs
    self.notAfterMs = notAfterMs
    self.kmsKey = kmsKey
    self.policyVersion = policyVersion
    self.policyDigest = policyDigest
    self.key = key
  }

  package var fields: [(String, CBOR?)] {
    [
      ("epoch", .unsigned(epoch)), ("public_key", .bytes(publicKey)), ("not_before", .unsigned(notBeforeMs)),
      ("not_after", .unsigned(notAfterMs)), ("kms_key", .text(kmsKey)), ("policy_version", .unsigned(policyVersion)),
      ("policy_digest", .bytes(policyDigest.bytes)), ("key", .bytes(key.bytes)),
    ]
  }

  package init(reading fields: inout CBORFields) throws {
    epoch = try fields.unsigned("epoch")
    publicKey = try fields.bytes("public_key", count: 1216)
    notBeforeMs = try fields.unsigned("not_before")
    notAfterMs = try fields.unsigned("not_after")
    kmsKey = try fields.text("kms_key", limit: 2048)
    policyVersion = try fields.unsigned("policy_version")
    policyDigest = try fields.digest("policy_digest")
    key = try VerifyingKey(try fields.bytes("key", count: 32))
    guard notBeforeMs < notAfterMs else { throw WireError.malformed("announcement: ends before it begins") }
  }
}

/// The plaintext of an epoch's seed file, all of it checked against the announcement by whoever has both.
package struct EpochSeed: Sendable {
  /// 32-byte seed of the X-Wing key; the secret.
  package let seed: SecretBytes
  package let publicKey: [UInt8]
  package let epoch: UInt64
  package let notBeforeMs: UInt64
  package let notAfterMs: UInt64

  package init(seed: SecretBytes, publicKey: [UInt8], epoch: UInt64, notBeforeMs: UInt64, notAfterMs: UInt64) {
    self.seed = seed
    self.publicKey = publicKey
    self.epoch = epoch
    self.notBeforeMs = notBeforeMs
    self.notAfterMs = notAfterMs
  }

  /// The plaintext. It holds the seed: seal it and wipe it.
  package func encoded() -> [UInt8] {
    seed.withUnsafeBytes { seed in
      CBOR.object([
        ("v", .unsigned(1)), ("seed", .bytes(Array(seed))), ("public_key", .bytes(publicKey)),
        ("epoch", .unsigned(epoch)), ("not_before", .unsigned(notBeforeMs)), ("not_after", .unsigned(notAfterMs)),
      ]).encoded()
    }
  }

  /// - Throws: ``WireError`` when the plaintext is no seed file.
  package init(_ plaintext: [UInt8]) throws {
    var fields = try CBORFields(try CBORDecoder.decode(plaintext), in: "epoch seed")
    guard try fields.unsigned("v") == 1 else { throw WireError.malformed("epoch seed: unknown version") }
    seed = try SecretBytes(copying: try fields.bytes("seed", count: 32))
    publicKey = try fields.bytes("public_key", count: 1216)
    epoch = try fields.unsigned("epoch")
    notBeforeMs = try fields.unsigned("not_before")
    notAfterMs = try fields.unsigned("not_after")
    try fields.finish()
  }
}
