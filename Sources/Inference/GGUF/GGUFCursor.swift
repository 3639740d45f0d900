/// Reads little-endian numbers, strings and values from a file's beginning, within its bounds.
struct GGUFCursor {
  enum Failure: Error {
    /// The bytes end here: of a file that arrives in pieces, more are needed.
    case end
    case refused(String)
  }

  /// Elements of all arrays of one file. Vocabularies and merges have hundreds of thousands.
  static let elementLimit = 1 << 22
  /// Arrays within arrays.
  static let depthLimit = 4

  private let bytes: UnsafeRawBufferPointer
  /// Bytes that are read.
  private(set) var offset = 0
  private var elements = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  private var left: Int { bytes.count - offset }

  mutating func take(_ count: Int) throws(Failure) -> UnsafeRawBufferPointer {
    guard count <= left else { throw .end }
    defer { offset += count }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
  }

  mutating func number<Number: FixedWidthInteger & BitwiseCopyable>(_: Number.Type) throws(Failure) -> Number {
    Number(littleEndian: try take(MemoryLayout<Number>.size).loadUnaligned(as: Number.self))
  }

  /// A string of at most `limit` bytes.
  mutating func string(limit: Int) throws(Failure) -> UnsafeRawBufferPointer {
    let length = try number(UInt64.self)
    guard length <= UInt64(limit) else { throw .refused("is a string of \(length) bytes, over \(limit)") }
    return try take(Int(length))
  }

  /// A value of the type of this number.
  mutating func value(_ type: UInt32) throws(Failure) -> GGUFValue {
    switch type {
    case 0: return .unsigned(UInt64(try number(UInt8.self)))
    case 1: return .signed(Int64(try number(Int8.self)))
    case 2: return .unsigned(UInt64(try number(UInt16.self)))
    case 3: return .signed(Int64(try number(Int16.self)))
    case 4: return .unsigned(UInt64(try number(UInt32.self)))
    case 5: return .signed(Int64(try number(Int32.self)))
    case 6: return .float(Double(try float()))
    case 7: return .bool(try bool())
    case 8: return .string(Array(try string(limit: GGUFHeader.lengthLimit)))
    case 9: return .array(try array(depth: 1))
    case 10: return .unsigned(try number(UInt64.self))
    case 11: return .signed(try number(Int64.self))
    case 12: return .float(try double())
    default: throw .refused("has the unknown type \(type)")
    }
  }

  private mutating func float() throws(Failure) -> Float { Float(bitPattern: try number(UInt32.self)) }

  private mutating func double() throws(Failure) -> Double { Double(bitPattern: try number(UInt64.self)) }

  private mutating func bool() throws(Failure) -> Bool {
    let byte = try number(UInt8.self)
    guard byte <= 1 else { throw .refused("has a truth value that is \(byte)") }
    return byte == 1
  }

  private mutating func array(depth: Int) throws(Failure) -> GGUFArray {
    guard depth <= Self.depthLimit else { throw .refused("has arrays nested deeper than \(Self.depthLimit)") }
    let (type, count) = (try number(UInt32.self), try number(UInt64.self))
    guard count <= UInt64(Self.elementLimit - elements) else {
      throw .refused("has an array of \(count) elements, with which there are more than \(Self.elementLimit)")
    }
    elements += Int(count)
    switch type {
    case 0: return .unsigned(try all(count, size: 1) { (c) throws(Failure) in UInt64(try c.number(UInt8.self)) })
    case 1: return .signed(try all(count, size: 1) { (c) throws(Failure) in Int64(try c.number(Int8.self)) })
    case 2: return .unsigned(try all(count, size: 2) { (c) throws(Failure) in UInt64(try c.number(UInt16.self)) })
    case 3: return .signed(try all(count, size: 2) { (c) throws(Failure) in Int64(try c.number(Int16.self)) })
    case 4: return .unsigned(try all(count, size: 4) { (c) throws(Failure) in UInt64(try c.number(UInt32.self)) })
    case 5: return .signed(try all(count, size: 4) { (c) throws(Failure) in Int64(try c.number(Int32.self)) })
    case 6: return .floats(try all(count, size: 4) { (c) throws(Failure) in Double(try c.float()) })
    case 7: return .bools(try all(count, size: 1) { (c) throws(Failure) in try c.bool() })
    case 8:
      guard Int(count) <= left / 8 else { throw .end }
      var strings = GGUFStrings()
      for _ in 0..<count { strings.append(try string(limit: GGUFHeader.lengthLimit)) }
      return .strings(strings)
    case 9: return .arrays(try all(count, size: 12) { (c) throws(Failure) in try c.array(depth: depth + 1) })
    case 10: return .unsigned(try all(count, size: 8) { (c) throws(Failure) in try c.number(UInt64.self) })
    case 11: return .signed(try all(count, size: 8) { (c) throws(Failure) in try c.number(Int64.self) })
    case 12: return .floats(try all(count, size: 8) { (c) throws(Failure) in try c.double() })
    default: throw .refused("has an array of the unknown type \(type)")
    }
  }

  /// `count` elements of at least `size` bytes each: nothing is allocated for what the bytes cannot hold.
  private mutating func all<Element>(
    _ count: UInt64, size: Int, _ read: (inout GGUFCursor) throws(Failure) -> Element
  ) throws(Failure) -> [Element] {
    guard Int(count) <= left / size else { throw .end }
    var elements: [Element] = []
    elements.reserveCapacity(Int(count))
    for _ in 0..<count { elements.append(try read(&self)) }
    return elements
  }
}
