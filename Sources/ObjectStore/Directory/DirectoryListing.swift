import Glibc

extension DirectoryStore {
  package func list(prefix: String, after: ObjectKey?, limit: Int) throws -> ObjectPage {
    let action = "list \(location)/\(prefix)"
    // Straight to the deepest directory that the prefix names; whatever matches lies in it.
    let parts = prefix.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    let above = parts.dropLast()
    guard above.isEmpty || ObjectKey.fault(above.joined(separator: "/")) == nil,
      let start = try root.file.directory(above, create: false, action)
    else { return ObjectPage(entries: [], next: nil) }

    let limit = max(limit, 1)
    var listing = DirectoryListing(
      prefix: Array(prefix.utf8), after: after.map { Array($0.text.utf8) } ?? [], wanted: limit + 1, action: action)
    try listing.walk(start, path: above.map { $0 + "/" }.joined())
    let entries = Array(listing.found.prefix(limit))
    return ObjectPage(entries: entries, next: listing.found.count > limit ? entries.last?.key : nil)
  }
}

/// A walk over files in the byte order of their keys, as S3 lists them.
struct DirectoryListing {
  let prefix: [UInt8]
  let after: [UInt8]
  /// Stops at so many.
  let wanted: Int
  let action: String
  private(set) var found: [ObjectInfo] = []

  init(prefix: [UInt8], after: [UInt8], wanted: Int, action: String) {
    self.prefix = prefix
    self.after = after
    self.wanted = wanted
    self.action = action
  }

  /// - Parameter path: the directory's own, empty or with a slash at its end.
  mutating func walk(_ directory: OpenFile, path: String) throws {
    // A directory sorts as its name with the slash: `a-b` comes before `a/b`.
    let names = try Self.names(directory, action)
      .map { name, isDirectory in
        (name: name, isDirectory: isDirectory, key: Array((path + name + (isDirectory ? "/" : "")).utf8))
      }
      .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    for entry in names where found.count < wanted && mayMatter(entry.key, entry.isDirectory) {
      if entry.isDirectory {
        guard let below = try directory.directory([entry.name], create: false, action) else { continue }
        try walk(below, path: path + entry.name + "/")
      } else if let key = try? ObjectKey(path + entry.name) {
        var status = stat()
        // Gone since, or not a file: not listed.
        guard fstatat(directory.descriptor, entry.name, &status, AT_SYMLINK_NOFOLLOW) == 0,
          status.st_mode & S_IFMT == S_IFREG
        else { continue }
        found.append(ObjectInfo(key, status))
      }
    }
  }

  private func mayMatter(_ path: [UInt8], _ isDirectory: Bool) -> Bool {
    guard isDirectory else { return path.starts(with: prefix) && after.lexicographicallyPrecedes(path) }
    return (path.starts(with: prefix) || prefix.starts(with: path))
      && (after.lexicographicallyPrecedes(path) || after.starts(with: path))
  }

  /// Files and directories; what belongs to the store itself, links and other things are left out.
  static func names(_ directory: OpenFile, _ action: String) throws -> [(name: String, isDirectory: Bool)] {
    // fdopendir takes the descriptor and its position over: give it one of its own.
    let descriptor = openat(directory.descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileFault.error(action) }
    guard let stream = fdopendir(descriptor) else {
      let fault = FileFault.error(action)
      close(descriptor)
      throw fault
    }
    defer { closedir(stream) }
    var names: [(name: String, isDirectory: Bool)] = []
    errno = 0
    while let entry = readdir(stream) {
      defer { errno = 0 }
      guard let name = name(of: entry), name != ".", name != ".." else { continue }
      if name.utf8.starts(with: ObjectKey.reservedPrefix.utf8) { continue }
      switch CInt(entry.pointee.d_type) {
      case CInt(DT_REG): names.append((name, false))
      case CInt(DT_DIR): names.append((name, true))
      case CInt(DT_UNKNOWN):
        var status = stat()
        guard fstatat(directory.descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
        if status.st_mode & S_IFMT == S_IFREG { names.append((name, false)) }
        if status.st_mode & S_IFMT == S_IFDIR { names.append((name, true)) }
      default: continue
      }
    }
    guard errno == 0 else { throw FileFault.error(action) }
    return names
  }

  /// Nil for a name that is not UTF-8, which no key can be. The entry may be shorter than `dirent`: it is not copied.
  private static func name(of entry: UnsafeMutablePointer<dirent>) -> String? {
    guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { return nil }
    let start = UnsafeRawPointer(entry).advanced(by: offset).assumingMemoryBound(to: CChar.self)
    return String(validatingCString: start)
  }
}
