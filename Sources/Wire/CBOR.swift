/// A CBOR data item (RFC 8949), without floating point and without simple values other than false, true and null.
///
/// Maps keep their pairs in the order read or given; the encoder sorts them.
package indirect enum CBOR: Equatable, Sendable {
  /// Major type 0.
  case unsigned(UInt64)
  /// Major type 1: the value is −1 − n.
  case negative(UInt64)
  /// Major type 2.
  case bytes([UInt8])
  /// Major type 3, UTF-8.
  case text(String)
  /// Major type 4.
  case array([CBOR])
  /// Major type 5.
  case map([Pair])
  /// Major type 6.
  case tagged(UInt64, CBOR)
  /// Simple values 20 and 21.
  case bool(Bool)
  /// Simple value 22.
  case null

  /// One key and its value.
  package struct Pair: Equatable, Sendable {
    /// The key; within a map no two are equal.
    package let key: CBOR
    /// The value.
    package let value: CBOR

    /// A pair of a map.
    package init(_ key: CBOR, _ value: CBOR) {
      self.key = key
      self.value = value
    }
  }

  /// A map with text keys; a nil value leaves its key out.
  package static func object(_ pairs: [(String, CBOR?)]) -> CBOR {
    .map(pairs.compactMap { key, value in value.map { Pair(.text(key), $0) } })
  }

  /// A signed number as major type 0 or 1.
  package static func integer(_ value: Int64) -> CBOR {
    value >= 0 ? .unsigned(UInt64(value)) : .negative(UInt64(-1 - value))
  }
}

extension CBOR {
  /// The deterministic encoding of RFC 8949 §4.2.1: shortest heads, definite lengths, keys in bytewise order.
  ///
  /// Duplicate keys are the caller's fault; ``CBORDecoder`` refuses them, so such bytes never verify.
  package func encoded() -> [UInt8] {
    var out: [UInt8] = []
    encode(into: &out)
    return out
  }

  private func encode(into out: inout [UInt8]) {
    switch self {
    case .unsigned(let value): CBOR.head(0, value, &out)
    case .negative(let value): CBOR.head(1, value, &out)
    case .bytes(let bytes):
      CBOR.head(2, UInt64(bytes.count), &out)
      out += bytes
    case .text(let text):
      CBOR.head(3, UInt64(text.utf8.count), &out)
      out += text.utf8
    case .array(let items):
      CBOR.head(4, UInt64(items.count), &out)
      for item in items { item.encode(into: &out) }
    case .map(let pairs):
      CBOR.head(5, UInt64(pairs.count), &out)
      let entries = pairs.map { (key: $0.key.encoded(), value: $0.value) }
      for entry in entries.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
        out += entry.key
        entry.value.encode(into: &out)
      }
    case .tagged(let tag, let item):
      CBOR.head(6, tag, &out)
      item.encode(into: &out)
    case .bool(let value): out.append(value ? 0xF5 : 0xF4)
    case .null: out.append(0xF6)
    }
  }

  private static func head(_ major: UInt8, _ value: UInt64, _ out: inout [UInt8]) {
    let top = major << 5
    switch value {
    case 0..<24: out.append(top | UInt8(value))
    case 24..<0x100: out += [top | 24, UInt8(value)]
    case 0x100..<0x1_0000: out += [top | 25, UInt8(value >> 8), UInt8(value & 0xFF)]
    case 0x1_0000..<0x1_0000_0000:
      out.append(top | 26)
      for shift in stride(from: 24, through: 0, by: -8) {
        out.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
      }
    default:
      out.append(top | 27)
      for shift in stride(from: 56, through: 0, by: -8) {
        out.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
      }
    }
  }
}
