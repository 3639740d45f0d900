import FoundationEssentials

/// Any JSON, for reading policies strictly: what is not understood must be refused, which synthesised decoding ignores.
enum JSONValue: Decodable, Equatable {
  case null
  case bool(Bool)
  case number(Double)
  case text(String)
  case array([JSONValue])
  case object([String: JSONValue])

  init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if value.decodeNil() {
      self = .null
    } else if let bool = try? value.decode(Bool.self) {
      self = .bool(bool)
    } else if let number = try? value.decode(Double.self) {
      self = .number(number)
    } else if let text = try? value.decode(String.self) {
      self = .text(text)
    } else if let array = try? value.decode([JSONValue].self) {
      self = .array(array)
    } else {
      self = .object(try value.decode([String: JSONValue].self))
    }
  }

  /// One text, or several.
  var texts: [String]? {
    switch self {
    case .text(let text): [text]
    // A condition's values may be written as true and false.
    case .bool(let bool): [bool ? "true" : "false"]
    case .array(let items):
      items.reduce(into: [String]?([])) { texts, item in
        guard case .text(let text) = item else { return texts = nil }
        texts?.append(text)
      }
    default: nil
    }
  }
}
