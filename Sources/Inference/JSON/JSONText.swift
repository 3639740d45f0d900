/// Writes JSON as bytes, without blanks, in one way only: the same values give the same bytes.
struct JSONText {
  private(set) var bytes: [UInt8] = []

  init(reserving count: Int = 256) { bytes.reserveCapacity(count) }

  /// Appends text that is JSON already.
  mutating func raw(_ text: String) { bytes.append(contentsOf: text.utf8) }

  /// Appends a string, escaping only what RFC 8259 §7 demands.
  mutating func string(_ text: String) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
      case 0x0a: raw("\\n")
      case 0x0d: raw("\\r")
      case 0x09: raw("\\t")
      case 0..<0x20: bytes += Array("\\u00".utf8) + [Self.hex[Int(byte >> 4)], Self.hex[Int(byte & 15)]]
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }

  /// As much of a text's start as ``string(_:)`` writes in so many bytes, without the quotes.
  static func start(of text: String, bytes: Int) -> String {
    var taken = 0
    for index in text.unicodeScalars.indices {
      let scalar = text.unicodeScalars[index]
      switch scalar {
      case "\"", "\\", "\n", "\r", "\t": taken += 2
      default: taken += scalar.value < 0x20 ? 6 : UTF8.width(scalar)
      }
      guard taken <= bytes else { return String(text.unicodeScalars[..<index]) }
    }
    return text
  }

  /// Appends any value. Numbers are written as they were read.
  mutating func value(_ value: JSONValue) {
    switch value {
    case .null: raw("null")
    case .bool(let value): raw(value ? "true" : "false")
    case .number(let text): raw(text)
    case .string(let text): string(text)
    case .array(let items):
      raw("[")
      for (index, item) in items.enumerated() {
        if index > 0 { raw(",") }
        self.value(item)
      }
      raw("]")
    case .object(let object):
      raw("{")
      for (index, member) in object.members.enumerated() {
        if index > 0 { raw(",") }
        string(member.name)
        raw(":")
        self.value(member.value)
      }
      raw("}")
    }
  }

  private static let hex = Array("0123456789abcdef".utf8)
}
