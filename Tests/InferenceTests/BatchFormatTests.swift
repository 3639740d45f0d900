import TestSupport
import Testing

@testable import Inference

@Suite("Batch lines")
struct BatchFormatTests {
  private static func item(_ line: String, _ format: LineFormat = .openAI) throws -> InputItem {
    try InputItem(parsing: Array(line.utf8), line: 7, format: format)
  }

  private static func line(_ body: String) -> String {
    #"{"custom_id":"r1","method":"POST","url":"/v1/embeddings","body":{"model":"m"\#(body)}}"#
  }

  @Test("an OpenAI line and an id line are read")
  func reads() throws {
    #expect(
      try Self.item(Self.line(#","input":"tëxt\n","encoding_format":"float","dimensions":384,"user":"u""#))
        == InputItem(line: 7, id: "r1", text: "tëxt\n", encoding: .float, dimensions: 384, model: "m"))
    #expect(try Self.item(Self.line(#","input":["one"]"#)) == InputItem(line: 7, id: "r1", text: "one", model: "m"))
    #expect(
      try Self.item(#"{"id":"a/b.txt","text":"\ud83d\ude00"}"#, .idText) == InputItem(line: 7, id: "a/b.txt", text: "😀")
    )
    #expect(try LineFormat.detect(firstLine: Array(Self.line(#","input":"x""#).utf8)) == .openAI)
    #expect(try LineFormat.detect(firstLine: [0xef, 0xbb, 0xbf] + Array(#"{"id":"a","text":""}"#.utf8)) == .idText)
    #expect(throws: InputLineError.self) { try LineFormat.detect(firstLine: Array("{}".utf8)) }
  }

  @Test(
    "each fault has its code and names its parameter",
    arguments: [
      ("", .invalidJSON, nil), ("[]", .invalidJSON, nil), ("{\"custom_id\":\"r1\"} {}", .invalidJSON, nil),
      (#"{"custom_id":"r1","custom_id":"r2"}"#, .invalidJSON, nil),
      (#"{"method":"POST"}"#, .missingParameter, "custom_id"), (#"{"custom_id":5}"#, .invalidType, "custom_id"),
      (#"{"custom_id":""}"#, .invalidValue, "custom_id"), (#"{"custom_id":"r1","x":1}"#, .unknownParameter, "x"),
      (#"{"custom_id":"r1","method":"GET"}"#, .invalidValue, "method"),
      (#"{"custom_id":"r1","method":"POST","url":"/v1/chat/completions"}"#, .unsupportedURL, "url"),
      (#"{"custom_id":"r1","method":"POST","url":"/v1/embeddings"}"#, .missingParameter, "body"),
      (#"{"custom_id":"r1","method":"POST","url":"/v1/embeddings","body":1}"#, .invalidType, "body"),
      (line(""), .missingParameter, "body.input"), (line(#","input":5"#), .invalidType, "body.input"),
      (line(#","input":[1,2]"#), .unsupportedInput, "body.input"),
      (line(#","input":["a","b"]"#), .unsupportedInput, "body.input"),
      (line(#","input":[]"#), .unsupportedInput, "body.input"), (line(#","input":"\ud83d""#), .invalidJSON, nil),
      (line(#","input":"x","temperature":1"#), .unknownParameter, "body.temperature"),
      (line(#","input":"x","encoding_format":"hex""#), .invalidValue, "body.encoding_format"),
      (line(#","input":"x","dimensions":0"#), .invalidValue, "body.dimensions"),
      (line(#","input":"x","dimensions":1.5"#), .invalidValue, "body.dimensions"),
    ] as [(String, InputLineError.Code, String?)])
  func faults(text: String, code: InputLineError.Code, param: String?) throws {
    let error = try #require(throws: InputLineError.self) { try Self.item(text) }
    #expect(error.code == code && error.param == param && error.line == 7, "\(error)")
  }

  @Test("bytes that are no UTF-8, deep nesting, long lines and long ids are refused")
  func bounds() throws {
    let invalid = Array(#"{"id":"a","text":""#.utf8) + [0xc3, 0x28] + Array("\"}".utf8)
    #expect(
      try #require(throws: InputLineError.self) { try InputItem(parsing: invalid, line: 1, format: .idText) }.code
        == .invalidUTF8)
    let deep = #"{"id":"# + String(repeating: "[", count: 100_000)
    #expect(try #require(throws: InputLineError.self) { try Self.item(deep, .idText) }.code == .invalidJSON)
    let id = #"{"id":"\#(String(repeating: "i", count: 513))","text":""}"#
    #expect(try #require(throws: InputLineError.self) { try Self.item(id, .idText) }.param == "id")
    let long = LineSplitter.Line(number: 3, bytes: nil)
    #expect(try #require(throws: InputLineError.self) { try InputItem(long, format: .idText) }.code == .lineTooLong)
    let item = InputItem(line: 2, id: "a", text: "", dimensions: 100)
    #expect(try #require(throws: InputLineError.self) { try item.check(dimensions: 384) }.param == "body.dimensions")
    try InputItem(line: 2, id: "a", text: "", dimensions: 384).check(dimensions: 384)
  }

  @Test("a pair is read where it is asked for, and refused where it has no use")
  func pairs() throws {
    let pair = try Self.item(#"{"id":"a","text":"q","text_pair":"p"}"#, .idText)
    #expect(pair.text == "q" && pair.pair == "p")
    let single = try Self.item(#"{"id":"a","text":"q"}"#, .idText)
    let openAI = InputItem(line: 1, id: "a", text: "q", model: "m")
    try single.check(.embed)
    try single.check(.classify)
    try pair.check(.classify)
    try pair.check(.score)
    #expect(try #require(throws: InputLineError.self) { try pair.check(.embed) }.code == .unsupportedInput)
    #expect(try #require(throws: InputLineError.self) { try single.check(.score) }.code == .missingParameter)
    #expect(try #require(throws: InputLineError.self) { try openAI.check(.classify) }.code == .unsupportedURL)
    for line in [#"{"id":"a","text":"q","text_pair":7}"#, #"{"id":"a","text":"q","text_pair":null}"#] {
      #expect(try #require(throws: InputLineError.self) { try Self.item(line, .idText) }.code == .invalidType)
    }
  }

  @Test("scores read back as they were written, and a line that names another label than the highest does not")
  func scores() throws {
    let line = OutputLine.ScoresLine(
      index: 4, customID: "ü", model: "m", scores: [0.25, 0.7, 1e-9], labels: ["a", "b \"", "c"], tokens: 3,
      truncated: true)
    #expect(try OutputLine(parsing: line.encoded()) == .scores(line) && line.best == "b \"")
    let score = OutputLine.ScoresLine(
      index: 0, customID: "1", model: "m", scores: [-3.5], labels: nil, tokens: 2, truncated: false)
    #expect(try OutputLine(parsing: score.encoded()) == .scores(score))
    let text = String(decoding: line.encoded(), as: UTF8.self)
    #expect(text.contains(#""data":[{"object":"classification","index":0,"label":"b \"","scores":[{"label":"a","#))
    for (part, other) in [(#""label":"b \"","scores""#, #""label":"a","scores""#), ("0.25", "1e99"), ("0.7", "\"x\"")] {
      let changed = Array(text.replacing(part, with: other).utf8)
      #expect(throws: OutputLineError.self) { try OutputLine(parsing: changed) }
    }
  }

  @Test("lines are cut alike wherever the stream is cut; blank ones count but are not given")
  func splitter() {
    let text = Array("one\n\n  \r\ntwo\r\n0123456789\n01234567890\nlast".utf8)
    let expected: [(Int, String?)] = [(1, "one"), (4, "two\r"), (5, "0123456789"), (6, nil), (7, "last")]
    for size in 1...text.count {
      var splitter = LineSplitter(limit: 10)
      var lines: [LineSplitter.Line] = []
      for start in stride(from: 0, to: text.count, by: size) { lines += splitter.feed(text[start...].prefix(size)) }
      if let last = splitter.finish() { lines.append(last) }
      #expect(lines.map(\.number) == expected.map(\.0))
      #expect(lines.map(\.bytes) == expected.map { $0.1.map { Array($0.utf8) } })
    }
    var ended = LineSplitter()
    #expect(ended.feed(Array("a\n".utf8)).count == 1 && ended.finish() == nil)
  }

  @Test("output lines have OpenAI's members, byte for byte, and read back")
  func output() throws {
    let line = OutputLine.EmbeddingLine(
      index: 0, customID: "r\"1\u{1}", model: "m", embedding: [0.1, -2, 1e-9], tokens: 3, truncated: true)
    let head =
      #"{"id":"batch_req_1","custom_id":"r\"1\u0001","response":{"status_code":200,"request_id":"req_1","#
      + #""body":{"object":"list","data":[{"object":"embedding","index":0,"embedding":"#
    let tail = #","truncated":true}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}},"error":null}"#
    #expect(String(decoding: line.encoded(.float), as: UTF8.self) == head + "[0.1,-2.0,1e-09]" + tail)
    #expect(String(decoding: line.encoded(.base64), as: UTF8.self) == head + #""zczMPQAAAMBfcIkw""# + tail)
    for encoding in EmbeddingEncoding.allCases {
      #expect(try OutputLine(parsing: line.encoded(encoding)) == .embedding(line))
      #expect(try OutputLine(parsing: line.encoded(encoding) + Array("   ".utf8)) == .embedding(line))
    }
    let error = OutputLine.ErrorLine(index: 2, customID: nil, code: "invalid_json", message: "no \\ good")
    let written =
      #"{"id":"batch_req_3","custom_id":null,"response":null,"error":{"code":"invalid_json","message":"no \\ good"}}"#
    #expect(String(decoding: error.encoded(), as: UTF8.self) == written)
    #expect(try OutputLine(parsing: error.encoded()) == .error(error))
  }

  @Test("both encodings give back every float, bit for bit")
  func exactness() throws {
    var random = SeededGenerator(seed: 5)
    let floats = (0..<2000).map { _ in Float(bitPattern: UInt32.random(in: 0..<0x7f80_0000, using: &random)) }
    let line = OutputLine.EmbeddingLine(
      index: 41, customID: "x", model: "m",
      embedding: floats + [0, -0.0, .leastNonzeroMagnitude, .greatestFiniteMagnitude],
      tokens: 1, truncated: false)
    for encoding in EmbeddingEncoding.allCases {
      guard case .embedding(let read) = try OutputLine(parsing: line.encoded(encoding)) else {
        Issue.record("not an embedding")
        continue
      }
      #expect(read.embedding.map(\.bitPattern) == line.embedding.map(\.bitPattern) && read.index == 41)
    }
  }

  @Test("result lines that the worker did not write are refused, whatever byte is wrong")
  func hostileOutput() throws {
    let line = OutputLine.EmbeddingLine(
      index: 0, customID: "a", model: "m", embedding: [1, 2], tokens: 3, truncated: false
    ).encoded(.base64)
    for place in line.indices {
      for bit in 0..<8 {
        var changed = line
        changed[place] ^= 1 << bit
        _ = try? OutputLine(parsing: changed)
      }
      #expect(throws: OutputLineError.self) { try OutputLine(parsing: Array(line[..<place])) }
    }
  }

  @Test("an id line that is written is read back")
  func idText() throws {
    for text in ["", "plain", "\"\\\u{0}\u{1f}\n\r\t\u{7f}é😀\u{2028}", "e\u{301}"] {
      let item = try InputItem(parsing: InputItem.idTextLine(id: "é/\"x", text: text), line: 1, format: .idText)
      #expect(item.text.utf8.elementsEqual(text.utf8) && item.id == "é/\"x")
    }
  }
}
