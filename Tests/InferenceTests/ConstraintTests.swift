import FoundationEssentials
import TestSupport
import Testing

@testable import Inference

/// A vocabulary of all bytes and of pieces that JSON is made of, many of which go over a border.
enum ConstraintVocabulary {
  static let pieces: [String] = [
    "\"", "{\"", "\":", "\": ", "\": \"", "\",\"", "\", \"", "\"}", "\"]", "}}", "]}", "},", "],",
    "[[", "{}", "[]", "[\"",
    "true", "false", "null", "tr", "ue", "nul", "12", "123", "-1", "0.", ".5", "1e", "e+", ",\"",
    ", \"", "\n", "\n  ", "  ",
    "\":{\"", "\":1,\"", "name", "age", "tags", "na", "me\"", "a\":1,\"a", "kind", "é", "😀", "\\u",
    "\\n", "\\\"", "ab", "abc",
    "\"a\":", "{\"name\":\"", "value", "left", "right", "\":[", "1,", "1}", "1]", "\"b\"", "x\":",
  ]
  static let tokens: [[UInt8]?] =
    (0...255).map { [UInt8($0)] } + pieces.map { Array($0.utf8) } + [nil, nil, [0xf0, 0x9f], []]
  static let prefixes = TokenPrefixes(TokenBytes(tokens))
}

@Suite("Constrained JSON")
struct ConstraintTests {
  private static func json(_ text: String) throws -> JSONValue {
    try JSONValue(parsing: Array(text.utf8), limits: JSONLimits(bytes: 1 << 20, values: 100_000))
  }

  private static func source(_ schema: String?) throws -> JSONConstraintSource {
    try JSONConstraintSource(schema: try schema.map(json), prefixes: ConstraintVocabulary.prefixes)
  }

  /// Whether a text can be written, byte by byte, and may end then.
  private static func accepts(_ source: JSONConstraintSource, _ text: String) -> Bool {
    var constraint = source.constraint()
    for byte in text.utf8 {
      var mask = TokenMask(count: ConstraintVocabulary.prefixes.count)
      constraint.allowed(into: &mask)
      guard mask.contains(Int32(byte)) else { return false }
      constraint.advance(Int32(byte))
    }
    return constraint.mayEnd
  }

  private static let person =
    #"{"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":5},"age":{"type":"integer","#
    + #""minimum":0,"maximum":130},"tags":{"type":"array","items":{"enum":["ab","abc","é"]},"maxItems":2},"#
    + #""note":{"type":["string","null"]}},"required":["name","tags"],"additionalProperties":false}"#

  @Test("what is valid can be written, and nothing else")
  func accepted() throws {
    let person = try Self.source(Self.person)
    for text in [
      #"{"name":"a","tags":[]}"#,
      #"{ "name": "é😀", "age": 130, "tags": ["ab", "abc"], "note": null }"#,
      "{\n  \"name\": \"\\u00e9\\ud83d\\ude00\\n\",\n  \"tags\": [\n    \"é\"\n  ],\n  \"note\": \"\"\n}",
      #"{"name":"a","age":0,"tags":["abc"]}"#,
    ] {
      #expect(Self.accepts(person, text), "\(text)")
      _ = try Self.json(text)
    }
    for text in [
      "", "{}", #"{"name":"","tags":[]}"#, #"{"name":"abcdef","tags":[]}"#, #"{"name":"a"}"#,
      #"{"tags":[],"name":"a"}"#,
      #"{"name":"a","age":131,"tags":[]}"#, #"{"name":"a","age":-1,"tags":[]}"#,
      #"{"name":"a","age":01,"tags":[]}"#,
      #"{"name":"a","age":1.0,"tags":[]}"#, #"{"name":"a","tags":["ab","ab","ab"]}"#,
      #"{"name":"a","tags":["a"]}"#,
      #"{"name":"a","tags":[],}"#, #"{"name":"a","tags":[],"x":1}"#, #"{"name":"a","tags":[]} "#,
      #"{"name":"\ud83d","tags":[]}"#,
      "{\"name\":\"a\u{1}\",\"tags\":[]}", #"{"name":"a","tags":[],"note":1}"#,
      #"{"name":"a","name":"a","tags":[]}"#, #"  {"name""#,
    ] {
      #expect(!Self.accepts(person, text), "\(text)")
    }
  }

