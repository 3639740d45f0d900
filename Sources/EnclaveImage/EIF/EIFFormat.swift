/// The enclave image format, version 4, as `aws-nitro-enclaves-image-format` writes it. All numbers are big-endian.
///
/// ```
/// header   0 ".eif"  4 u16 version  6 u16 flags  8 u64 memory  16 u64 CPUs  24 u16 reserved  26 u16 sections
///          28 32 × u64 offsets  284 32 × u64 sizes  540 u32 unused  544 u32 CRC-32
/// section  0 u16 type  2 u16 flags  4 u64 size  12 data
/// ```
/// An offset is that of the section's header; a size is the data's. The CRC (IEEE 802.3) is over everything but itself.
enum EIFFormat {
  static let magic: [UInt8] = Array(".eif".utf8)
  static let version: UInt16 = 4
  /// The image is for aarch64; clear for x86-64. No other flag is known.
  static let flagARM64: UInt16 = 1
  static let headerBytes = 548
  static let sectionHeaderBytes = 12
  static let crcOffset = 544
  static let offsetsOffset = 28
  static let sizesOffset = 284

  /// What an image asks for when whoever starts it says nothing.
  static let defaultMemoryBytes: UInt64 = 1 << 30
  static let defaultCPUs: UInt64 = 2

  /// A big-endian number of `width` bytes at `offset`, which the caller has checked to be there.
  static func number(_ bytes: [UInt8], _ offset: Int, _ width: Int) -> UInt64 {
    bytes[offset..<offset + width].reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// A big-endian number of the type's width.
  static func bytes<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { Array($0) }
  }
}

/// What a section holds.
package enum SectionKind: UInt16, Sendable, CaseIterable {
  case kernel = 1
  case commandLine = 2
  case ramdisk = 3
  case signature = 4
  case metadata = 5

  /// The word on a screen.
  package var name: String {
    switch self {
    case .kernel: "kernel"
    case .commandLine: "cmdline"
    case .ramdisk: "ramdisk"
    case .signature: "signature"
    case .metadata: "metadata"
    }
  }
}
