import Glibc
import Wire

/// Files of the client's home: bounded reads, and writes that are whole or absent after a crash.
///
/// A write goes to a temporary file in the same directory, is synced, moved to its name, and the directory is synced.
package enum PrivateFiles {
  /// Mode of files that hold secrets.
  package static let secretMode: mode_t = 0o600
  /// Mode of files that anyone may read.
  package static let publicMode: mode_t = 0o644

  /// The content of a regular file of at most `limit` bytes; nil when there is none.
  ///
  /// - Throws: ``ClientError`` of kind `other` naming the path and the system's reason.
  package static func readIfPresent(_ path: String, limit: Int = Limits.smallObjectBytes) throws -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw failure("read", path)
    }
    let file = OpenedFile(descriptor: descriptor, path: path)
    guard let size = try file.regularSize() else {
      throw ClientError(.other, "\(path) is not a regular file", remedy: "name a file")
    }
    guard size <= UInt64(limit) else {
      throw ClientError(.other, "\(path) has \(size) bytes, over the limit of \(limit)", remedy: "name another file")
    }
    return try file.readAll(limit: limit, path)
  }

  /// The content of a regular file that must be there.
  package static func read(_ path: String, limit: Int = Limits.smallObjectBytes) throws -> [UInt8] {
    guard let bytes = try readIfPresent(path, limit: limit) else {
      throw ClientError(.notFound, "there is no file \(path)", remedy: "check the name")
    }
    return bytes
  }

  /// Writes a whole file atomically.
  ///
  /// - Parameter replacing: false refuses to write over an existing file, as for keys.
  package static func write(
    _ bytes: [UInt8], to path: String, mode: mode_t = secretMode, replacing: Bool = true
  ) throws {
    let temporary = "\(path).\(getpid())-\(UInt32.random(in: 0 ... .max)).tmp"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
    guard descriptor >= 0 else { throw failure("write", path) }
    do {
      let file = OpenedFile(descriptor: descriptor, path: path)
      try file.write(bytes)
      try file.sync()
      guard fchmod(descriptor, mode) == 0 else { throw failure("write", path) }
      if replacing {
        guard rename(temporary, path) == 0 else { throw failure("write", path) }
      } else {
        guard link(temporary, path) == 0 else {
          if errno == EEXIST {
            throw ClientError(.other, "\(path) is there already", remedy: "move it away first, or name another file")
          }
          throw failure("write", path)
        }
        unlink(temporary)
      }
    } catch {
      unlink(temporary)
      throw error
    }
    try syncDirectory(of: path)
  }

  /// Makes a directory and its parents, each of mode 0700 when it is new.
  package static func makeDirectory(_ path: String) throws {
    var status = stat()
    if stat(path, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFDIR else {
        throw ClientError(.other, "\(path) is not a directory", remedy: "move it away")
      }
      return
    }
    let parent = parent(of: path)
    if parent != path { try makeDirectory(parent) }
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw failure("make", path) }
    // What is made durable in it would be lost with its name.
    try syncDirectory(of: path)
  }

  /// Names in a directory, sorted bytewise; empty when there is none.
  package static func names(in path: String) throws -> [String] {
    guard let directory = opendir(path) else {
      if errno == ENOENT { return [] }
      throw failure("list", path)
    }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in
        String(decoding: raw.prefix(while: { $0 != 0 }), as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Whether something has this name.
  package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Whether this name is a directory's; nil when nothing has it. A link is none, wherever it leads.
  package static func isDirectory(_ path: String) throws -> Bool? {
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT { return nil }
      throw failure("look at", path)
    }
    return status.st_mode & S_IFMT == S_IFDIR
  }

  /// Holds a directory against other processes that ask the same, until what is returned is let go.
  static func lockDirectory(_ path: String) throws -> OpenedFile {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("lock", path) }
    let file = OpenedFile(descriptor: descriptor, path: path)
    try file.lock()
    return file
  }

  /// Moves a finished directory to a name that must not be taken: rename(2) refuses a directory with files in it.
  package static func renameDirectory(_ from: String, to path: String) throws {
    try syncDirectory(of: "\(from)/.")
    guard rename(from, path) == 0 else { throw failure("make", path) }
    try syncDirectory(of: path)
  }

  /// Removes a file; an absent one is no error.
  package static func remove(_ path: String) { unlink(path) }

  /// Removes a directory and the files in it, one level deep: what the ledger's unfinished entries are.
  package static func removeEntry(_ path: String) {
    for name in (try? names(in: path)) ?? [] { unlink("\(path)/\(name)") }
    rmdir(path)
  }

  /// Removes a directory with everything below it, up to 32 levels; links are removed and not followed.
  package static func removeTree(_ path: String, depth: Int = 32) {
    for name in (try? names(in: path)) ?? [] {
      let inner = "\(path)/\(name)"
      if depth > 0, (try? isDirectory(inner)) == true { removeTree(inner, depth: depth - 1) } else { unlink(inner) }
    }
    rmdir(path)
  }

  /// Makes the names in the directory of `path` survive a power cut.
  package static func syncDirectory(of path: String) throws {
    let directory = parent(of: path)
    let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("sync", directory) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failure("sync", directory) }
  }

  /// The directory part of a path.
  package static func parent(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Errno in words, with the action and the path.
  package static func failure(_ action: String, _ path: String) -> ClientError {
    let reason = String(cString: strerror(errno))
    return ClientError(.other, "cannot \(action) \(path): \(reason)", remedy: "check the path and its permissions")
  }
}
