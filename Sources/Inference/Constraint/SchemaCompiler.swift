/// Makes a grammar of a JSON schema. A keyword that is not held to is refused by its name, never passed over; where a
/// schema says less than a grammar must know, the grammar allows less than the schema: what it lets through is valid.
struct SchemaCompiler {
  private let document: JSONValue
  private var nodes: [JSONGrammar.Node] = []
  private var references: [String: Int] = [:]
  private var anything: Int?
  private var literalBytes = 0
  private var nesting = 0

  /// - Parameter schema: nil for any JSON object.
  static func grammar(_ schema: JSONValue?) throws(SchemaError) -> JSONGrammar {
    var compiler = SchemaCompiler(
      schema ?? .object(JSONObject(members: [.init(name: "type", value: .string("object"))])))
    let root = try compiler.reference("#", at: "#")
    return try JSONGrammar(nodes: compiler.nodes, root: root)
  }

  private init(_ document: JSONValue) { self.document = document }

  /// Keywords that say nothing about what is valid. `format` is one of them, as the standard has it.
  private static let annotations: Set<String> = [
    "$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly",
    "format", "contentEncoding", "contentMediaType", "$defs", "definitions",
  ]
  /// Keywords that are about values of one type only, and that type.
  private static let typed: [String: String] = [
    "properties": "object", "required": "object", "additionalProperties": "object", "items": "array",
    "minItems": "array", "maxItems": "array", "uniqueItems": "array", "minLength": "string", "maxLength": "string",
    "minimum": "number", "maximum": "number", "exclusiveMinimum": "number", "exclusiveMaximum": "number",
  ]
  private static let types = ["object", "array", "string", "number", "integer", "boolean", "null"]

  private mutating func add(_ node: JSONGrammar.Node, _ path: String) throws(SchemaError) -> Int {
    guard nodes.count < SchemaLimits.nodes else { throw SchemaError(path, "more than \(SchemaLimits.nodes) parts") }
    nodes.append(node)
    return nodes.count - 1
  }

  // MARK: references

  /// The node of a schema that a pointer names; it is compiled once, and may hold itself.
  private mutating func reference(_ pointer: String, at path: String) throws(SchemaError) -> Int {
    if let known = references[pointer] { return known }
    guard let schema = try target(pointer, path) else { throw SchemaError(path, "`$ref` leads nowhere") }
    let node = try add(.any([]), path)
    references[pointer] = node
    nodes[node] = .any([try compile(schema, pointer)])
    return node
  }

