/// The `.npy` format, version 1.0, of a two-dimensional array of little-endian 32-bit floats.
package enum NumpyArray {
  /// Magic, version, length and dictionary, padded so that the data begins at a multiple of 64.
  package static func header(rows: UInt64, columns: Int) -> [UInt8] {
    var dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(rows), \(columns)), }"
    let unpadded = 10 + dictionary.utf8.count + 1
    dictionary += String(repeating: " ", count: (64 - unpadded % 64) % 64) + "\n"
    let length = UInt16(dictionary.utf8.count)
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)] + Array(dictionary.utf8)
  }

  /// One row.
  package static func row(_ values: [Float]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(values.count * 4)
    for value in values { withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 } }
    return bytes
  }
}
