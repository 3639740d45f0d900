/// Sizes, labels and limits of the age v1 format (C2SP age.md), and the two limits of protocol §3.
package enum AgeFormat {
  /// The version line without its newline.
  package static let versionLine = "age-encryption.org/v1"
  /// A header, from the version line to the newline after the MAC. Ours; the specification sets none.
  package static let headerBytes = 64 << 10
  /// Stanzas of one header. Ours; the specification sets none.
  package static let stanzas = 20
  /// The symmetric key that every stanza wraps.
  package static let fileKeyBytes = 16
  /// A file key sealed by ChaCha20-Poly1305: every native stanza's body.
  package static let wrappedFileKeyBytes = fileKeyBytes + tagBytes
  /// The header MAC, HMAC-SHA-256.
  package static let macBytes = 32
  /// The nonce that opens the payload.
  package static let nonceBytes = 16
  /// Plaintext of every chunk but the last, which may be shorter.
  package static let chunkBytes = 64 << 10
  /// The Poly1305 tag at the end of every chunk.
  package static let tagBytes = 16
  /// Columns of base64 in a full body line, and the bytes they carry.
  static let bodyColumns = 64

  /// HKDF's info for the key of the header MAC.
  static let headerKeyInfo = "header"
  /// HKDF's info for the key of the payload.
  static let payloadKeyInfo = "payload"

  /// Bytes of the payload (nonce, chunks and tags) that carries `plaintext` bytes.
  ///
  /// - Returns: nil where the sum leaves `UInt64`.
  package static func payloadBytes(plaintext: UInt64) -> UInt64? {
    let chunk = UInt64(chunkBytes)
    let chunks = max(1, plaintext / chunk + (plaintext.isMultiple(of: chunk) ? 0 : 1))
    let overhead = chunks * UInt64(tagBytes) + UInt64(nonceBytes)
    let (total, overflow) = plaintext.addingReportingOverflow(overhead)
    return overflow ? nil : total
  }
}
