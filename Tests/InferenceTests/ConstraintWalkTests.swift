import FoundationEssentials
import TestSupport
import Testing

@testable import Inference

/// Random generations under a constraint, token by token: they never run into a dead end, and what comes out parses and
/// is valid, by a checker that shares nothing with the automaton.
@Suite("Whatever is generated under a schema is valid")
struct ConstraintWalkTests {
  static let schemas: [String] = [
    #"{"type":"object"}"#, "true",
    #"{"type":"array","items":{"type":"integer","minimum":-5,"maximum":1200},"minItems":1,"maxItems":6}"#,
    #"{"type":"object","properties":{"name":{"type":"string","maxLength":12},"age":{"type":"integer","minimum":0},"#
      + #""score":{"type":"number","minimum":0,"maximum":1},"tags":{"type":"array","items":{"enum":["a","ab","abc","é\"\\"]}},"#
      + #""kind":{"const":{"a":[1,null]}}},"required":["score","kind"]}"#,
    #"{"type":"object","properties":{"a":{"type":"boolean"}},"additionalProperties":{"type":["null","string"],"minLength":2}}"#,
    ##"{"$defs":{"n":{"type":"object","properties":{"value":{"type":["integer","null"]},"left":{"$ref":"#/$defs/n"},"##
      + ##""right":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"array","items":{"$ref":"#/$defs/n"}}]}},"required":["value","right"]}},"$ref":"#/$defs/n"}"##,
    #"{"anyOf":[{"type":"object","properties":{"k":{"const":"x"},"v":{"type":"number"}},"required":["k","v"]},"#
      + #"{"type":"object","properties":{"k":{"const":"xy"},"w":{"type":"string","minLength":3,"maxLength":3}},"required":["k","w"]},{"type":"null"}]}"#,
  ]

  @Test(
    "an automaton that takes a full one's place allows the same, whatever the byte at which it does", arguments: schemas
  )
  func adoption(text: String) throws {
    let limits = JSONLimits(bytes: 1 << 20, depth: 64, values: 200_000)
    let grammar = try SchemaCompiler.grammar(JSONValue(parsing: Array(text.utf8), limits: limits))
    var random = SeededGenerator(seed: 4)
    for _ in 0..<20 {
      var automaton = JSONAutomaton(grammar)
      var (place, name) = (automaton.start(), [UInt8]())
      for _ in 0..<150 {
        let allowed = (UInt8.min...UInt8.max).filter { automaton.step(place, $0) >= 0 }
        var next = JSONAutomaton(grammar)
        place = next.adopt(place, of: automaton)
        automaton = next
        #expect((UInt8.min...UInt8.max).filter { automaton.step(place, $0) >= 0 } == allowed)
        // Mostly what has a meaning: of blanks there could be many.
        let meaning = allowed.filter { $0 > 0x20 && $0 < 0x7f }
        guard let byte = (meaning.isEmpty ? allowed : meaning).randomElement(using: &random) else { break }
        let isEnd = byte == UInt8(ascii: "\"") && automaton.readsOtherName(place)
        place = isEnd ? automaton.step(place, byte, name: name) : automaton.step(place, byte)
        if byte == UInt8(ascii: "\"") { name = [] } else if automaton.readsOtherName(place) { name.append(byte) }
      }
    }
  }

