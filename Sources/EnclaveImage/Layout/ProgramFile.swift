/// Checks of what goes into an image, so that a file that can never start there is refused when it is built and not
/// when it boots. They are no security check: the measurement is.
enum ProgramFile {
  /// A Linux kernel for x86, as its boot protocol describes it: 0xAA55 at 0x1FE, `HdrS` at 0x202.
  ///
  /// - Throws: ``ImageRefusal``.
  static func checkKernel(_ bytes: [UInt8]) throws {
    guard bytes.count >= 0x206, Array(bytes[0x1FE..<0x200]) == [0x55, 0xAA],
      Array(bytes[0x202..<0x206]) == Array("HdrS".utf8)
    else {
      throw ImageRefusal("kernel", "not a bzImage")
    }
  }

  /// The version that a bzImage names in its own text: at 0x20E, less 0x200, the offset of a string.
  static func kernelVersion(_ bytes: [UInt8]) -> String? {
    guard bytes.count >= 0x210 else { return nil }
    let start = Int(number(bytes, 0x20E, 2)) + 0x200
    guard start > 0x200, start < bytes.count else { return nil }
    let word = bytes[start...].prefix(64).prefix { isVersionCharacter($0) }
    return word.isEmpty ? nil : String(decoding: word, as: UTF8.self)
  }

  /// Of a version that may stand in JSON as it is.
  static func isVersionCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."): true
    default: false
    }
  }

  /// An executable for x86-64 that names no interpreter: one that is linked dynamically would look for its loader and
  /// its libraries in the ramdisk, which has none.
  ///
  /// - Throws: ``ImageRefusal``.
  static func checkStatic(_ bytes: [UInt8], _ place: String) throws {
    let (headerBytes, entryBytes, interpreter) = (64, 56, 3)
    // ELF, 64 bits, little-endian; e_machine 62 is x86-64.
    guard bytes.count >= headerBytes, Array(bytes[..<6]) == [0x7F, 0x45, 0x4C, 0x46, 2, 1], number(bytes, 18, 2) == 62
    else {
      throw ImageRefusal(place, "not an ELF executable for x86-64")
    }
    let (table, size, count) = (number(bytes, 32, 8), number(bytes, 54, 2), Int(number(bytes, 56, 2)))
    guard size == UInt64(entryBytes), count > 0, table <= UInt64(bytes.count),
      count * entryBytes <= bytes.count - Int(table)
    else {
      throw ImageRefusal(place, "an ELF file without program headers")
    }
    for index in 0..<count where number(bytes, Int(table) + index * entryBytes, 4) == UInt64(interpreter) {
      throw ImageRefusal(place, "linked dynamically; the image has no loader and no library")
    }
  }

  /// A little-endian number of `width` bytes at `offset`, which the caller has checked to be there.
  private static func number(_ bytes: [UInt8], _ offset: Int, _ width: Int) -> UInt64 {
    bytes[offset..<offset + width].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}
