import Glibc

/// An open file or directory that closes itself.
final class OpenFile {
  let descriptor: CInt

  init(_ descriptor: CInt) { self.descriptor = descriptor }
  deinit { close(descriptor) }

  /// Makes content (of a directory: its entries) durable.
  func sync(_ action: String) throws {
    guard fsync(descriptor) == 0 else { throw FileFault.error(action) }
  }

  /// `stat` of the open file.
  func status(_ action: String) throws -> stat {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw FileFault.error(action) }
    return status
  }

  /// Reads at the file's position; empty at its end.
  func read(upTo count: Int, _ action: String) throws -> [UInt8] {
    try Array(unsafeUninitializedCapacity: count) { buffer, filled in
      while true {
        let got = Glibc.read(descriptor, buffer.baseAddress, count)
        if got >= 0 {
          filled = got
          return
        }
        guard errno == EINTR else { throw FileFault.error(action) }
      }
    }
  }

  /// Writes all of `bytes` at the file's position.
  func write(_ bytes: [UInt8], _ action: String) throws {
    try bytes.withUnsafeBytes { buffer in
      var rest = buffer[...]
      while !rest.isEmpty {
        let put = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if put > 0 { rest = rest.dropFirst(put) } else if errno != EINTR { throw FileFault.error(action) }
      }
    }
  }
}

/// What an errno means to a store's caller.
enum FileFault {
  static func error(_ action: String, _ code: CInt = errno) -> ObjectStoreError {
    let reason = String(cString: strerror(code))
    switch code {
    case ENOENT:
      return ObjectStoreError(.notFound, action, reason, mend: "check the name")
    case EACCES, EPERM, EROFS:
      return ObjectStoreError(.denied, action, reason, mend: "the directory's owner must give this user access")
    case ENOSPC, EDQUOT:
      return ObjectStoreError(.retryable, action, reason, mend: "the store's operator must free space")
    case ENOTDIR, ELOOP, EISDIR, ENAMETOOLONG, EXDEV:
      return ObjectStoreError(
        .invalid, action, reason,
        mend: "a directory store has no symbolic links, and no object whose name is the directory of another")
    default:
      return ObjectStoreError(.retryable, action, reason, mend: "check the disk and this process's limits")
    }
  }
}

extension OpenFile {
  /// Opens the directory under this one that `segments` name, step by step and never through a symbolic link.
  ///
  /// - Parameter create: makes what is missing, durably.
  /// - Returns: nil when it is not there and not to be made.
  func directory(_ segments: ArraySlice<String>, create: Bool, _ action: String) throws -> OpenFile? {
    var current = self
    for segment in segments {
      let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
      var next = openat(current.descriptor, segment, flags)
      if next < 0, errno == ENOENT, create {
        guard mkdirat(current.descriptor, segment, 0o777) == 0 || errno == EEXIST else {
          throw FileFault.error(action)
        }
        // Also when another process made it just now: ours must not depend on its sync.
        try current.sync(action)
        next = openat(current.descriptor, segment, flags)
      }
      if next < 0 {
        if !create, errno == ENOENT || errno == ENOTDIR { return nil }
        throw FileFault.error(action)
      }
      current = OpenFile(next)
    }
    return current
  }
}
