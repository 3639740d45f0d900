/// Reads one CBOR data item (RFC 8949) from hostile bytes.
///
/// Refused in every mode: trailing bytes, duplicate keys, invalid UTF-8, nesting over ``Limits/cborDepth``, counts over
/// ``Limits/cborElements`` or over what the remaining bytes can hold, floating point, undefined and unassigned values.
/// A length is compared with the bytes that remain before anything is allocated for it.
package struct CBORDecoder {
  /// How much of RFC 8949 is accepted.
  package enum Mode: Sendable {
    /// Only the deterministic encoding of §4.2.1: shortest heads, definite lengths, keys in bytewise order.
    case deterministic
    /// Any well-formed item, indefinite lengths too; for attestation documents, whose payload map has been seen both ways.
    case lenient
  }

  private let bytes: ArraySlice<UInt8>
  private var position: Int
  private let mode: Mode

  private init(_ bytes: ArraySlice<UInt8>, _ mode: Mode) {
    self.bytes = bytes
    self.position = bytes.startIndex
    self.mode = mode
  }

  /// The one item that `bytes` are.
  ///
  /// - Throws: ``WireError`` with the reason and the offset.
  package static func decode(_ bytes: some Collection<UInt8>, mode: Mode = .deterministic) throws -> CBOR {
    var decoder = CBORDecoder(ArraySlice(Array(bytes)), mode)
    let item = try decoder.item(depth: 0)
    guard decoder.position == decoder.bytes.endIndex else { throw decoder.malformed("trailing bytes") }
    return item
  }

  /// The first item of a CBOR sequence (RFC 8742) in `bytes`; returns it and how many bytes it took.
  package static func decodeFirst(_ bytes: ArraySlice<UInt8>, mode: Mode = .deterministic) throws -> (CBOR, Int) {
    var decoder = CBORDecoder(bytes, mode)
    let item = try decoder.item(depth: 0)
    return (item, decoder.position - bytes.startIndex)
  }

  private func malformed(_ reason: String) -> WireError {
    .malformed("CBOR: \(reason) at byte \(position - bytes.startIndex)")
  }

  private mutating func byte() throws -> UInt8 {
    guard position < bytes.endIndex else { throw WireError.truncated("CBOR at byte \(position - bytes.startIndex)") }
    defer { position += 1 }
    return bytes[position]
  }

  private mutating func take(_ count: UInt64) throws -> ArraySlice<UInt8> {
    guard count <= UInt64(bytes.endIndex - position) else {
      throw WireError.truncated("CBOR string at byte \(position - bytes.startIndex)")
    }
    defer { position += Int(count) }
    return bytes[position..<position + Int(count)]
  }

  /// The argument of an initial byte; nil is an indefinite length.
  private mutating func argument(_ low: UInt8) throws -> UInt64? {
    let width: Int
    switch low {
    case 0..<24: return UInt64(low)
    case 24: width = 1
    case 25: width = 2
    case 26: width = 4
    case 27: width = 8
    case 31:
      guard mode == .lenient else { throw malformed("indefinite length") }
      return nil
    default: throw malformed("reserved additional information \(low)")
    }
    var value: UInt64 = 0
    for _ in 0..<width { value = value << 8 | UInt64(try byte()) }
    let smallest: UInt64 = width == 1 ? 24 : 1 << UInt64(width * 4)
    guard mode == .lenient || value >= smallest else { throw malformed("a number that is not in its shortest form") }
    return value
  }

  private mutating func item(depth: Int) throws -> CBOR {
    guard depth < Limits.cborDepth else { throw malformed("nesting deeper than \(Limits.cborDepth)") }
    let initial = try byte()
    let major = initial >> 5
    let low = initial & 31
    switch major {
    case 0, 1:
      guard let value = try argument(low) else { throw malformed("an indefinite number") }
      return major == 0 ? .unsigned(value) : .negative(value)
    case 2: return .bytes(try string(low, major))
    case 3:
      guard let text = String(validating: try string(low, major), as: UTF8.self) else {
        throw malformed("invalid UTF-8")
      }
      return .text(text)
    case 4: return try array(low, depth)
    case 5: return try map(low, depth)
    case 6:
      guard let tag = try argument(low) else { throw malformed("an indefinite tag") }
      return .tagged(tag, try item(depth: depth + 1))
    default:
      switch low {
      case 20: return .bool(false)
      case 21: return .bool(true)
      case 22: return .null
      default: throw malformed("simple value or floating point \(low)")
      }
    }
  }

  private mutating func string(_ low: UInt8, _ major: UInt8) throws -> [UInt8] {
    if let count = try argument(low) { return Array(try take(count)) }
    var whole: [UInt8] = []
    while true {
      let initial = try byte()
      if initial == 0xFF { return whole }
      guard initial >> 5 == major, let count = try argument(initial & 31) else {
        throw malformed("a chunk of another type in an indefinite string")
      }
      let chunk = try take(count)
      guard major == 2 || String(validating: chunk, as: UTF8.self) != nil else { throw malformed("invalid UTF-8") }
      whole += chunk
    }
  }

  /// Whether another element follows; takes the break of an indefinite length.
  private mutating func more(_ count: UInt64?, have: Int) throws -> Bool {
    guard have < Limits.cborElements || count == UInt64(have) else { throw malformed("too many elements") }
    if let count { return UInt64(have) < count }
    guard position < bytes.endIndex, bytes[position] == 0xFF else { return true }
    position += 1
    return false
  }

  private func check(count: UInt64?, bytesEach: UInt64) throws {
    guard let count else { return }
    guard count <= UInt64(Limits.cborElements) else { throw malformed("too many elements") }
    // Nothing is allocated for elements that cannot be there; in a sequence they may still be to come.
    guard count * bytesEach <= UInt64(bytes.endIndex - position) else {
      throw WireError.truncated("CBOR: more elements than bytes at byte \(position - bytes.startIndex)")
    }
  }

  private mutating func array(_ low: UInt8, _ depth: Int) throws -> CBOR {
    let count = try argument(low)
    try check(count: count, bytesEach: 1)
    var items: [CBOR] = []
    while try more(count, have: items.count) { items.append(try item(depth: depth + 1)) }
    return .array(items)
  }

  private mutating func map(_ low: UInt8, _ depth: Int) throws -> CBOR {
    let count = try argument(low)
    try check(count: count, bytesEach: 2)
    var pairs: [CBOR.Pair] = []
    var seen: Set<[UInt8]> = []
    var last: ArraySlice<UInt8> = []
    while try more(count, have: pairs.count) {
      let start = position
      let key = try item(depth: depth + 1)
      let encoded = bytes[start..<position]
      // In lenient mode two spellings of one key are still one key, so equality is judged on the canonical form.
      guard seen.insert(mode == .lenient ? key.encoded() : Array(encoded)).inserted else {
        throw malformed("duplicate key")
      }
      if mode == .deterministic {
        guard pairs.isEmpty || last.lexicographicallyPrecedes(encoded) else { throw malformed("keys out of order") }
        last = encoded
      }
      pairs.append(CBOR.Pair(key, try item(depth: depth + 1)))
    }
    return .map(pairs)
  }
}
