import SealedCrypto

/// A key management service, as a model's publisher uses it. `JobRunner` brings the one that speaks to KMS.
package protocol DataKeyService {
  /// A fresh 32-byte data key under a KMS key; the reply must name the same key.
  ///
  /// - Throws: ``ClientError``.
  func generateDataKey(_ key: KMSKeyARN, context: KMSEncryptionContext) throws -> GeneratedDataKey
}

/// What KMS answered.
package struct GeneratedDataKey: Sendable {
  /// 32 bytes; for one file and then gone.
  package let plaintext: SecretBytes
  /// The same key under the KMS key.
  package let ciphertextBlob: [UInt8]

  package init(plaintext: SecretBytes, ciphertextBlob: [UInt8]) {
    self.plaintext = plaintext
    self.ciphertextBlob = ciphertextBlob
  }
}
