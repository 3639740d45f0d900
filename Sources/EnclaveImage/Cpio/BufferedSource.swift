import Wire

/// A source that can be looked into without consuming, and that knows how far it is.
final class BufferedSource {
  /// Bytes consumed so far.
  private(set) var position: UInt64 = 0
  private let source: any ByteSource
  private var buffer: [UInt8] = []
  private var start = 0
  private static let chunkBytes = 64 << 10

  init(_ source: any ByteSource) { self.source = source }

  /// The next bytes without consuming them: `count`, or fewer at the end.
  func peek(_ count: Int) throws -> ArraySlice<UInt8> {
    while buffer.count - start < count {
      let piece = try source.read(upTo: Self.chunkBytes)
      if piece.isEmpty { break }
      buffer = Array(buffer[start...]) + piece
      start = 0
    }
    return buffer[start..<min(start + count, buffer.count)]
  }

  /// Consumes exactly `count` bytes, a number that the caller has bounded.
  ///
  /// - Throws: ``ImageRefusal`` when the source ends before.
  func take(_ count: Int, _ place: String) throws -> [UInt8] {
    let bytes = Array(try peek(count))
    guard bytes.count == count else { throw ImageRefusal(place, "it ends too early") }
    advance(count)
    return bytes
  }

  /// Consumes between one and `count` bytes; empty at the end.
  func some(_ count: UInt64) throws -> [UInt8] {
    let available = try peek(1).isEmpty ? 0 : buffer.count - start
    let taken = Int(min(UInt64(available), count))
    let bytes = Array(buffer[start..<start + taken])
    advance(taken)
    return bytes
  }

  /// Consumes zero bytes; returns whether anything follows them.
  func skipZeros() throws -> Bool {
    while true {
      guard !(try peek(1).isEmpty) else { return false }
      let end = buffer[start...].firstIndex { $0 != 0 } ?? buffer.count
      advance(end - start)
      if end < buffer.count { return true }
    }
  }

  private func advance(_ count: Int) {
    start += count
    position += UInt64(count)
  }
}
