import Testing

@testable import Inference

@Suite("JSON is read strictly")
struct JSONTests {
  private static func parse(_ text: String) throws -> JSONValue {
    try JSONValue(parsing: Array(text.utf8), limits: JSONLimits(bytes: 1000, depth: 5, values: 50))
  }

  @Test("what RFC 8259 allows")
  func accepts() throws {
    #expect(try Self.parse(" null ") == .null)
    #expect(try Self.parse("[true,false,\"\"]") == .array([.bool(true), .bool(false), .string("")]))
    #expect(try Self.parse(#""\"\\\/\b\f\n\r\té\ud83d\ude00\u0000""#).string == "\"\\/\u{8}\u{c}\n\r\té😀\0")
    #expect(
      try Self.parse("-0.5e+3").double == -500 && Self.parse("12").integer == 12 && Self.parse("12.0").integer == nil)
    let object = try #require(try Self.parse("{\"b\":1,\"a\":{}}").object)
    #expect(object.members.map(\.name) == ["b", "a"] && object["c"] == nil)
  }

  @Test("names that differ in bytes are different, though Swift takes them for equal strings")
  func canonicalEquivalence() throws {
    let object = try #require(try Self.parse("{\"\u{e9}\":1,\"e\u{301}\":2}").object)
    #expect(object["\u{e9}"]?.integer == 1 && object["e\u{301}"]?.integer == 2)
  }

  @Test(
    "what it does not",
    arguments: [
      "", " ", "nul", "nulll", "True", "+1", "01", "1.", ".5", "1e", "-", "- 1", "0x1", "NaN", "\"", "\"\\x\"",
      "\"\\u12\"",
      "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\n\"", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{",
      "{\"a\"",
      "{\"a\":", "{\"a\":1,}", "{a:1}", "{\"a\" 1}", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "1 2",
      "[[[[[[1]]]]]]", "'a'",
      "\u{feff}1", "/**/1",
    ])
  func refuses(text: String) {
    #expect(throws: JSONError.self) { try Self.parse(text) }
  }

  @Test("no more bytes, values or digits than allowed")
  func limits() {
    #expect(throws: JSONError.self) { try Self.parse(String(repeating: " ", count: 1000) + "1") }
    #expect(throws: JSONError.self) { try Self.parse("[" + String(repeating: "1,", count: 60) + "1]") }
    #expect(throws: JSONError.self) { try Self.parse(String(repeating: "1", count: 65)) }
    #expect(throws: JSONError.self) {
      try JSONValue(parsing: [0x22, 0xff, 0x22], limits: JSONLimits(bytes: 10, values: 1))
    }
  }
}
