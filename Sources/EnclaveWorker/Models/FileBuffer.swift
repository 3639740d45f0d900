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

  /// - Throws: as the initializer, for files that are to be in memory together.
  static func requireRoom(for counts: [UInt64], availableBytes: UInt64) throws {
    let total = counts.reduce(UInt64(0)) { $0.addingReportingOverflow($1).overflow ? .max : $0 + $1 }
    guard total <= Limits.weightBytes else { throw WireError.malformed("weights over the limit") }
    guard total <= availableBytes / 2 else { throw noRoom(Int(clamping: total)) }
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

/// What the kernel says can be allocated without swapping.
enum AvailableMemory {
  /// `MemAvailable` of proc(5) in bytes.
  ///
  /// - Throws: ``WorkerFault`` with `retry` where the kernel does not say it.
  static func bytes() throws -> UInt64 {
    let descriptor = open("/proc/meminfo", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw WorkerFault.retry("/proc/meminfo cannot be opened") }
    defer { close(descriptor) }
    var text = [UInt8](repeating: 0, count: 4096)
    let count = read(descriptor, &text, text.count)
    for line in text.prefix(max(0, count)).split(separator: UInt8(ascii: "\n")) {
      let words = line.split(separator: UInt8(ascii: " "))
      guard words.count == 3, words[0].elementsEqual("MemAvailable:".utf8) else { continue }
      guard let kibibytes = UInt64(String(decoding: words[1], as: UTF8.self)), kibibytes < 1 << 50 else { break }
      return kibibytes << 10
    }
    throw WorkerFault.retry("/proc/meminfo has no MemAvailable")
  }
}
