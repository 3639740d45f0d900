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
    try forEachFile(leftOut: { skipped.add($0, $1) }) { path, _ in
      guard let file = try TextFile(path: "\(name)/\(path)") else { return skipped.add(path, "cannot be read") }
      switch try file.content() {
      case .text(let bytes): try body(InputPiece(place: .file(path), bytes: bytes))
      case .left(let reason): skipped.add(path, reason)
      }
    }
    return skipped
  }

  /// Visits every regular file with its path below the folder and its status, in order.
  ///
  /// - Parameter leftOut: is told each other name, a folder's too, and why it is left out.
  /// - Throws: ``ClientError`` when the folder itself cannot be read; what `visit` throws.
  func forEachFile(leftOut: (String, String) -> Void, _ visit: (String, stat) throws -> Void) throws {
    try walk("", depth: 0, leftOut, visit)
  }

  private func walk(
    _ relative: String, depth: Int, _ leftOut: (String, String) -> Void, _ visit: (String, stat) throws -> Void
  ) throws {
    let directory = relative.isEmpty ? name : "\(name)/\(relative)"
    guard let names = try names(directory) else { return leftOut(relative, "a folder that cannot be read") }
    for bytes in names {
      guard let leaf = String(validating: bytes, as: UTF8.self) else {
        leftOut("\(directory)/?", "its name is not UTF-8")
        continue
      }
      let path = relative.isEmpty ? leaf : "\(relative)/\(leaf)"
      if leaf.hasPrefix(".") {
        leftOut(path, "hidden")
        continue
      }
      var status = stat()
      guard lstat("\(name)/\(path)", &status) == 0 else {
        leftOut(path, "cannot be read")
        continue
      }
      switch status.st_mode & S_IFMT {
      case S_IFDIR:
        if depth >= Self.depthLimit {
          leftOut(path, "nested too deep")
        } else {
          try walk(path, depth: depth + 1, leftOut, visit)
        }
      case S_IFREG: try visit(path, status)
      case S_IFLNK: leftOut(path, "symbolic link")
      default: leftOut(path, "not a regular file")
      }
    }
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
