import Crypto
import Wire

/// An Ed25519 public key (RFC 8032), 32 bytes.
package struct VerifyingKey: Hashable, Sendable {
  /// Exactly 32 bytes.
  package let bytes: [UInt8]

  /// - Throws: ``WireError/malformed(_:)`` unless `bytes` are 32 that name a point.
  package init(_ bytes: [UInt8]) throws {
    guard bytes.count == 32, (try? Curve25519.Signing.PublicKey(rawRepresentation: bytes)) != nil else {
      throw WireError.malformed("an Ed25519 public key has 32 bytes, this one \(bytes.count)")
    }
    self.bytes = bytes
  }

  /// SHA-256 of the key: its name in COSE headers and receipts.
  package var digest: ContentDigest { SHA256.digest(of: bytes) }

  /// Whether `signature` over `message` was made by this key.
  package func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
    guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes) else { return false }
    return key.isValidSignature(signature, for: message)
  }
}

/// An Ed25519 private key. Its 32-byte seed lives in guarded memory and leaves it for the length of one signature.
package final class SigningKey: Sendable {
  private let seed: SecretBytes
  /// The public half.
  package let verifyingKey: VerifyingKey

  /// - Throws: ``WireError/malformed(_:)`` unless `seed` has 32 bytes.
  package init(seed: SecretBytes) throws {
    guard seed.count == 32 else { throw WireError.malformed("an Ed25519 seed has 32 bytes") }
    self.seed = seed
    let key = try seed.withUnsafeBytes { try Curve25519.Signing.PrivateKey(rawRepresentation: $0) }
    verifyingKey = try VerifyingKey(Array(key.publicKey.rawRepresentation))
  }

  /// A fresh key.
  package static func generate() throws -> SigningKey { try SigningKey(seed: try SecretBytes.random(count: 32)) }

  /// The seed, for writing a key file.
  package func withSeed<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try seed.withUnsafeBytes(body)
  }

  /// The 64-byte signature over `message`.
  package func sign(_ message: [UInt8]) throws -> [UInt8] {
    let key = try seed.withUnsafeBytes { try Curve25519.Signing.PrivateKey(rawRepresentation: $0) }
    return Array(try key.signature(for: message))
  }
}

extension SHA256 {
  /// The digest of bytes in memory.
  package static func digest(of bytes: some Sequence<UInt8>) -> ContentDigest {
    var hasher = SHA256()
    hasher.update(data: Array(bytes))
    return hasher.value()
  }

  /// Finishes a running digest.
  package func value() -> ContentDigest {
    // A SHA-256 has 32 bytes by its type, so the initializer has nothing to refuse.
    guard let digest = ContentDigest(hex: Hex.encode(finalize())) else { preconditionFailure("SHA-256 has 32 bytes") }
    return digest
  }
}
