import Crypto

/// The 16-byte key of one file, from which the header MAC's key and the payload's key are derived.
///
/// Never used for two files: whoever seals makes a fresh one.
struct AgeFileKey: Sendable {
  let secret: SecretBytes

  /// A fresh key.
  init() throws { secret = try .random(count: AgeFormat.fileKeyBytes) }

  /// The key that an identity unwrapped.
  ///
  /// - Throws: ``AgeError`` of kind `header` unless it has 16 bytes.
  init(unwrapped secret: SecretBytes) throws {
    guard secret.count == AgeFormat.fileKeyBytes else {
      throw AgeError(.header, "a file key of \(secret.count) bytes", at: "unwrapped stanza")
    }
    self.secret = secret
  }

  /// HMAC-SHA-256 over the header up to and including `---`, under HKDF(file key, no salt, "header").
  func headerMAC(_ header: [UInt8]) -> [UInt8] { Array(HMAC<SHA256>.authenticationCode(for: header, using: headerKey)) }

  /// Whether `mac` is the MAC of `header`, compared in constant time.
  func isHeaderMAC(_ mac: [UInt8], of header: [UInt8]) -> Bool {
    HMAC<SHA256>.isValidAuthenticationCode(mac, authenticating: header, using: headerKey)
  }

  /// HKDF(file key, salt = the payload's nonce, "payload").
  func payloadKey(nonce: [UInt8]) -> SymmetricKey {
    HKDF<SHA256>.deriveKey(
      inputKeyMaterial: secret.symmetricKey(), salt: nonce, info: Array(AgeFormat.payloadKeyInfo.utf8),
      outputByteCount: 32)
  }

  private var headerKey: SymmetricKey {
    HKDF<SHA256>.deriveKey(
      inputKeyMaterial: secret.symmetricKey(), info: Array(AgeFormat.headerKeyInfo.utf8), outputByteCount: 32)
  }
}
