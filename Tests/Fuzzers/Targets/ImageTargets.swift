import Crypto
import Wire

@testable import EnclaveImage

extension FuzzTarget {
  /// An enclave image: what is measured is what stands in its sections, and all of the file is in one.
  static let eif = FuzzTarget("eif", longestBytes: 32_768, seeds: { try ImageSeeds.images() }) { bytes in
    let given = try EIFReader(ImageMemory(bytes))
    _ = try? given.measure()
    // The checksum is anybody's to compute, so it must not keep the fuzzer out.
    var checksum = Checksum()
    checksum.update(Array(bytes[..<EIFFormat.crcOffset]))
    checksum.update(Array(bytes[EIFFormat.headerBytes...]))
    var mended = bytes
    mended.replaceSubrange(EIFFormat.crcOffset..<EIFFormat.headerBytes, with: EIFFormat.bytes(checksum.value))
    let image = try EIFReader(ImageMemory(mended))
    var end = UInt64(EIFFormat.headerBytes)
    var content = SHA384()
    for section in image.sections {
      try hold(section.offset == end + UInt64(EIFFormat.sectionHeaderBytes), "sections follow one another")
      end = section.offset + section.size
      guard [.kernel, .commandLine, .ramdisk].contains(section.kind) else { continue }
      content.update(data: mended[Int(section.offset)..<Int(end)])
    }
    try hold(end == UInt64(bytes.count), "every byte belongs to a section")
    var register = SHA384()
    register.update(data: [UInt8](repeating: 0, count: 48))
    register.update(data: Array(content.finalize()))
    let expected = Array(register.finalize())
    _ = try? image.metadata()
    try hold(try image.measure().pcr0 == expected, "PCR0 is of the kernel, its line and the ramdisks")
  }

  /// A ramdisk, plain or compressed.
  static let ramdisk = FuzzTarget("ramdisk", seeds: { try ImageSeeds.ramdisks() }) { bytes in
    var listing = RamdiskListing()
    guard case .entries(let entries, let compression) = try listing.list("ramdisk", { MemorySource(bytes) }) else {
      return
    }
    for entry in entries {
      try hold(!entry.name.utf8.contains(0) && !entry.name.hasPrefix("/"), "a name lies within the ramdisk")
      try hold(!entry.name.split(separator: "/").contains(".."), "and does not lead out of it")
      try hold(compression != nil || entry.size <= UInt64(bytes.count), "a file is no longer than its archive")
    }
  }
}

private enum ImageSeeds {
  static func images() throws -> [[UInt8]] {
    let ramdisk = try archive()
    return [
      try EIFWriter(kernel: [1, 2, 3], commandLine: "console=ttyS0", metadata: "{}", ramdisks: [ramdisk]).encoded(),
      try EIFWriter(kernel: [], commandLine: "", metadata: "", ramdisks: [[], [1]]).encoded(),
      try VectorFile.bytes("image/foreign.eif"),
    ]
  }

  static func ramdisks() throws -> [[UInt8]] {
    // gzip of an empty archive's name alone: enough to begin from.
    [
      try archive(), [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0],
    ]
  }

  private static func archive() throws -> [UInt8] {
    var archive = CpioWriter()
    try archive.add("etc", .directory)
    try archive.add("etc/policy.pub", .file([1, 2, 3, 4, 5], executable: false))
    try archive.add("init", .file([6], executable: true))
    return try archive.encoded()
  }
}
