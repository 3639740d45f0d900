import Crypto
import Wire

/// Reads "newc" archives from hostile bytes, entry by entry: several may follow one another with zero bytes between, as
/// Linux unpacks them. Contents are digested as they pass and kept nowhere.
package final class CpioReader {
  private let source: BufferedSource
  private let place: String
  private var isInArchive = false

  /// - Parameter place: what is being read, for errors.
  package init(_ source: any ByteSource, place: String) {
    self.source = BufferedSource(source)
    self.place = place
  }

  /// The next entry; nil after the last archive.
  ///
  /// - Throws: ``ImageRefusal``.
  package func next() throws -> CpioEntry? {
    while true {
      if !isInArchive {
        guard try source.skipZeros() else { return nil }
        // Linux takes a header only at a multiple of 4.
        guard source.position.isMultiple(of: 4) else { throw refusal("an archive that is not aligned") }
        isInArchive = true
      }
      if let entry = try entry() { return entry }
      isInArchive = false
    }
  }

  private func refusal(_ reason: String) -> ImageRefusal { ImageRefusal("\(place), byte \(source.position)", reason) }

  /// The entry that begins here; nil for the trailer.
  private func entry() throws -> CpioEntry? {
    let start = refusal("")
    let header = try source.take(CpioEntry.headerBytes, start.place)
    let magic = Array(header[..<6])
    guard magic == CpioEntry.magic || magic == CpioEntry.checksummedMagic else {
      throw ImageRefusal(start.place, "no cpio header of format newc")
    }
    let fields = try (0..<13).map { try Self.number(header[6 + 8 * $0..<14 + 8 * $0], start.place) }
    let (mode, size, nameSize) = (fields[1], UInt64(fields[6]), Int(fields[11]))
    guard nameSize >= 2, nameSize <= ImageLimits.nameBytes + 1 else {
      throw ImageRefusal(start.place, "a name of \(nameSize) bytes")
    }
    var raw = try source.take(nameSize, start.place)
    guard raw.removeLast() == 0, !raw.contains(0) else { throw ImageRefusal(start.place, "a name without its end") }
    try skipPadding(UInt64(CpioEntry.headerBytes + nameSize))
    if raw == Array(CpioEntry.trailer.utf8) {
      guard size == 0 else { throw ImageRefusal(start.place, "a trailer with data") }
      return nil
    }
    let name = try Self.plainName(raw, start.place)
    guard let kind = CpioEntry.Kind(rawValue: mode & CpioEntry.kindMask) else {
      throw ImageRefusal(start.place, "an entry of unknown kind")
    }
    guard size == 0 || kind == .file || kind == .link else {
      throw ImageRefusal(start.place, "a \(kind.name) with data")
    }
    let (digest, target) = try content(kind, size, start.place)
    try skipPadding(size)
    return CpioEntry(
      name: name, kind: kind, permissions: mode & 0o7777, size: size, sha256: digest, target: target)
  }

  private func content(_ kind: CpioEntry.Kind, _ size: UInt64, _ place: String) throws -> ([UInt8]?, String?) {
    if kind == .link {
      guard size > 0, size <= UInt64(ImageLimits.nameBytes) else {
        throw ImageRefusal(place, "a link whose target has \(size) bytes")
      }
      let target = String(validating: try source.take(Int(size), place), as: UTF8.self)
      guard let target else { throw ImageRefusal(place, "a link whose target is not text") }
      return (nil, target)
    }
    guard kind == .file else { return (nil, nil) }
    var digest = SHA256()
    var left = size
    while left > 0 {
      let piece = try source.some(left)
      guard !piece.isEmpty else { throw ImageRefusal(place, "a file of \(size) bytes, of which \(left) are missing") }
      digest.update(data: piece)
      left -= UInt64(piece.count)
    }
    return (Array(digest.finalize()), nil)
  }

  private func skipPadding(_ count: UInt64) throws {
    _ = try source.take(CpioEntry.padding(count), refusal("").place)
  }

  /// Eight hexadecimal digits of either case, the only form that every reader takes alike.
  private static func number(_ digits: ArraySlice<UInt8>, _ place: String) throws -> UInt32 {
    var value: UInt32 = 0
    for digit in digits {
      guard let digit = Character(UnicodeScalar(digit)).hexDigitValue else {
        throw ImageRefusal(place, "a number that is not hexadecimal")
      }
      value = value << 4 | UInt32(digit)
    }
    return value
  }

  /// A name that means one place and that place lies within the ramdisk: relative, no `..`, nothing empty. A leading
  /// `./` and a slash at the end, which archivers write, are taken away.
  ///
  /// - Throws: ``ImageRefusal``.
  static func plainName(_ raw: [UInt8], _ place: String) throws -> String {
    guard let text = String(validating: raw, as: UTF8.self) else {
      throw ImageRefusal(place, "a name that is not text")
    }
    var name = text[...]
    if name.hasPrefix("./"), name.utf8.count > 2 { name = name.dropFirst(2) }
    if name.hasSuffix("/") { name = name.dropLast() }
    if name == "." { return "." }
    guard !text.hasPrefix("/") else { throw ImageRefusal(place, "an absolute name") }
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard !parts.contains("..") else { throw ImageRefusal(place, "a name that leads out of the ramdisk") }
    guard !parts.contains(""), !parts.contains(".") else { throw ImageRefusal(place, "a name that is not plain") }
    return String(name)
  }
}
