/// A strict reader of RFC 8259: bounded in size, depth and count, UTF-8 checked, no duplicate names, nothing behind the
/// value. Recursion goes no deeper than `JSONLimits.depth`.
struct JSONParser {
  private let bytes: [UInt8]
  private let limits: JSONLimits
  private var position = 0
  private var values = 0

  static func parse(_ bytes: [UInt8], limits: JSONLimits) throws(JSONError) -> JSONValue {
    guard bytes.count <= limits.bytes else {
      throw JSONError(reason: "longer than \(limits.bytes) bytes", offset: limits.bytes)
    }
    var parser = JSONParser(bytes: bytes, limits: limits)
    let value = try parser.value(depth: 0)
    parser.skipBlanks()
    guard parser.position == bytes.count else { throw parser.error("text behind the JSON value") }
    return value
  }

  private init(bytes: [UInt8], limits: JSONLimits) {
    self.bytes = bytes
    self.limits = limits
  }

  private func error(_ reason: String) -> JSONError { JSONError(reason: reason, offset: position) }

  /// The byte at the position, or nil at the end.
  private var byte: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipBlanks() {
    while let b = byte, b == 0x20 || b == 0x09 || b == 0x0a || b == 0x0d { position += 1 }
  }

  private mutating func take(_ expected: UInt8, _ reason: String) throws(JSONError) {
    guard byte == expected else { throw error(reason) }
    position += 1
  }

  private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    skipBlanks()
    values += 1
    guard values <= limits.values else { throw error("more than \(limits.values) values") }
    switch byte {
    case UInt8(ascii: "{"):
      guard depth < limits.depth else { throw error("nested deeper than \(limits.depth)") }
      return .object(try object(depth: depth + 1))
    case UInt8(ascii: "["):
      guard depth < limits.depth else { throw error("nested deeper than \(limits.depth)") }
      return .array(try array(depth: depth + 1))
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case nil: throw error("the JSON text ends early")
    default: return .number(try number())
    }
  }

  private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
    let end = position + word.utf8CodeUnitCount
    guard end <= bytes.count else { throw error("not a JSON value") }
    for i in 0..<word.utf8CodeUnitCount where bytes[position + i] != word.utf8Start[i] {
      throw error("not a JSON value")
    }
    position = end
    return value
  }

  private mutating func array(depth: Int) throws(JSONError) -> [JSONValue] {
    position += 1
    var elements: [JSONValue] = []
    skipBlanks()
    if byte == UInt8(ascii: "]") {
      position += 1
      return elements
    }
    while true {
      elements.append(try value(depth: depth))
      skipBlanks()
      if byte == UInt8(ascii: "]") {
        position += 1
        return elements
      }
      try take(UInt8(ascii: ","), "expected `,` or `]`")
    }
  }

  private mutating func object(depth: Int) throws(JSONError) -> JSONObject {
    position += 1
    var members: [JSONObject.Member] = []
    var names = Set<[UInt8]>()
    skipBlanks()
    if byte == UInt8(ascii: "}") {
      position += 1
      return JSONObject(members: members)
    }
    while true {
      skipBlanks()
      guard byte == UInt8(ascii: "\"") else { throw error("expected a member's name") }
      let name = try string()
      guard names.insert(Array(name.utf8)).inserted else { throw error("a member's name stands twice") }
      skipBlanks()
      try take(UInt8(ascii: ":"), "expected `:`")
      members.append(JSONObject.Member(name: name, value: try value(depth: depth)))
      skipBlanks()
      if byte == UInt8(ascii: "}") {
        position += 1
        return JSONObject(members: members)
      }
      try take(UInt8(ascii: ","), "expected `,` or `}`")
    }
  }

  private mutating func number() throws(JSONError) -> String {
    let start = position
    if byte == UInt8(ascii: "-") { position += 1 }
    guard let b = byte, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(b) else { throw error("not a JSON value") }
    if byte == UInt8(ascii: "0") { position += 1 } else { try digits() }
    if byte == UInt8(ascii: ".") {
      position += 1
      try digits()
    }
    if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
      position += 1
      if byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") { position += 1 }
      try digits()
    }
    guard position - start <= 64 else { throw error("a number of more than 64 digits") }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func digits() throws(JSONError) {
    let start = position
    while let b = byte, b >= UInt8(ascii: "0"), b <= UInt8(ascii: "9") { position += 1 }
    guard position > start else { throw error("expected a digit") }
  }

  private mutating func string() throws(JSONError) -> String {
    position += 1
    var text: [UInt8] = []
    var plain = position
    while true {
      guard let b = byte else { throw error("a string without its end") }
      switch b {
      case UInt8(ascii: "\""):
        text.append(contentsOf: bytes[plain..<position])
        guard let string = String(validating: text, as: UTF8.self) else { throw error("a string that is not UTF-8") }
        position += 1
        return string
      case UInt8(ascii: "\\"):
        text.append(contentsOf: bytes[plain..<position])
        position += 1
        try escape(into: &text)
        plain = position
      case 0..<0x20: throw error("a control character inside a string")
      default: position += 1
      }
    }
  }

  private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
    guard let b = byte else { throw error("a string without its end") }
    position += 1
    switch b {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(b)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0c)
    case UInt8(ascii: "n"): text.append(0x0a)
    case UInt8(ascii: "r"): text.append(0x0d)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var code = try fourHexDigits()
      if (0xd800..<0xdc00).contains(code), byte == UInt8(ascii: "\\") {
        position += 1
        try take(UInt8(ascii: "u"), "half of a surrogate pair")
        let low = try fourHexDigits()
        guard (0xdc00..<0xe000).contains(low) else { throw error("half of a surrogate pair") }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw error("half of a surrogate pair") }
      text.append(contentsOf: String(Character(scalar)).utf8)
    default: throw error("an unknown escape")
    }
  }

  private mutating func fourHexDigits() throws(JSONError) -> UInt32 {
    guard bytes.count - position >= 4 else { throw error("a string without its end") }
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue, bytes[position] < 0x80 else {
        throw error("expected four hexadecimal digits")
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }
}
