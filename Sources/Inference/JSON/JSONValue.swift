/// A parsed JSON value (RFC 8259). Object members keep their order; names are unique.
package enum JSONValue: Sendable, Equatable {
  case null
  case bool(Bool)
  /// The number's own text, checked against the grammar: nothing is lost to rounding.
  case number(String)
  case string(String)
  case array([JSONValue])
  case object(JSONObject)

  /// Reads a whole JSON text. Throws `JSONError` for anything else, and when a limit is passed.
  package init(parsing bytes: some Collection<UInt8>, limits: JSONLimits) throws(JSONError) {
    self = try JSONParser.parse(Array(bytes), limits: limits)
  }

  /// The string, when it is one.
  package var string: String? {
    if case .string(let value) = self { value } else { nil }
  }

  /// The truth value, when it is one.
  package var bool: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  /// The number as an integer, when it is written as one and fits.
  package var integer: Int? {
    if case .number(let text) = self { Int(text) } else { nil }
  }

  /// The number in double precision, when it is finite there.
  package var double: Double? {
    guard case .number(let text) = self, let value = Double(text), value.isFinite else { return nil }
    return value
  }

  /// The elements, when it is an array.
  package var array: [JSONValue]? {
    if case .array(let value) = self { value } else { nil }
  }

  /// The members, when it is an object.
  package var object: JSONObject? {
    if case .object(let value) = self { value } else { nil }
  }

  /// What it is, for error messages.
  package var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

/// An object's members in the order of the text.
package struct JSONObject: Sendable, Equatable {
  /// One name and its value.
  package struct Member: Sendable, Equatable {
    package let name: String
    package let value: JSONValue
  }

  /// All members; no two names have the same bytes.
  package let members: [Member]

  /// The value of a name, compared byte by byte (Swift would take `é` and `e` + accent for equal); nil when absent.
  package subscript(name: String) -> JSONValue? {
    members.first { $0.name.utf8.elementsEqual(name.utf8) }?.value
  }
}

/// How much a JSON text may ask of its reader.
package struct JSONLimits: Sendable {
  /// Bytes of the whole text.
  package let bytes: Int
  /// Arrays and objects inside one another.
  package let depth: Int
  /// Values in all.
  package let values: Int

  package init(bytes: Int, depth: Int = 32, values: Int) {
    self.bytes = bytes
    self.depth = depth
    self.values = values
  }
}

/// Why a text is not the JSON that was expected, and at which byte.
package struct JSONError: Error, Equatable, CustomStringConvertible {
  /// What was wrong; never quotes the text, which may be secret.
  package let reason: String
  /// Bytes before the fault.
  package let offset: Int

  package var description: String { "\(reason) at byte \(offset)" }
}
