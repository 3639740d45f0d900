/// The constraints of a job's items: items with one schema share what is found out about it.
package struct ConstraintCache {
  /// Schemas that are kept compiled, and as many may be at work at once. A job whose items have more of them compiles some
  /// again.
  static let limit = 4

  /// Bytes of all of these at most, each with what takes a full automaton's place.
  package static func bytesAtMost(vocabulary: Int) -> UInt64 {
    let automaton = JSONAutomaton.bytesLimit + JSONArena.masksLimit * ((vocabulary + 7) / 8)
    return UInt64(2 * limit * 2 * automaton)
  }

  private let prefixes: TokenPrefixes
  /// By the schema's own text; the last used is the last.
  private var sources: [(schema: [UInt8], source: JSONConstraintSource)] = []

  /// - Parameter prefixes: of the model's vocabulary.
  package init(prefixes: TokenPrefixes) { self.prefixes = prefixes }

  /// What holds an item's output to its `response_format`; nil where any text will do. Throws for a schema that is not
  /// held to, naming the part of it.
  package mutating func constraint(for item: GenerationItem) throws(InputLineError) -> JSONConstraint? {
    let schema: JSONValue?
    switch item.format {
    case .text: return nil
    case .jsonObject: schema = nil
    case .jsonSchema(let value): schema = value
    }
    var text = JSONText()
    if let schema { text.value(schema) }
    let param = "body.response_format.json_schema.schema"
    guard text.bytes.count <= SchemaLimits.bytes else {
      throw InputLineError(
        code: .invalidValue, message: "longer than \(SchemaLimits.bytes) bytes", param: param, line: item.line,
        id: item.id)
    }
    if let place = sources.firstIndex(where: { $0.schema == text.bytes }) {
      sources.append(sources.remove(at: place))
    } else {
      do {
        sources.append((text.bytes, try JSONConstraintSource(schema: schema, prefixes: prefixes)))
      } catch {
        throw InputLineError(
          code: .invalidValue, message: error.description, param: param, line: item.line, id: item.id)
      }
      if sources.count > Self.limit { sources.removeFirst() }
    }
    return sources[sources.count - 1].source.constraint()
  }
}
