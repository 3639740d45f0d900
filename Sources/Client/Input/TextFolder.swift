import Glibc
import Wire

/// A folder of text files, read recursively in bytewise order of their paths.
///
/// Left out, each with its reason and a count: hidden names, symbolic links (they could lead out of the folder), special
/// files, what is not text, empty files, and files over the limit of a line.
package struct TextFolder: InputOrigin {
  /// Nesting of folders that is followed.
  private static let depthLimit = 64
  package let name: String
  package var kind: InputKind { .textFiles }

  package init(path: String) {
    name = path.utf8.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
  }

  package func forEach(_ body: (InputPiece) throws -> Void) throws -> SkippedInput {
    var skipped = SkippedInput()
    try walk("", depth: 0, &skipped, body)
    return skipped
  }

  private func walk(
    _ relative: String, depth: Int, _ skipped: inout SkippedInput, _ body: (InputPiece) throws -> Void
  ) throws {
    let directory = relative.isEmpty ? name : "\(name)/\(relative)"
    guard let names = try names(directory) else { return skipped.add(relative, "a folder that cannot be read") }
    for bytes in names {
      guard let leaf = String(validating: bytes, as: UTF8.self) else {
        skipped.add("\(directory)/?", "its name is not UTF-8")
        continue
      }
      let path = relative.isEmpty ? leaf : "\(relative)/\(leaf)"
      if leaf.hasPrefix(".") {
        skipped.add(path, "hidden")
        continue
      }
      var status = stat()
      guard lstat("\(name)/\(path)", &status) == 0 else {
        skipped.add(path, "cannot be read")
        continue
      }
      switch status.st_mode & S_IFMT {
      case S_IFDIR:
        if depth >= Self.depthLimit {
          skipped.add(path, "nested too deep")
        } else {
          try walk(path, depth: depth + 1, &skipped, body)
        }
      case S_IFREG: try take(path, Int64(status.st_size), &skipped, body)
      case S_IFLNK: skipped.add(path, "symbolic link")
      default: skipped.add(path, "not a regular file")
      }
    }
  }

  private func take(
    _ path: String, _ size: Int64, _ skipped: inout SkippedInput, _ body: (InputPiece) throws -> Void
  ) throws {
    guard size > 0 else { return skipped.add(path, "empty") }
    let descriptor = open("\(name)/\(path)", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return skipped.add(path, "cannot be read") }
    let file = OpenedFile(descriptor: descriptor, path: path)
    let head = try file.read(upTo: 4096)
    if let reason = Self.notText(head) { return skipped.add(path, reason) }
    guard size <= Int64(Limits.inputLineBytes) else {
      return skipped.add(path, "larger than \(Limits.inputLineBytes >> 20) MiB")
    }
    var bytes = head
    while bytes.count <= Limits.inputLineBytes {
      let piece = try file.read(upTo: 1 << 18)
      if piece.isEmpty { break }
      bytes += piece
    }
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
    guard String(validating: bytes, as: UTF8.self) != nil else { return skipped.add(path, "not UTF-8 text") }
    if bytes.contains(0) { return skipped.add(path, "not text") }
    guard bytes.contains(where: { $0 > 0x20 }) else { return skipped.add(path, "empty") }
    try body(InputPiece(place: .file(path), bytes: bytes))
  }

  /// Why the beginning of a file shows that it is no text; nil when it may be.
  private static func notText(_ head: [UInt8]) -> String? {
    if head.contains(0) { return "not text" }
    let controls = head.count(where: { $0 < 0x20 && ![0x09, 0x0A, 0x0C, 0x0D, 0x1B].contains($0) })
    return controls * 20 > head.count ? "not text" : nil
  }

  /// Names as bytes, since not every file system keeps to UTF-8; nil when the folder cannot be read.
  private func names(_ path: String) throws -> [[UInt8]]? {
    guard let directory = opendir(path) else {
      if path == name { throw PrivateFiles.failure("read", path) }
      return nil
    }
    defer { closedir(directory) }
    var names: [[UInt8]] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if name != [0x2E], name != [0x2E, 0x2E] { names.append(name) }
    }
    return names.sorted { $0.lexicographicallyPrecedes($1) }
  }
}
