import CZlib
import Wire

/// What a gzip file (RFC 1952) holds, of one or several members, inflated piece by piece up to a limit.
final class GzipSource: ByteSource {
  private let source: any ByteSource
  private let place: String
  /// zlib keeps a pointer to it, so it must not move.
  private let stream: UnsafeMutablePointer<z_stream>
  private var input: [UInt8] = []
  private var start = 0
  private var total: UInt64 = 0
  private var isInMember = true
  private let limit: UInt64
  /// 15 bits of window, and gzip's frame alone.
  private static let windowBits: Int32 = 15 + 16

  /// - Parameter place: what is being read, for errors.
  init(_ source: any ByteSource, place: String, limit: UInt64 = ImageLimits.inflatedBytes) throws {
    self.source = source
    self.place = place
    self.limit = limit
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    guard inflateInit2_(stream, Self.windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      stream.deallocate()
      throw ImageRefusal(place, "no memory to inflate it")
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  func read(upTo count: Int) throws -> [UInt8] {
    let wanted = min(max(count, 0), ImageLimits.chunkBytes)
    while wanted > 0 {
      if start == input.count {
        input = try source.read(upTo: ImageLimits.chunkBytes)
        start = 0
        if input.isEmpty {
          guard !isInMember else { throw ImageRefusal(place, "compressed data that ends too early") }
          return []
        }
      }
      if !isInMember, try !beginMember() { continue }
      let piece = try inflateSome(wanted)
      guard UInt64(piece.count) <= limit - total else {
        throw ImageRefusal(place, "more than \(limit) bytes when inflated")
      }
      total += UInt64(piece.count)
      if !piece.isEmpty { return piece }
    }
    return []
  }

  /// Passes the zero bytes between members; false when nothing else was left of the input.
  private func beginMember() throws -> Bool {
    while start < input.count, input[start] == 0 { start += 1 }
    guard start < input.count else { return false }
    guard inflateReset(stream) == Z_OK else { throw ImageRefusal(place, "it does not inflate") }
    isInMember = true
    return true
  }

  /// One step of zlib, with at least one byte of input.
  private func inflateSome(_ wanted: Int) throws -> [UInt8] {
    var outcome = Z_OK
    let available = input.count - start
    var consumed = 0
    let output = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, filled in
      input.withUnsafeMutableBufferPointer { bytes in
        stream.pointee.next_in = bytes.baseAddress.map { $0 + start }
        stream.pointee.avail_in = uInt(available)
        stream.pointee.next_out = buffer.baseAddress
        stream.pointee.avail_out = uInt(wanted)
        outcome = inflate(stream, Z_NO_FLUSH)
        consumed = available - Int(stream.pointee.avail_in)
        filled = wanted - Int(stream.pointee.avail_out)
      }
    }
    start += consumed
    guard outcome == Z_OK || outcome == Z_STREAM_END else { throw ImageRefusal(place, "it does not inflate") }
    if outcome == Z_STREAM_END { isInMember = false }
    return output
  }
}
