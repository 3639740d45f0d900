import Crypto

/// What the hardware will say that it started.
package struct ImageMeasurement: Equatable, Sendable {
  /// Kernel ‖ command line ‖ every ramdisk.
  package let pcr0: [UInt8]
  /// Kernel ‖ command line ‖ first ramdisk: what boots.
  package let pcr1: [UInt8]
  /// The other ramdisks: what runs.
  package let pcr2: [UInt8]
  /// DER of the certificate that signed the image; nil for an unsigned one, whose documents carry 48 zero bytes.
  package let pcr8: [UInt8]?
}

/// Measures what is fed to it: PCR = SHA-384(48 zero bytes ‖ SHA-384(content)), the extension of a fresh register.
/// Headers and metadata are not measured.
struct PCRCalculator {
  private var image = SHA384()
  private var boot = SHA384()
  private var application = SHA384()

  /// Takes the next piece of a section, in the order of the file.
  ///
  /// - Parameter ramdisk: how many ramdisks stood before this one.
  mutating func update(_ kind: SectionKind, ramdisk: Int, _ bytes: [UInt8]) {
    switch kind {
    case .kernel, .commandLine:
      image.update(data: bytes)
      boot.update(data: bytes)
    case .ramdisk:
      image.update(data: bytes)
      if ramdisk == 0 { boot.update(data: bytes) } else { application.update(data: bytes) }
    case .signature, .metadata:
      break
    }
  }

  func measurement(signingCertificate: [UInt8]?) -> ImageMeasurement {
    ImageMeasurement(
      pcr0: Self.extended(image.finalize()), pcr1: Self.extended(boot.finalize()),
      pcr2: Self.extended(application.finalize()),
      pcr8: signingCertificate.map { Self.extended(SHA384.hash(data: $0)) })
  }

  private static func extended(_ digest: SHA384Digest) -> [UInt8] {
    Array(SHA384.hash(data: [UInt8](repeating: 0, count: SHA384.byteCount) + Array(digest)))
  }
}