  private func target(_ pointer: String, _ path: String) throws(SchemaError) -> JSONValue? {
    guard pointer == "#" || pointer.hasPrefix("#/"), pointer.utf8.count <= 1024, !pointer.utf8.contains(0x25) else {
      throw SchemaError(path, "`$ref` must be `#` or a plain pointer within the schema, as `#/$defs/name`")
    }
    var value = document
    for part in pointer.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
      let name = part.replacing("~1", with: "/").replacing("~0", with: "~")
      guard let next = value.object?[String(name)] else { return nil }
      value = next
    }
    return value
  }

  // MARK: schemas

  private mutating func compile(_ schema: JSONValue, _ path: String) throws(SchemaError) -> Int {
    nesting += 1
    defer { nesting -= 1 }
    guard nesting <= SchemaLimits.nesting else {
      throw SchemaError(path, "schemas nested deeper than \(SchemaLimits.nesting)")
    }
    switch schema {
    case .bool(true): return try anyValue(path)
    case .bool(false): return try add(.never, path)
    case .object(let object): return try compile(object, path)
    default: throw SchemaError(path, "a schema is an object, true or false, not \(schema.kind)")
    }
  }

  private mutating func compile(_ schema: JSONObject, _ path: String) throws(SchemaError) -> Int {
    let keywords = schema.members.map(\.name).filter { !Self.annotations.contains($0) }
    for keyword in keywords
    where Self.typed[keyword] == nil && !["type", "enum", "const", "anyOf", "allOf", "$ref"].contains(keyword) {
      throw SchemaError(path, "the keyword `\(keyword.prefix(64))` is not held to")
    }
    for alone in ["$ref", "anyOf", "allOf"] where keywords.contains(alone) && keywords.count > 1 {
      throw SchemaError(path, "`\(alone)` must stand alone, without `\(keywords.first { $0 != alone } ?? "")`")
    }
    if let value = schema["$ref"] {
      guard let pointer = value.string else { throw SchemaError(path, "`$ref` must be a text") }
      return try reference(pointer, at: path)
    }
    if let value = schema["anyOf"] ?? schema["allOf"] {
      let name = schema["anyOf"] == nil ? "allOf" : "anyOf"
      guard let schemas = value.array, !schemas.isEmpty else { throw SchemaError(path, "`\(name)` must be a list") }
      guard name == "anyOf" || schemas.count == 1 else { throw SchemaError(path, "`allOf` of several is not held to") }
      var choices: [Int] = []
      for (index, schema) in schemas.enumerated() { choices.append(try compile(schema, "\(path)/\(name)/\(index)")) }
      return try add(.any(choices), path)
    }
    if let values = schema["const"].map({ [$0] }) ?? schema["enum"]?.array {
      guard keywords.allSatisfy({ ["type", "enum", "const"].contains($0) }) else {
        throw SchemaError(path, "`enum` and `const` stand beside `type` only")
      }
      return try literals(values, schema, path)
    }
    guard schema["enum"] == nil else { throw SchemaError(path, "`enum` must be a list") }
    let types = try types(schema, path) ?? implied(keywords)
    guard !types.isEmpty else { return try anyValue(path) }
    var choices: [Int] = []
    for type in types { choices.append(try compile(type, schema, path)) }
    return choices.count == 1 ? choices[0] : try add(.any(choices), path)
  }

  /// Types that are allowed; nil where none is said.
  private func types(_ schema: JSONObject, _ path: String) throws(SchemaError) -> [String]? {
    guard let value = schema["type"] else { return nil }
    let names = value.string.map { [$0] } ?? value.array?.compactMap(\.string) ?? []
    guard !names.isEmpty, names.allSatisfy(Self.types.contains), Set(names).count == names.count,
      names.count == value.array?.count ?? 1
    else { throw SchemaError(path, "`type` must be one or several of \(Self.types.joined(separator: ", "))") }
    // Every integer is a number.
    return names.contains("number") ? names.filter { $0 != "integer" } : names
  }

  /// The types that keywords speak of, where none is said: the others are valid, and not written.
  private func implied(_ keywords: [String]) -> [String] {
    let spoken = Set(keywords.compactMap { Self.typed[$0] })
    return Self.types.filter(spoken.contains)
  }

  private mutating func compile(_ type: String, _ schema: JSONObject, _ path: String) throws(SchemaError) -> Int {
    switch type {
    case "object": return try object(schema, path)
    case "array": return try array(schema, path)
    case "string":
      let least = try count("minLength", schema, path) ?? 0
      return try add(.string(least: least, most: try count("maxLength", schema, path)), path)
    case "boolean": return try add(.literals(["false", "true"].map { Array($0.utf8) }), path)
    case "null": return try add(.literals([Array("null".utf8)]), path)
    default: return try add(.number(try NumberRange(schema, isInteger: type == "integer", path)), path)
    }
  }

  private func count(_ name: String, _ schema: JSONObject, _ path: String) throws(SchemaError) -> Int? {
    guard let value = schema[name] else { return nil }
    guard let count = value.integer, (0...SchemaLimits.count).contains(count) else {
      throw SchemaError(path, "`\(name)` must be an integer from 0 to \(SchemaLimits.count)")
    }
    return count
  }

  /// Any JSON value.
  private mutating func anyValue(_ path: String) throws(SchemaError) -> Int {
    if let anything { return anything }
    let node = try add(.any([]), path)
    anything = node
    let words = ["false", "null", "true"].map { Array($0.utf8) }
    nodes[node] = .any([
      try add(.string(least: 0, most: nil), path), try add(.number(.free), path), try add(.literals(words), path),
      try add(.array(item: node, least: 0, most: nil), path),
      try add(.object(.init(properties: [], others: node)), path),
    ])
    return node
  }

  // MARK: kinds of values

  private mutating func array(_ schema: JSONObject, _ path: String) throws(SchemaError) -> Int {
    if let unique = schema["uniqueItems"], unique != .bool(false) {
      throw SchemaError(path, "the keyword `uniqueItems` is not held to")
    }
    let item: Int
    if let items = schema["items"] { item = try compile(items, path + "/items") } else { item = try anyValue(path) }
    let least = try count("minItems", schema, path) ?? 0
    let most = try count("maxItems", schema, path)
    return try add(.array(item: item, least: least, most: most), path)
  }

  private mutating func object(_ schema: JSONObject, _ path: String) throws(SchemaError) -> Int {
    let properties = schema["properties"] ?? .object(JSONObject(members: []))
    guard let members = properties.object else { throw SchemaError(path, "`properties` must be an object") }
    let required = schema["required"]?.array?.compactMap(\.string) ?? []
    guard required.count == schema["required"]?.array?.count ?? (schema["required"] == nil ? 0 : -1) else {
      throw SchemaError(path, "`required` must be a list of names")
    }
    guard members.members.count + required.count <= SchemaLimits.properties else {
      throw SchemaError(path, "more than \(SchemaLimits.properties) properties")
    }
    let others: Int?
    switch schema["additionalProperties"] {
    case .bool(false)?: others = nil
    case .bool(true)?: others = try anyValue(path)
    case let other?: others = try compile(other, path + "/additionalProperties")
    // The standard lets any member pass. Where properties are named these are what is wanted.
    case nil: others = members.members.isEmpty ? try anyValue(path) : nil
    }
    let names = Set(required.map { Array($0.utf8) })
    var list: [JSONGrammar.Object.Property] = []
    for member in members.members {
      let value = try compile(member.value, "\(path)/properties/\(member.name.prefix(64))")
      list.append(try property(member.name, value, names.contains(Array(member.name.utf8)), path))
    }
    for name in required where !list.contains(where: { $0.name == Array(name.utf8) }) {
      // It is required and not described: it may hold what other members may.
      var value = schema["additionalProperties"] == nil ? try anyValue(path) : others
      if value == nil { value = try add(.never, path) }
      list.append(try property(name, value ?? 0, true, path))
    }
    return try add(.object(.init(properties: list, others: others)), path)
  }

  private mutating func property(
    _ name: String, _ value: Int, _ isRequired: Bool, _ path: String
  ) throws(SchemaError) -> JSONGrammar.Object.Property {
    var text = JSONText(reserving: name.utf8.count + 4)
    text.string(name)
    text.raw(":")
    try pay(text.bytes.count, path)
    return .init(name: Array(name.utf8), literal: text.bytes, value: value, isRequired: isRequired)
  }

  private mutating func pay(_ bytes: Int, _ path: String) throws(SchemaError) {
    literalBytes += bytes
    guard literalBytes <= SchemaLimits.literalBytes else {
      throw SchemaError(path, "more than \(SchemaLimits.literalBytes) bytes of names and values")
    }
  }

  private mutating func literals(
    _ values: [JSONValue], _ schema: JSONObject, _ path: String
  ) throws(SchemaError) -> Int {
    guard values.count <= SchemaLimits.choices else {
      throw SchemaError(path, "more than \(SchemaLimits.choices) values of `enum`")
    }
    guard schema["const"] == nil || schema["enum"] == nil else {
      throw SchemaError(path, "`enum` and `const` beside one another")
    }
    let types = try types(schema, path)
    var texts: [[UInt8]] = []
    for value in values where types.map({ $0.contains { value.is($0) } }) ?? true {
      var text = JSONText()
      text.value(value)
      try pay(text.bytes.count, path)
      texts.append(text.bytes)
    }
    texts.sort { $0.lexicographicallyPrecedes($1) }
    let unique = texts.enumerated().filter { $0.offset == 0 || texts[$0.offset - 1] != $0.element }.map(\.element)
    return try add(.literals(unique), path)
  }
}

extension JSONValue {
  /// Whether it is of a type, by the schema's name of it.
  fileprivate func `is`(_ type: String) -> Bool {
    switch self {
    case .null: type == "null"
    case .bool: type == "boolean"
    case .string: type == "string"
    case .array: type == "array"
    case .object: type == "object"
    case .number: type == "number" || type == "integer" && double.map { $0 == $0.rounded() } ?? false
    }
  }
}
