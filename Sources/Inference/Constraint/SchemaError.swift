/// Why a JSON schema is refused: what is not held to is never passed over.
package struct SchemaError: Error, Equatable, CustomStringConvertible {
  /// Where in the schema, as `#/properties/name`.
  package let path: String
  /// What is wrong, naming the keyword.
  package let reason: String

  init(_ path: String, _ reason: String) {
    self.path = path
    self.reason = reason
  }

  package var description: String { "\(path.utf8.count > 300 ? "…" + path.suffix(290) : path): \(reason)" }
}

/// How much a schema may ask for.
package enum SchemaLimits {
  /// Bytes of a schema's text.
  package static let bytes = 256 << 10
  /// Nodes of the compiled grammar.
  static let nodes = 5000
  /// Properties of one object.
  static let properties = 500
  /// Values of one `enum`.
  static let choices = 2000
  /// Bytes of all texts that stand as they are: names and the values of `enum` and `const`.
  static let literalBytes = 1 << 20
  /// Greatest `maxLength`, `maxItems` and the like.
  static let count = 1 << 20
  /// Arrays and objects inside one another in the output.
  static let depth = 24
  /// Schemas inside one another.
  static let nesting = 48
}
