import Glibc

/// What one directory of a store has.
enum DirectoryEntries {
  /// Calls `body` with each file's and each directory's name, in no order, and whether it is a directory; what belongs to
  /// the store itself, links and other things are left out.
  ///
  /// - Throws: ``ObjectStoreError``; what `body` throws.
  static func forEach(
    _ directory: OpenFile, _ action: String,
    _ body: (_ name: UnsafeBufferPointer<UInt8>, _ isDirectory: Bool) throws -> Void
  ) throws {
    // fdopendir takes the descriptor and its position over: give it one of its own.
    let descriptor = openat(directory.descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileFault.error(action) }
    guard let stream = fdopendir(descriptor) else {
      let fault = FileFault.error(action)
      close(descriptor)
      throw fault
    }
    defer { closedir(stream) }
    guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { return }
    errno = 0
    while let entry = readdir(stream) {
      defer { errno = 0 }
      // The entry may be shorter than `dirent`: it is not copied.
      let start = UnsafeRawPointer(entry).advanced(by: offset).assumingMemoryBound(to: UInt8.self)
      let name = UnsafeBufferPointer(
        start: start, count: strlen(UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self)))
      if name.starts(with: ".".utf8) {
        if name.count == 1 || name.count == 2 && name[1] == UInt8(ascii: ".") { continue }
        if name.starts(with: ObjectKey.reservedPrefix.utf8) { continue }
      }
      switch CInt(entry.pointee.d_type) {
      case CInt(DT_REG): try body(name, false)
      case CInt(DT_DIR): try body(name, true)
      case CInt(DT_UNKNOWN):
        var status = stat()
        let path = UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self)
        guard fstatat(directory.descriptor, path, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
        if status.st_mode & S_IFMT == S_IFREG { try body(name, false) }
        if status.st_mode & S_IFMT == S_IFDIR { try body(name, true) }
      default: continue
      }
    }
    guard errno == 0 else { throw FileFault.error(action) }
  }
}
