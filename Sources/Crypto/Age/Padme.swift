import Wire

/// Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019, §4):
/// sizes are rounded up so that O(log log size) bits of them leak, at a cost below 12 per cent.
package enum Padme {
  /// The smallest Padmé size that is at least `size` bytes.
  ///
  /// A size is written with an exponent and a mantissa no longer than the exponent's own binary length.
  ///
  /// - Throws: ``WireError/tooLarge(_:limit:)`` where the padded size would leave `UInt64`.
  package static func paddedSize(_ size: UInt64) throws -> UInt64 {
    guard size >= 2 else { return size }
    let exponent = UInt64(63 - size.leadingZeroBitCount)
    let mantissaBits = UInt64(64 - exponent.leadingZeroBitCount)
    guard exponent > mantissaBits else { return size }
    let mask: UInt64 = (1 << (exponent - mantissaBits)) - 1
    let (sum, overflow) = size.addingReportingOverflow(mask)
    guard !overflow else { throw WireError.tooLarge("padded size", limit: .max) }
    return sum & ~mask
  }
}
