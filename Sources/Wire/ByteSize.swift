/// Sizes of memory as people write them on a command line.
package enum ByteSize {
  /// Reads `512M`, `24G` or a number of bytes; nil for anything else, and for nothing.
  package static func bytes(parsing text: String) -> UInt64? {
    let shift: UInt64 =
      switch text.last {
      case "G": 30
      case "M": 20
      default: 0
      }
    guard let number = UInt64(shift == 0 ? text[...] : text.dropLast()), number > 0, number < 1 << (62 - shift) else {
      return nil
    }
    return number << shift
  }
}
