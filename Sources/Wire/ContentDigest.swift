/// A SHA-256 value (FIPS 180-4), 32 bytes. Computing one is SealedCrypto's; this is only its shape.
package struct ContentDigest: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// Exactly 32 bytes.
  package let bytes: [UInt8]

  /// - Throws: ``WireError/malformed(_:)`` unless there are exactly 32 bytes.
  package init(_ bytes: some Sequence<UInt8>) throws {
    let bytes = Array(bytes)
    guard bytes.count == 32 else { throw WireError.malformed("a digest of \(bytes.count) bytes instead of 32") }
    self.bytes = bytes
  }

  /// Nil unless `hex` is 64 lower-case hexadecimal digits.
  package init?(hex: some StringProtocol) {
    guard let bytes = Hex.decode(hex), bytes.count == 32 else { return nil }
    self.bytes = bytes
  }

  /// 64 lower-case hexadecimal digits.
  package var hex: String { Hex.encode(bytes) }
  package var description: String { hex }

  package static func < (left: ContentDigest, right: ContentDigest) -> Bool {
    left.bytes.lexicographicallyPrecedes(right.bytes)
  }
}

/// A job's name: the digest of its sealed bundle (protocol §5), so enqueueing is idempotent.
package typealias JobName = ContentDigest
