import CZlib

/// CRC-32 (IEEE 802.3), zlib's. It finds damage, not malice: the measurements do that.
struct Checksum {
  private(set) var value: UInt32 = 0

  mutating func update(_ bytes: [UInt8]) {
    value = bytes.withUnsafeBufferPointer { buffer in
      // zlib takes a null pointer as a wish for the initial value.
      guard let base = buffer.baseAddress, !buffer.isEmpty else { return value }
      return UInt32(truncatingIfNeeded: crc32_z(uLong(value), base, buffer.count))
    }
  }
}
