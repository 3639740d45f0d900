import CPlatform
import Glibc
import Wire

/// A file's bytes, allocated once at the size that its signed manifest says, wiped when freed.
final class FileBuffer {
  private let memory: UnsafeMutableRawBufferPointer
  private let size: Int
  private var filled = 0

  /// - Parameters:
  ///   - count: the file's size in bytes, as a publisher signed it.
  ///   - availableBytes: memory that can be had; the file and the model made of it must both fit.
  /// - Throws: ``WireError`` for a size over ``Limits/weightBytes``; ``WorkerFault`` with `retry` for one that this
  ///   machine has no memory for: how large it is, is the host's choice.
  init(count: UInt64, availableBytes: UInt64) throws {
    guard count <= Limits.weightBytes, let count = Int(exactly: count) else {
      throw WireError.malformed("a file size over the limit")
    }
    guard UInt64(count) <= availableBytes / 2 else { throw Self.noRoom(count) }
    var base: UnsafeMutableRawPointer?
    guard posix_memalign(&base, 64, max(count, 1)) == 0, let base else { throw Self.noRoom(count) }
    memory = UnsafeMutableRawBufferPointer(start: base, count: max(count, 1))
    size = count
  }

  /// Bytes of files of these sizes that are in memory together, and of the model made of them.
  ///
  /// - Parameter packedBytes: of the model's weights as they are computed with: of 2-byte files in fp32, twice the files.
  /// - Throws: ``WireError`` for sizes over ``Limits/weightBytes``.
  static func neededBytes(for counts: [UInt64], packedBytes: UInt64) throws -> UInt64 {
    var total: UInt64 = 0
    for count in counts {
      guard count <= Limits.weightBytes - total else { throw WireError.malformed("weights over the limit") }
      total += count
    }
    return total + max(total, min(packedBytes, 4 * Limits.weightBytes))
  }

  private static func noRoom(_ count: Int) -> WorkerFault { .retry("no memory for a model file of \(count) bytes") }

  var isFull: Bool { filled == size }

  /// - Throws: ``WireError/malformed(_:)`` for more bytes than the size.
  func append(_ bytes: [UInt8]) throws {
    guard bytes.count <= size - filled else { throw WireError.malformed("a file longer than its manifest says") }
    UnsafeMutableRawBufferPointer(rebasing: memory[filled..<filled + bytes.count]).copyBytes(from: bytes)
    filled += bytes.count
  }

  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try body(UnsafeRawBufferPointer(rebasing: memory[..<filled]))
  }

  deinit {
    cplatform_wipe(memory.baseAddress, memory.count)
    free(memory.baseAddress)
  }
}
