import COpenSSL

/// KMS's CiphertextForRecipient: CMS EnvelopedData for an RSA-2048 key, BER with indefinite lengths.
enum RecipientEnvelope {
  /// Why nothing was sealed.
  enum Failure: Error, Equatable {
    /// Not the SubjectPublicKeyInfo of an RSA key of 2048 bits.
    case badKey
    /// libcrypto failed.
    case failed
  }

  /// Seals `plain` to the key.
  ///
  /// - Parameter publicKey: a SubjectPublicKeyInfo, DER.
  /// - Throws: ``Failure``.
  static func seal(_ plain: UnsafeRawBufferPointer, to publicKey: [UInt8]) throws(Failure) -> [UInt8] {
    var bytes: UnsafeMutablePointer<UInt8>?
    var count = 0
    let result = copenssl_seal_to_recipient(
      publicKey, publicKey.count, plain.bindMemory(to: UInt8.self).baseAddress, plain.count, &bytes, &count)
    defer { if let bytes { copenssl_release(bytes) } }
    switch result {
    case Int32(COPENSSL_OK.rawValue):
      guard let bytes else { throw .failed }
      return Array(UnsafeBufferPointer(start: bytes, count: count))
    case Int32(COPENSSL_BAD_KEY.rawValue): throw .badKey
    default: throw .failed
    }
  }
}
