/// Scalars of bytes that are known to be UTF-8, as those of a `String` and of everything made from one are.
enum UTF8Text {
  /// The scalar at `place`, which moves behind it. `place` must lie inside; a scalar that is cut off ends the text.
  @inline(__always)
  static func scalar(_ bytes: UnsafeBufferPointer<UInt8>, _ place: inout Int) -> UInt32 {
    let lead = UInt32(bytes[place])
    let length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
    guard place + length <= bytes.count else {
      place = bytes.count
      return 0xfffd
    }
    defer { place += length }
    func next(_ index: Int) -> UInt32 { UInt32(bytes[place + index]) & 0x3f }
    switch length {
    case 1: return lead
    case 2: return (lead & 0x1f) << 6 | next(1)
    case 3: return (lead & 0x0f) << 12 | next(1) << 6 | next(2)
    default: return min((lead & 0x07) << 18 | next(1) << 12 | next(2) << 6 | next(3), 0x10ffff)
    }
  }

  /// The scalar that ends before `place`, and where it begins. `place` must not be 0.
  static func scalar(_ bytes: UnsafeBufferPointer<UInt8>, before place: Int) -> (scalar: UInt32, start: Int) {
    var start = place - 1
    while start > 0, bytes[start] & 0xc0 == 0x80 { start -= 1 }
    var end = start
    return (scalar(bytes, &end), start)
  }

  /// Bytes of the scalar that begins with `lead`.
  @inline(__always)
  static func length(_ lead: UInt8) -> Int { lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4 }

  /// Writes a scalar at `out` and returns its bytes' number; `out` must have room for four.
  @inline(__always)
  static func write(_ scalar: UInt32, to out: UnsafeMutablePointer<UInt8>) -> Int {
    func put(_ index: Int, _ bits: UInt32) { out[index] = UInt8(truncatingIfNeeded: bits) }
    if scalar < 0x80 {
      put(0, scalar)
      return 1
    }
    if scalar < 0x800 {
      put(0, 0xc0 | scalar >> 6)
      put(1, 0x80 | scalar & 0x3f)
      return 2
    }
    if scalar < 0x10000 {
      put(0, 0xe0 | scalar >> 12)
      put(1, 0x80 | scalar >> 6 & 0x3f)
      put(2, 0x80 | scalar & 0x3f)
      return 3
    }
    put(0, 0xf0 | scalar >> 18)
    put(1, 0x80 | scalar >> 12 & 0x3f)
    put(2, 0x80 | scalar >> 6 & 0x3f)
    put(3, 0x80 | scalar & 0x3f)
    return 4
  }

  static func append(_ scalar: UInt32, to bytes: inout [UInt8]) {
    if scalar < 0x80 { return bytes.append(UInt8(scalar)) }
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 4) { room in
      guard let out = room.baseAddress else { return }
      bytes.append(contentsOf: room.prefix(write(scalar, to: out)))
    }
  }
}
