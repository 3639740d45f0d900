/// One value of a GGUF file's metadata. Integers of every width become 64 bits, floats become 64 bits; nothing is lost.
package enum GGUFValue: Sendable, Equatable {
  case unsigned(UInt64)
  case signed(Int64)
  case float(Double)
  case bool(Bool)
  /// Bytes as they stand; texts are UTF-8, which is checked where one is asked for.
  case string([UInt8])
  case array(GGUFArray)

  /// Of any integer type, when it fits.
  package var integer: Int? {
    switch self {
    case .unsigned(let value): Int(exactly: value)
    case .signed(let value): Int(exactly: value)
    default: nil
    }
  }

  /// Of any integer or float type; not finite ones.
  package var double: Double? {
    switch self {
    case .unsigned(let value): Double(value)
    case .signed(let value): Double(value)
    case .float(let value): value.isFinite ? value : nil
    default: nil
    }
  }

  package var bool: Bool? {
    guard case .bool(let value) = self else { return nil }
    return value
  }

  /// Nil, too, for a string that is not UTF-8.
  package var string: String? {
    guard case .string(let bytes) = self else { return nil }
    return String(validating: bytes, as: UTF8.self)
  }

  package var array: GGUFArray? {
    guard case .array(let array) = self else { return nil }
    return array
  }
}

/// An array of a GGUF file's metadata; its elements are all of one type.
package enum GGUFArray: Sendable, Equatable {
  case unsigned([UInt64])
  case signed([Int64])
  case floats([Double])
  case bools([Bool])
  case strings(GGUFStrings)
  case arrays([GGUFArray])

  package var count: Int {
    switch self {
    case .unsigned(let values): values.count
    case .signed(let values): values.count
    case .floats(let values): values.count
    case .bools(let values): values.count
    case .strings(let values): values.count
    case .arrays(let values): values.count
    }
  }

  /// Of any integer type, when all fit.
  package var integers: [Int]? {
    switch self {
    case .unsigned(let values):
      let integers = values.compactMap(Int.init(exactly:))
      return integers.count == values.count ? integers : nil
    case .signed(let values): return values.map(Int.init)
    default: return nil
    }
  }

  package var doubles: [Double]? {
    guard case .floats(let values) = self else { return nil }
    return values
  }

  package var strings: GGUFStrings? {
    guard case .strings(let values) = self else { return nil }
    return values
  }
}

/// Strings one behind the other: a vocabulary has hundreds of thousands.
package struct GGUFStrings: Sendable, Equatable {
  private var bytes: [UInt8] = []
  private var ends: [Int] = []

  package var count: Int { ends.count }

  /// The bytes of one.
  package subscript(index: Int) -> ArraySlice<UInt8> { bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]] }

  /// One as a text; nil when it is not UTF-8.
  package func text(_ index: Int) -> String? { String(validating: self[index], as: UTF8.self) }

  mutating func append(_ string: UnsafeRawBufferPointer) {
    bytes.append(contentsOf: string)
    ends.append(bytes.count)
  }
}
