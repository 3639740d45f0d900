import Glibc

/// A regular file of a model folder, opened for reading and closed when it is let go.
final class ReadOnlyFile {
  private let descriptor: Int32
  private let name: String
  /// Bytes, when it was opened.
  let size: Int

  /// Nil when there is no such file.
  init?(_ path: String, name: String) throws(ModelError) {
    self.name = name
    descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    var status = stat()
    guard descriptor >= 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw ModelError(name, "cannot be opened: \(String(cString: strerror(errno)))")
    }
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw ModelError(name, "is not a regular file")
    }
    size = Int(status.st_size)
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// The next bytes; throws when there are fewer.
  func read(_ count: Int) throws(ModelError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let read = bytes.withUnsafeMutableBytes { buffer in
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
        return Glibc.read(descriptor, rest.baseAddress, rest.count)
      }
      if read < 0 && errno == EINTR { continue }
      guard read > 0 else { throw ModelError(name, "cannot be read to its end") }
      filled += read
    }
    return bytes
  }
}
