import Wire

/// Reads a source ahead, just far enough to know whether a chunk is the last: the buffer never holds more than one
/// sealed chunk and one byte.
final class AgeSourceBuffer {
  private static let capacity = AgeFormat.chunkBytes + AgeFormat.tagBytes + 1

  private let source: any ByteSource
  /// The bytes at `position...` are unread.
  private var bytes: [UInt8] = []
  private var position = 0
  private var reachedEnd = false

  init(_ source: any ByteSource) {
    self.source = source
    bytes.reserveCapacity(Self.capacity)
  }

  /// The next byte, or nil at the end of the source.
  func nextByte() throws -> UInt8? {
    if position == bytes.count { try fill(1) }
    guard position < bytes.count else { return nil }
    defer { position += 1 }
    return bytes[position]
  }

  /// Lets `body` see the next bytes, at most `count` (bounded by the capacity), and whether they are the last of the
  /// source; they count as read afterwards.
  func take<Result>(
    _ count: Int, _ body: (_ bytes: UnsafeRawBufferPointer, _ isLast: Bool) throws -> Result
  ) throws -> Result {
    try fill(count + 1)
    let end = position + min(count, bytes.count - position)
    let isLast = reachedEnd && end == bytes.count
    defer { position = end }
    return try bytes.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[position..<end]), isLast) }
  }

  /// Reads until `count` bytes are unread or the source ends.
  private func fill(_ count: Int) throws {
    if position > 0 {
      bytes.removeFirst(position)
      position = 0
    }
    while bytes.count < count, !reachedEnd {
      let wanted = min(Self.capacity, max(count, AgeFormat.chunkBytes)) - bytes.count
      let piece = try source.read(upTo: wanted)
      guard piece.count <= wanted else { throw WireError.tooLarge("a read of \(wanted) bytes", limit: wanted) }
      if piece.isEmpty { reachedEnd = true }
      bytes += piece
    }
  }
}
