/// Writes a "newc" archive that depends on names, modes and contents alone: sorted by name, numbered in that order, and
/// every time, owner and device zero.
package struct CpioWriter {
  /// What goes in.
  package enum Item: Sendable {
    case directory
    /// A file; executable for everyone or for no one, writable for no one but root.
    case file([UInt8], executable: Bool)
  }

  private var items: [String: Item] = [:]

  package init() {}

  /// Adds an entry.
  ///
  /// - Throws: ``ImageRefusal`` for a name that is not relative and plain, that is taken, or whose directory was not
  ///   added before.
  package mutating func add(_ name: String, _ item: Item) throws {
    let place = "ramdisk entry \(name)"
    guard name != ".", try CpioReader.plainName(Array(name.utf8), place) == name else {
      throw ImageRefusal(place, "a plain relative name is due")
    }
    guard items[name] == nil else { throw ImageRefusal(place, "named twice") }
    if let slash = name.lastIndex(of: "/") {
      guard case .directory? = items[String(name[..<slash])] else {
        throw ImageRefusal(place, "its directory is not in the ramdisk")
      }
    }
    items[name] = item
  }

  /// The archive.
  ///
  /// - Throws: ``ImageRefusal`` when a file is too large for a field of 32 bits.
  package func encoded() throws -> [UInt8] {
    var bytes: [UInt8] = []
    let sorted = items.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    for (index, (name, item)) in sorted.enumerated() {
      switch item {
      case .directory: try Self.append(to: &bytes, name, inode: index + 1, mode: 0o040755, links: 2, [])
      case .file(let data, let executable):
        try Self.append(to: &bytes, name, inode: index + 1, mode: executable ? 0o100755 : 0o100644, links: 1, data)
      }
    }
    try Self.append(to: &bytes, CpioEntry.trailer, inode: 0, mode: 0, links: 1, [])
    return bytes + Self.zeros(CpioEntry.padding(UInt64(bytes.count), to: UInt64(CpioEntry.blockBytes)))
  }

  private static func append(
    to bytes: inout [UInt8], _ name: String, inode: Int, mode: UInt32, links: UInt32, _ data: [UInt8]
  ) throws {
    guard let size = UInt32(exactly: data.count), data.count <= ImageLimits.inputBytes else {
      throw ImageRefusal("ramdisk entry \(name)", "over \(ImageLimits.inputBytes) bytes")
    }
    let name = Array(name.utf8) + [0]
    bytes += CpioEntry.magic
    // ino, mode, nlink; uid, gid, mtime are zero; size; four device numbers are zero; namesize; no checksum.
    let fields: [UInt32] = [UInt32(inode), mode, links, 0, 0, 0, size, 0, 0, 0, 0, UInt32(name.count), 0]
    for field in fields { bytes += digits(field) }
    bytes += name
    bytes += zeros(CpioEntry.padding(UInt64(CpioEntry.headerBytes + name.count)))
    bytes += data
    bytes += zeros(CpioEntry.padding(UInt64(data.count)))
  }

  /// Eight hexadecimal digits.
  private static func digits(_ value: UInt32) -> [UInt8] {
    let text = String(value, radix: 16, uppercase: true)
    return [UInt8](repeating: UInt8(ascii: "0"), count: 8 - text.utf8.count) + Array(text.utf8)
  }

  private static func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
}
