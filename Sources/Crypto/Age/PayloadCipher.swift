import CSodium
import Crypto

/// Seals and opens the chunks of one payload: ChaCha20-Poly1305 (RFC 8439) in the STREAM construction of age.md.
///
/// The nonce of a chunk is its number, 11 bytes big endian, and one byte that is 1 for the last chunk only; the key is
/// derived from a fresh file key and a fresh 16-byte nonce, so no nonce meets the same key twice. Chunks go through
/// libsodium from buffer to buffer, since swift-crypto's boxes would leave a copy of every plaintext chunk on the heap.
struct PayloadCipher: ~Copyable {
  private let key: SymmetricKey
  /// Chunks sealed or opened so far: the number of the next one.
  private(set) var nextChunk: UInt64 = 0

  /// A cipher at the first chunk of the payload that `key` belongs to.
  init(key: SymmetricKey) { self.key = key }

  /// Seals the next chunk, at most 64 KiB; the result is 16 bytes longer.
  ///
  /// - Throws: ``AgeError`` of kind `sealing` if libsodium declines, which it does for impossible lengths only.
  mutating func seal(_ plaintext: UnsafeRawBufferPointer, isLast: Bool) throws -> [UInt8] {
    let nonce = takeNonce(isLast: isLast)
    let sealedCount = plaintext.count + AgeFormat.tagBytes
    let sealed = key.withUnsafeBytes { key in
      [UInt8](unsafeUninitializedCapacity: sealedCount) { output, count in
        guard let key = Self.start(key), let target = output.baseAddress else { return }
        let status = crypto_aead_chacha20poly1305_ietf_encrypt(
          target, nil, Self.start(plaintext), UInt64(plaintext.count), nil, 0, nil, nonce, key)
        count = status == 0 ? sealedCount : 0
      }
    }
    guard sealed.count == sealedCount else { throw AgeError(.sealing, "ChaCha20-Poly1305 declined a chunk") }
    return sealed
  }

  /// Opens the next chunk: between 16 bytes and 64 KiB + 16. libsodium verifies the tag before it decrypts a byte.
  ///
  /// - Returns: nil where the tag is wrong.
  mutating func open(_ sealed: UnsafeRawBufferPointer, isLast: Bool) -> [UInt8]? {
    guard sealed.count >= AgeFormat.tagBytes else { return nil }
    let nonce = takeNonce(isLast: isLast)
    let plaintextCount = sealed.count - AgeFormat.tagBytes
    var isAuthentic = false
    let plaintext = key.withUnsafeBytes { key in
      [UInt8](unsafeUninitializedCapacity: plaintextCount) { output, count in
        guard let key = Self.start(key), let sealedStart = Self.start(sealed) else { return }
        let status = crypto_aead_chacha20poly1305_ietf_decrypt(
          output.baseAddress, nil, nil, sealedStart, UInt64(sealed.count), nil, 0, nonce, key)
        isAuthentic = status == 0
        count = isAuthentic ? plaintextCount : 0
      }
    }
    return isAuthentic ? plaintext : nil
  }

  private mutating func takeNonce(isLast: Bool) -> [UInt8] {
    var nonce = [UInt8](repeating: 0, count: 12)
    for index in 0..<8 { nonce[10 - index] = UInt8(truncatingIfNeeded: nextChunk >> UInt64(8 * index)) }
    nonce[11] = isLast ? 1 : 0
    nextChunk += 1
    return nonce
  }

  private static func start(_ buffer: UnsafeRawBufferPointer) -> UnsafePointer<UInt8>? {
    buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
  }
}
