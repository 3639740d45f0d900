import Glibc
import Wire

/// The bytes of an image, wherever they are. Images have hundreds of megabytes and are never held whole.
package protocol ImageBytes: AnyObject {
  /// How many there are.
  var count: UInt64 { get }

  /// Exactly `count` bytes from `offset`.
  ///
  /// - Parameter count: at most ``ImageLimits/chunkBytes``.
  /// - Throws: ``ImageRefusal`` when they are not there.
  func read(at offset: UInt64, count: Int) throws -> [UInt8]
}

/// An image in memory.
package final class ImageMemory: ImageBytes {
  private let bytes: [UInt8]

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package var count: UInt64 { UInt64(bytes.count) }

  package func read(at offset: UInt64, count: Int) throws -> [UInt8] {
    guard count >= 0, offset <= self.count, UInt64(count) <= self.count - offset else {
      throw ImageRefusal("byte \(offset)", "the file ends before")
    }
    return Array(bytes[Int(offset)..<Int(offset) + count])
  }
}

/// An image on disk, read piece by piece: mapping it would end the process when someone truncates the file meanwhile.
package final class ImageFile: ImageBytes {
  package let count: UInt64
  private let descriptor: Int32

  /// - Throws: ``ImageRefusal`` unless `path` is a regular file that may be read.
  package init(_ path: String) throws {
    descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw ImageRefusal(path, String(cString: strerror(errno))) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw ImageRefusal(path, "not a regular file")
    }
    count = UInt64(max(status.st_size, 0))
  }

  deinit { close(descriptor) }

  package func read(at offset: UInt64, count: Int) throws -> [UInt8] {
    guard let start = off_t(exactly: offset), count >= 0 else {
      throw ImageRefusal("byte \(offset)", "the file ends before")
    }
    var filled = 0
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      while filled < count, let base = buffer.baseAddress {
        let got = pread(descriptor, base + filled, count - filled, start + off_t(filled))
        if got < 0, errno == EINTR { continue }
        if got < 0 { failure = errno }
        if got <= 0 { break }
        filled += got
      }
      initialized = filled
    }
    guard failure == 0 else { throw ImageRefusal("byte \(offset)", String(cString: strerror(failure))) }
    guard filled == count else { throw ImageRefusal("byte \(offset)", "the file ends before") }
    return bytes
  }
}

/// A stretch of an image as a source.
final class ImageStretch: ByteSource {
  private let bytes: any ImageBytes
  private var position: UInt64
  private var left: UInt64

  /// `count` bytes from `offset`, which were found to lie within the file.
  init(_ bytes: any ImageBytes, offset: UInt64, count: UInt64) {
    self.bytes = bytes
    position = offset
    left = count
  }

  func read(upTo count: Int) throws -> [UInt8] {
    let wanted = min(UInt64(clamping: count), left, UInt64(ImageLimits.chunkBytes))
    let piece = try bytes.read(at: position, count: Int(wanted))
    position += wanted
    left -= wanted
    return piece
  }
}
