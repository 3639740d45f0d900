import Wire

/// The entries of an image's ramdisks, within bounds over all of them.
package struct RamdiskListing {
  /// What one ramdisk is.
  package enum Content: Equatable, Sendable {
    case entries([CpioEntry], compression: String?)
    /// Compressed in a way that this program does not open; measured all the same.
    case unlisted(compression: String)
  }

  private var entries = 0
  private var nameBytes = 0
  private static let foreign: [(String, [UInt8])] = [
    ("bzip2", [0x42, 0x5A, 0x68]), ("lzma", [0x5D, 0, 0]), ("xz", [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0]),
    ("lzo", [0x89, 0x4C, 0x5A]), ("lz4", [0x02, 0x21, 0x4C, 0x18]), ("zstd", [0x28, 0xB5, 0x2F, 0xFD]),
  ]

  package init() {}

  /// Lists one ramdisk: a cpio archive, plain or compressed by gzip.
  ///
  /// - Parameter open: gives the ramdisk's data, from the beginning, each time that it is called.
  /// - Throws: ``ImageRefusal`` naming `place` and the byte; the byte is of what was inflated where it was compressed.
  package mutating func list(_ place: String, _ open: () -> any ByteSource) throws -> Content {
    let head = try open().read(upTo: 6)
    if head.starts(with: [0x1F, 0x8B]) {
      return .entries(try read(try GzipSource(open(), place: place), place), compression: "gzip")
    }
    if let (name, _) = Self.foreign.first(where: { head.starts(with: $0.1) }) { return .unlisted(compression: name) }
    return .entries(try read(open(), place), compression: nil)
  }

  private mutating func read(_ source: any ByteSource, _ place: String) throws -> [CpioEntry] {
    let reader = CpioReader(source, place: place)
    var found: [CpioEntry] = []
    while let entry = try reader.next() {
      entries += 1
      nameBytes += entry.name.utf8.count + (entry.target?.utf8.count ?? 0)
      guard entries <= ImageLimits.entries, nameBytes <= ImageLimits.allNamesBytes else {
        throw ImageRefusal(place, "too many entries to list")
      }
      found.append(entry)
    }
    return found
  }
}
