import Wire

/// A JSON value to write: what `--json` prints. Objects keep the order in which they were given.
package indirect enum JSONLine: Sendable, Equatable {
  case null
  case bool(Bool)
  case unsigned(UInt64)
  case signed(Int64)
  case double(Double)
  case text(String)
  case array([JSONLine])
  case object([(String, JSONLine)])

  /// A text, or null.
  package static func optional(_ text: String?) -> JSONLine { text.map { .text($0) } ?? .null }
  /// A number, or null.
  package static func optional(_ number: UInt64?) -> JSONLine { number.map { .unsigned($0) } ?? .null }

  package static func == (left: JSONLine, right: JSONLine) -> Bool { left.encoded == right.encoded }

  /// One line, without its newline.
  package var encoded: String {
    switch self {
    case .null: "null"
    case .bool(let value): value ? "true" : "false"
    case .unsigned(let value): String(value)
    case .signed(let value): String(value)
    case .double(let value): value.isFinite ? String(value) : "null"
    case .text(let text): String(decoding: Self.string(text), as: UTF8.self)
    case .array(let values): "[\(values.map(\.encoded).joined(separator: ","))]"
    case .object(let members):
      "{\(members.map { JSONLine.text($0.0).encoded + ":" + $0.1.encoded }.joined(separator: ","))}"
    }
  }

  /// A JSON string (RFC 8259 §7).
  package static func string(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = [UInt8(ascii: "\"")]
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
      case 0..<0x20, 0x7F: bytes += Array("\\u00\(Hex.encode([byte]))".utf8)
      default: bytes.append(byte)
      }
    }
    return bytes + [UInt8(ascii: "\"")]
  }
}
