import Crypto
import SealedCrypto
import Wire

/// Seals a bundle (protocol §3):
///
///     u32 length ‖ job manifest ‖ u64 length ‖ input ‖ zero bytes up to the Padmé size
///
/// to exactly one recipient, the sealing key of an announcement that was accepted.
package struct BundleSealer {
  /// What was sealed.
  package struct Sealed: Sendable {
    /// SHA-256 of the sealed bytes: the job's name.
    package let job: JobName
    /// Size of the sealed bytes.
    package let bytes: UInt64
  }

  /// Writes a sealed bundle to `sink`.
  ///
  /// - Parameters:
  ///   - manifest: its `inputBytes` says how long the input is.
  ///   - input: writes the input to the sink that it is given.
  /// - Throws: ``ClientError`` of kind `other` when `input` wrote another number of bytes; ``AgeError``; what `input`
  ///   and the sink throw. What was written so far is worthless then.
  package static func seal(
    _ manifest: Signed<JobManifestClaims>, to recipient: HybridRecipient, into sink: any ByteSink,
    input: (any ByteSink) throws -> Void
  ) throws -> Sealed {
    let digest = DigestingSink(sink)
    let encryptor = try AgeEncryptor(recipients: [recipient], to: digest)
    let inputBytes = manifest.claims.inputBytes
    let plaintext = CountingSink(encryptor)

    try plaintext.write(bigEndian(UInt64(manifest.bytes.count), bytes: 4) + manifest.bytes)
    try plaintext.write(bigEndian(inputBytes, bytes: 8))
    let before = plaintext.count
    try input(plaintext)
    guard plaintext.count - before == inputBytes else {
      throw ClientError(.other, "the input is not as long as its manifest says", remedy: "submit again")
    }
    var padding = try Padme.paddedSize(plaintext.count) - plaintext.count
    while padding > 0 {
      let piece = min(padding, UInt64(Limits.chunkBytes))
      try plaintext.write([UInt8](repeating: 0, count: Int(piece)))
      padding -= piece
    }
    try encryptor.finish()
    return Sealed(job: digest.digest, bytes: encryptor.sealedBytes)
  }

  private static func bigEndian(_ value: UInt64, bytes: Int) -> [UInt8] {
    (0..<bytes).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (bytes - 1 - $0))) }
  }
}

/// Digests what it passes on.
final class DigestingSink: ByteSink {
  private let sink: any ByteSink
  private var hasher = SHA256()
  private(set) var count: UInt64 = 0

  init(_ sink: any ByteSink) { self.sink = sink }

  func write(_ bytes: [UInt8]) throws {
    hasher.update(data: bytes)
    count += UInt64(bytes.count)
    try sink.write(bytes)
  }

  /// The digest so far.
  var digest: ContentDigest { hasher.value() }
}

/// Counts what it passes on.
final class CountingSink: ByteSink {
  private let sink: any ByteSink
  private(set) var count: UInt64 = 0

  init(_ sink: any ByteSink) { self.sink = sink }

  func write(_ bytes: [UInt8]) throws {
    count += UInt64(bytes.count)
    try sink.write(bytes)
  }
}

extension HybridRecipient {
  /// SHA-256 of the raw public key, which names a sealing key in manifests.
  package var digest: ContentDigest { SHA256.digest(of: publicKey) }
}
