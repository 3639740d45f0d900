/// A pull-driven stream of bytes: the reader decides how much is in memory.
package protocol ByteSource: AnyObject {
  /// Reads between one and `count` bytes; an empty array means the end, and only the end.
  ///
  /// - Throws: whatever the origin throws; a source that threw is not read again.
  func read(upTo count: Int) throws -> [UInt8]
}

/// A push-driven stream of bytes. A sink that threw is not written again.
package protocol ByteSink: AnyObject {
  /// Takes all of `bytes` before it returns, so that the writer feels the sink's backpressure.
  func write(_ bytes: [UInt8]) throws
}

/// Bytes in memory as a source.
package final class MemorySource: ByteSource {
  private let bytes: [UInt8]
  private var position = 0

  /// A source that yields `bytes` once.
  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package func read(upTo count: Int) -> [UInt8] {
    let end = position + min(max(count, 0), bytes.count - position)
    defer { position = end }
    return Array(bytes[position..<end])
  }
}

/// A sink that keeps what it was given, up to a limit.
package final class MemorySink: ByteSink {
  /// Everything written so far.
  package private(set) var bytes: [UInt8] = []
  private let limit: Int

  /// A sink that refuses to hold more than `limit` bytes.
  package init(limit: Int = Limits.smallObjectBytes) { self.limit = limit }

  package func write(_ more: [UInt8]) throws {
    guard more.count <= limit - bytes.count else { throw WireError.tooLarge("memory sink", limit: limit) }
    bytes += more
  }
}

extension ByteSource {
  /// Reads exactly `count` bytes.
  ///
  /// - Parameter count: bounded by the caller before the call; it is allocated.
  /// - Throws: ``WireError/truncated(_:)`` naming `what` when the source ends before.
  package func readExactly(_ count: Int, _ what: String) throws -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(count)
    while result.count < count {
      let piece = try read(upTo: count - result.count)
      guard !piece.isEmpty else { throw WireError.truncated(what) }
      result += piece
    }
    return result
  }

  /// Reads to the end, refusing more than `limit` bytes.
  package func readAll(limit: Int, _ what: String) throws -> [UInt8] {
    var result: [UInt8] = []
    while true {
      let piece = try read(upTo: Limits.chunkBytes)
      if piece.isEmpty { return result }
      guard piece.count <= limit - result.count else { throw WireError.tooLarge(what, limit: limit) }
      result += piece
    }
  }

  /// Moves everything into `sink`; returns the number of bytes moved.
  @discardableResult
  package func copy(to sink: ByteSink) throws -> UInt64 {
    var total: UInt64 = 0
    while true {
      let piece = try read(upTo: Limits.chunkBytes)
      if piece.isEmpty { return total }
      try sink.write(piece)
      total += UInt64(piece.count)
    }
  }
}
