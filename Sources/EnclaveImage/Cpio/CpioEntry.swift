/// One entry of a cpio archive of format "newc" (Linux: Documentation/driver-api/early-userspace/buffer-format.rst).
///
/// A header of 110 ASCII characters (a magic and 13 numbers of 8 hexadecimal digits), the name with its NUL, padding to
/// a multiple of 4, the data, padding again. The entry `TRAILER!!!` ends an archive.
package struct CpioEntry: Equatable, Sendable {
  /// What an entry is; the type bits of its mode.
  package enum Kind: UInt32, Sendable {
    case fifo = 0o010000
    case characterDevice = 0o020000
    case directory = 0o040000
    case blockDevice = 0o060000
    case file = 0o100000
    case link = 0o120000
    case socket = 0o140000

    /// The word on a screen.
    package var name: String {
      switch self {
      case .fifo: "fifo"
      case .characterDevice: "character device"
      case .directory: "directory"
      case .blockDevice: "block device"
      case .file: "file"
      case .link: "link"
      case .socket: "socket"
      }
    }
  }

  /// Relative, without `..`: `image/policy.pub`; `.` is the root itself.
  package let name: String
  package let kind: Kind
  /// The mode's lower twelve bits.
  package let permissions: UInt32
  /// Bytes of data.
  package let size: UInt64
  /// SHA-256 of a file's data.
  package let sha256: [UInt8]?
  /// Where a symbolic link leads.
  package let target: String?

  static let magic = Array("070701".utf8)
  /// The same with a checksum, which Linux reads and ignores.
  static let checksummedMagic = Array("070702".utf8)
  static let headerBytes = 110
  static let trailer = "TRAILER!!!"
  static let kindMask: UInt32 = 0o170000
  /// Archives are padded to this, as cpio does.
  static let blockBytes = 512

  /// Zero bytes that follow `count` bytes up to a multiple of `unit`.
  static func padding(_ count: UInt64, to unit: UInt64 = 4) -> Int { Int((unit - count % unit) % unit) }
}