  @Test("random walks", arguments: schemas)
  func walks(text: String) throws {
    let limits = JSONLimits(bytes: 1 << 20, depth: 64, values: 200_000)
    let schema = try JSONValue(parsing: Array(text.utf8), limits: limits)
    let prefixes = ConstraintVocabulary.prefixes
    let source = try JSONConstraintSource(schema: schema, prefixes: prefixes)
    var random = SeededGenerator(seed: 3)
    var ended = 0
    for walk in 0..<120 {
      var constraint = source.constraint()
      var bytes: [UInt8] = []
      var tokens = 0
      while true {
        var mask = TokenMask(count: prefixes.count)
        constraint.allowed(into: &mask)
        var ids = (0..<Int32(prefixes.count)).filter(mask.contains)
        // After a while only what ends: a generation that always may go on would never be seen whole.
        if tokens > 40 {
          let closing = ids.filter { id in
            prefixes.tokens[id].allSatisfy { "]}\"".utf8.contains($0) }
          }
          if !closing.isEmpty, !Bool.random(using: &random) || tokens > 400 { ids = closing }
        }
        if constraint.mayEnd,
          ids.isEmpty || tokens > 40 || Int.random(in: 0..<4, using: &random) == 0
        {
          break
        }
        guard let id = ids.randomElement(using: &random) else {
          Issue.record("a dead end behind \(String(decoding: bytes, as: UTF8.self))")
          break
        }
        #expect(!prefixes.tokens.isControl(id))
        constraint.advance(id)
        bytes += prefixes.tokens[id]
        tokens += 1
        guard tokens < 3000 else { break }
      }
      guard constraint.mayEnd else { continue }
      ended += 1
      do {
        let value = try JSONValue(parsing: bytes, limits: limits)
        #expect(
          SchemaCheck(schema).holds(value, schema),
          "walk \(walk): \(String(decoding: bytes, as: UTF8.self))")
      } catch {
        Issue.record("walk \(walk): \(error): \(String(decoding: bytes, as: UTF8.self))")
      }
    }
    #expect(ended > 60, "\(ended) of 120 walks came to an end")
  }

  @Test(
    "one token or many, alone or among others, after a flush or before: what may come is the same")
  func sameAnswers() throws {
    let prefixes = ConstraintVocabulary.prefixes
    let schema = try JSONValue(
      parsing: Array(Self.schemas[4].utf8), limits: JSONLimits(bytes: 1 << 16, values: 1000))
    let shared = try JSONConstraintSource(schema: schema, prefixes: prefixes)
    var random = SeededGenerator(seed: 9)
    for _ in 0..<20 {
      let alone = try JSONConstraintSource(schema: schema, prefixes: prefixes)
      var (one, other) = (shared.constraint(), alone.constraint())
      for _ in 0..<60 {
        var (a, b) = (TokenMask(count: prefixes.count), TokenMask(count: prefixes.count))
        one.allowed(into: &a)
        other.allowed(into: &b)
        #expect(a == b && one.mayEnd == other.mayEnd)
        guard let id = (0..<Int32(prefixes.count)).filter(a.contains).randomElement(using: &random)
        else { break }
        one.advance(id)
        other.advance(id)
      }
    }
    // A configuration that moves to another automaton says the same there.
    let grammar = try SchemaCompiler.grammar(schema)
    var first = JSONAutomaton(grammar)
    var second = JSONAutomaton(grammar)
    var (place, moved) = (first.start(), second.start())
    let bytes = Array(#"{"a":true,"name":null,"#.utf8)
    var name: [UInt8] = []
    for byte in bytes {
      let ends = byte == UInt8(ascii: "\"") && first.readsOtherName(place)
      place = first.step(place, byte, name: ends ? name : nil)
      name = byte == UInt8(ascii: "\"") ? [] : name + [byte]
      moved = second.adopt(place, of: first)
    }
    for byte in UInt8.min...UInt8.max {
      #expect((first.step(place, byte) >= 0) == (second.step(moved, byte) >= 0))
    }
    var copy = moved
    for byte in Array(#""name"#.utf8) { copy = second.step(copy, byte) }
    #expect(
      copy >= 0 && second.step(copy, UInt8(ascii: "\"")) == JSONAutomaton.dead,
      "the name stands already")
  }
}

/// The meaning of the part of JSON Schema that is read, straight from the standard.
struct SchemaCheck {
  private let document: JSONValue
  init(_ document: JSONValue) { self.document = document }

  func holds(_ value: JSONValue, _ schema: JSONValue) -> Bool {
    guard let object = schema.object else { return schema != .bool(false) }
    return object.members.allSatisfy { holds(value, $0.name, $0.value, object) }
  }

  private func holds(
    _ value: JSONValue, _ keyword: String, _ argument: JSONValue, _ schema: JSONObject
  ) -> Bool {
    switch keyword {
    case "$ref":
      var target = document
      for part in (argument.string ?? "").split(separator: "/").dropFirst() {
        target = target.object?[String(part)] ?? .null
      }
      return holds(value, target)
    case "type": return (argument.array ?? [argument]).contains { isOf(value, $0.string ?? "") }
    case "const": return value == argument
    case "enum": return argument.array?.contains(value) ?? false
    case "anyOf": return argument.array?.contains { holds(value, $0) } ?? false
    case "minLength":
      return value.string.map { $0.unicodeScalars.count >= argument.integer ?? 0 } ?? true
    case "maxLength":
      return value.string.map { $0.unicodeScalars.count <= argument.integer ?? 0 } ?? true
    case "minimum": return value.double.map { $0 >= argument.double ?? 0 } ?? true
    case "maximum": return value.double.map { $0 <= argument.double ?? 0 } ?? true
    case "items": return value.array?.allSatisfy { holds($0, argument) } ?? true
    case "minItems": return value.array.map { $0.count >= argument.integer ?? 0 } ?? true
    case "maxItems": return value.array.map { $0.count <= argument.integer ?? 0 } ?? true
    case "required":
      return value.object.map { object in
        argument.array?.allSatisfy { object[$0.string ?? ""] != nil } ?? true
      } ?? true
    case "properties":
      return value.object?.members.allSatisfy { member in
        argument.object?[member.name].map { holds(member.value, $0) } ?? true
      } ?? true
    case "additionalProperties":
      return value.object?.members.allSatisfy { member in
        schema["properties"]?.object?[member.name] != nil || holds(member.value, argument)
      } ?? true
    case "$defs": return true
    default: return false
    }
  }

  private func isOf(_ value: JSONValue, _ type: String) -> Bool {
    switch value {
    case .null: type == "null"
    case .bool: type == "boolean"
    case .number: type == "number" || type == "integer" && value.integer != nil
    case .string: type == "string"
    case .array: type == "array"
    case .object: type == "object"
    }
  }
}