  @Test("any object, with names of its own that stand once each")
  func free() throws {
    let any = try Self.source(nil)
    for text in [
      "{}", #"{"a":1}"#, #"{"a":{"a":{"a":[1,-0.5e+3,true,null,"x",[],{}]}},"b":"é","ab":0}"#,
      #"{"a":[{"b":1},{"b":2}]}"#,
    ] {
      #expect(Self.accepts(any, text), "\(text)")
    }
    for text in [
      "[]", "1", #""a""#, #"{"a":1,"a":2}"#, #"{"a":1,"b":{"a":1,"c":2,"a":3}}"#, #"{"":1}"#,
      #"{"a":01}"#, #"{"a":1e}"#, #"{"a":1.}"#,
      #"{"a":+1}"#, #"{"a":nul}"#, #"{"a":'x'}"#, #"{a:1}"#, #"{"a":1,}"#, #"{"a" 1}"#,
      #"{"\u0061":1}"#,
      String(repeating: #"{"a":"#, count: 40),
    ] {
      #expect(!Self.accepts(any, text), "\(text)")
    }
    let others = try Self.source(
      #"{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"],"additionalProperties":{"type":"boolean"}}"#
    )
    #expect(
      Self.accepts(others, #"{"id":1,"x":true,"idx":false}"#) && Self.accepts(others, #"{"id":1}"#))
    for text in [
      #"{"id":1,"id":true}"#, #"{"x":true,"id":1}"#, #"{"id":1,"x":true,"x":false}"#,
      #"{"id":1,"x":1}"#,
    ] {
      #expect(!Self.accepts(others, text), "\(text)")
    }
  }

  @Test(
    "numbers keep to their bounds, whichever way they are written",
    arguments: [
      (
        #"{"type":"integer","minimum":-12,"maximum":105}"#, ["-12", "-1", "0", "9", "99", "105"],
        ["-13", "-20", "106", "110", "200", "1000", "-0", "00", "1.0", "1e1"]
      ),
      (
        #"{"type":"integer","exclusiveMinimum":1.5,"exclusiveMaximum":4}"#, ["2", "3"],
        ["1", "4", "20", "-2"]
      ),
      (
        #"{"type":"number","minimum":0,"maximum":1}"#,
        ["0", "1", "0.5", "0.000001", "1.0", "0.999999"],
        ["1.000001", "1.5", "-0.1", "2", "0.0000001", "1e0", "0."]
      ),
      (
        #"{"type":"number","exclusiveMinimum":-0.25,"maximum":1000000000000}"#,
        ["-0.249999", "0", "1000000000000", "999999999999.999999"],
        ["-0.25", "-1", "1000000000001", "-0"]
      ),
      (
        #"{"type":"number"}"#, ["0", "-0", "1.5e10", "-12.25e-3", "1e5"],
        ["1E5", "1e100", ".5", "--1", "01"]
      ),
      (
        #"{"type":"integer","minimum":9007199254740990}"#, ["9007199254740991"],
        ["9007199254740989", "9007199254740992", "90071992547409910"]
      ),
      (
        #"{"enum":[1,12,2.5,"x",null,{"a":[1]}],"type":["number","object"]}"#,
        ["1", "12", "2.5", #"{"a":[1]}"#], ["2", "123", "null", #""x""#]
      ),
    ])
  func numbers(schema: String, valid: [String], invalid: [String]) throws {
    let source = try Self.source(schema)
    for text in valid { #expect(Self.accepts(source, text), "\(text)") }
    for text in invalid { #expect(!Self.accepts(source, text), "\(text)") }
  }

  @Test("schemas that hold themselves, choices, and values that must be just so")
  func references() throws {
    let tree = try Self.source(
      ##"{"$defs":{"node":{"type":"object","properties":{"value":{"type":"integer"},"left":{"$ref":"#/$defs/node"},"##
        + ##""right":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["value"],"additionalProperties":false}},"##
        + ##""$ref":"#/$defs/node"}"##)
    #expect(Self.accepts(tree, #"{"value":1,"left":{"value":2,"right":null},"right":{"value":3}}"#))
    #expect(!Self.accepts(tree, #"{"value":1,"left":null}"#))
    let shapes = try Self.source(
      #"{"anyOf":[{"type":"object","properties":{"kind":{"const":"a"},"x":{"type":"integer"}},"required":["kind","x"]},"#
        + #"{"type":"object","properties":{"kind":{"const":"ab"},"y":{"type":"string"}},"required":["kind","y"]}]}"#
    )
    #expect(
      Self.accepts(shapes, #"{"kind":"a","x":1}"#) && Self.accepts(shapes, #"{"kind":"ab","y":""}"#)
    )
    #expect(
      !Self.accepts(shapes, #"{"kind":"ab","x":1}"#)
        && !Self.accepts(shapes, #"{"kind":"a","y":""}"#))
  }

  @Test("an automaton that grew too large gives way to a new one, which knows what was written")
  func bounded() throws {
    let source = try Self.source(nil)
    var constraint = source.constraint()
    var arenas = 1
    constraint.advance(Int32(UInt8(ascii: "{")))
    for member in 0..<300 {
      let arena = source.arena()
      let added = "\(member > 0 ? "," : "")\"a-name-of-the-text-\(member)\":1"
      for byte in added.utf8 { constraint.advance(Int32(byte)) }
      #expect(arena.bytes < 2 * JSONAutomaton.bytesLimit)
      if source.arena() !== arena { arenas += 1 }
    }
    #expect(arenas > 1)
    var again = constraint
    for byte in #","a-name-of-the-text-0":1}"#.utf8 { again.advance(Int32(byte)) }
    #expect(!again.mayEnd)
    constraint.advance(Int32(UInt8(ascii: "}")))
    #expect(constraint.mayEnd)
  }

  @Test(
    "what is not held to is refused by its name, and so is what allows nothing",
    arguments: [
      (#"{"type":"string","pattern":"a+"}"#, "#: the keyword `pattern`"),
      (#"{"oneOf":[{}]}"#, "the keyword `oneOf`"),
      (#"{"not":{}}"#, "the keyword `not`"),
      (#"{"type":"number","multipleOf":2}"#, "the keyword `multipleOf`"),
      (#"{"type":"array","uniqueItems":true}"#, "`uniqueItems`"),
      (#"{"type":"object","minProperties":1}"#, "`minProperties`"),
      (#"{"properties":{"a":{"if":{}}}}"#, "#/properties/a: the keyword `if`"),
      (#"{"type":"text"}"#, "`type` must be"),
      (##"{"$ref":"#/$defs/x"}"##, "leads nowhere"), (#"{"$ref":"http://x"}"#, "must be `#`"),
      ("5", "not a number"),
      (##"{"$ref":"#"}"##, "no value"), ("false", "no value"), (#"{"enum":[]}"#, "no value"),
      (#"{"type":"string","enum":[1]}"#, "no value"),
      (##"{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}"##, "no value"),
      (#"{"type":"integer","minimum":2,"maximum":1}"#, "no value"),
      (#"{"type":"array","minItems":2,"maxItems":1}"#, "no value"),
      (#"{"type":"string","minLength":2,"maxLength":1}"#, "no value"),
      (#"{"type":"string","minLength":-1}"#, "`minLength`"),
      (#"{"type":"number","minimum":0.0000001}"#, "`minimum` must be"),
      (#"{"type":"number","maximum":1e30}"#, "`maximum` must be"),
      (#"{"type":"number","maximum":9223372036854.9}"#, "`maximum` must be"),
      (#"{"type":"number","minimum":-9223372036854.775809}"#, "`minimum` must be"),
      (#"{"type":"number","maximum":9007199254740991.999999}"#, "`maximum` must be"),
      (#"{"type":"object","required":["a"],"additionalProperties":false}"#, "no value"),
      (#"{"required":5}"#, "`required`"),
      (#"{"anyOf":[{}],"type":"string"}"#, "must stand alone"),
      (#"{"enum":["a"],"minLength":3}"#, "beside `type` only"),
      (
        String(repeating: #"{"items":"#, count: 30) + "{}" + String(repeating: "}", count: 30),
        "no value that is nested"
      ),
    ])
  func refusals(schema: String, reason: String) throws {
    let value = try Self.json(schema)
    if reason == "no value that is nested" {
      // The innermost arrays may stay empty.
      #expect(throws: Never.self) {
        try JSONConstraintSource(schema: value, prefixes: ConstraintVocabulary.prefixes)
      }
      return
    }
    let error = try #require(throws: SchemaError.self) {
      try JSONConstraintSource(schema: value, prefixes: ConstraintVocabulary.prefixes)
    }
    #expect(error.description.contains(reason), "\(error)")
  }
}
