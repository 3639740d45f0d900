import EnclaveImage
import Foundation
import TestSupport

/// Images of tiny parts, whole and broken.
enum SampleImage {
  /// What passes for a kernel: the marks of a bzImage, and a version.
  static var kernel: [UInt8] {
    var bytes = [UInt8](repeating: 0x90, count: 1000)
    bytes.replaceSubrange(0x1FE..<0x206, with: [0x55, 0xAA, 0, 0] + Array("HdrS".utf8))
    bytes.replaceSubrange(0x20E..<0x210, with: [0x10, 0x01])
    bytes.replaceSubrange(0x310..<0x320, with: Array("6.12.117 (build)".utf8))
    return bytes
  }

  /// What passes for a program: an ELF header and one program header of a type (1 is loaded, 3 names an interpreter).
  static func program(_ tail: String, headerType: UInt8 = 1) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 120)
    bytes.replaceSubrange(0..<7, with: [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1])
    (bytes[18], bytes[32], bytes[54], bytes[56], bytes[64]) = (62, 64, 56, 1, headerType)
    return bytes + Array(tail.utf8)
  }

  static func roots() throws -> [UInt8] {
    try [UInt8](Data(contentsOf: Checkout.root.appending(path: "infra/enclave/kms-roots.pem")))
  }

  static func layout(
    kernel: [UInt8] = Self.kernel, initProgram: [UInt8] = program("init"), worker: [UInt8] = program("worker"),
    evidenceClass: EnclaveLayout.EvidenceClass = .production,
    policyKey: [UInt8] = [UInt8](repeating: 0xAB, count: 32), kmsRoots: [UInt8]? = nil, pinsPolicy: Bool = false,
    commandLine: String = EnclaveLayout.commandLine, version: String = "1.2.3"
  ) throws -> EnclaveLayout {
    EnclaveLayout(
      kernel: kernel, initProgram: initProgram, worker: worker, evidenceClass: evidenceClass, policyKey: policyKey,
      kmsRoots: try kmsRoots ?? roots(), pinsPolicy: pinsPolicy, commandLine: commandLine, version: version)
  }

  static func vector(_ name: String) -> URL { Checkout.root.appending(path: "Tests/Vectors/image/\(name)") }

  /// Every ramdisk's entries.
  static func listing(_ image: EIFReader) throws -> [RamdiskListing.Content] {
    var listing = RamdiskListing()
    return try image.ramdisks.enumerated().map { index, section in
      try listing.list("ramdisk \(index)") { image.data(of: section) }
    }
  }

  /// Reads all of an image as `image inspect` does.
  static func readAll(_ bytes: [UInt8]) throws {
    let image = try EIFReader(ImageMemory(bytes))
    _ = try image.measure()
    _ = try image.metadata()
    _ = try listing(image)
  }
}

/// Bytes of an EIF that a test changes.
struct Tampered {
  var bytes: [UInt8]

  /// A big-endian number at an offset.
  func number(_ offset: Int, _ width: Int) -> UInt64 {
    bytes[offset..<offset + width].reduce(0) { $0 << 8 | UInt64($1) }
  }

  mutating func set(_ offset: Int, _ width: Int, _ value: UInt64) {
    for index in 0..<width {
      bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (width - 1 - index)))
    }
  }

  /// Where section `index` begins, with its header.
  func start(_ index: Int) -> Int { Int(number(28 + 8 * index, 8)) }

  /// Where section `index` ends.
  func end(_ index: Int) -> Int { start(index) + 12 + Int(number(284 + 8 * index, 8)) }
}
