import Glibc
import Wire

/// An open file as a source or a sink; closed when the last reference goes. Used from one thread at a time.
package final class OpenedFile: ByteSource, ByteSink {
  private let descriptor: Int32
  private let path: String

  /// Takes over `descriptor`.
  package init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  /// Opens a file for reading, without waiting for a FIFO's writer.
  package convenience init(reading path: String) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { throw ClientError(.notFound, "there is no file \(path)", remedy: "check the name") }
      throw PrivateFiles.failure("read", path)
    }
    self.init(descriptor: descriptor, path: path)
  }

  /// Makes a new file that must not be there.
  package convenience init(creating path: String, mode: mode_t = PrivateFiles.secretMode) throws {
    let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
    guard descriptor >= 0 else { throw PrivateFiles.failure("write", path) }
    self.init(descriptor: descriptor, path: path)
  }

  /// Makes a file without a name, gone with its last reference, in a directory that is its owner's alone.
  static func nameless(in directory: String) throws -> OpenedFile {
    try PrivateFiles.makeDirectory(directory)
    let path = "\(directory)/.spool-\(Hex.encode(Random.bytes(8)))"
    let file = try OpenedFile(creating: path)
    unlink(path)
    return file
  }

  deinit { close(descriptor) }

  /// The size of a regular file; nil when it is something else.
  package func regularSize() throws -> UInt64? {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw PrivateFiles.failure("read", path) }
    return status.st_mode & S_IFMT == S_IFREG ? UInt64(max(status.st_size, 0)) : nil
  }

  /// What the system says of the open file, whatever has its name by now.
  func status() throws -> stat {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw PrivateFiles.failure("read", path) }
    return status
  }

  package func read(upTo count: Int) throws -> [UInt8] {
    let wanted = min(max(count, 0), 1 << 20)
    guard wanted > 0 else { return [] }
    while true {
      var got = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, filled in
        got = Glibc.read(descriptor, buffer.baseAddress, wanted)
        filled = max(got, 0)
      }
      if got >= 0 { return bytes }
      guard errno == EINTR else { throw PrivateFiles.failure("read", path) }
    }
  }

  package func write(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written < 0 {
        guard errno == EINTR else { throw PrivateFiles.failure("write", path) }
      } else {
        rest = rest.dropFirst(written)
      }
    }
  }

  /// Returns to the beginning.
  package func rewind() throws {
    guard lseek(descriptor, 0, SEEK_SET) == 0 else { throw PrivateFiles.failure("read", path) }
  }

  /// Makes what was written survive a power cut.
  package func sync() throws {
    guard fsync(descriptor) == 0 else { throw PrivateFiles.failure("write", path) }
  }

  /// Takes the exclusive lock of this file if nobody holds it.
  func tryLock() throws -> Bool {
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      if errno == EWOULDBLOCK { return false }
      guard errno == EINTR else { throw PrivateFiles.failure("lock", path) }
    }
    return true
  }

  /// Waits for the exclusive lock of this file, which goes with the descriptor.
  package func lock() throws {
    while flock(descriptor, LOCK_EX) != 0 {
      guard errno == EINTR else { throw PrivateFiles.failure("lock", path) }
    }
  }
}
