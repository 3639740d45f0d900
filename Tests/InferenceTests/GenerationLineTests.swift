import TestSupport
import Testing

@testable import Inference

@Suite("Lines that ask for a text, and their answers")
struct GenerationLineTests {
  private static func item(_ text: String) throws -> GenerationItem {
    try GenerationItem(parsing: Array(text.utf8), line: 7)
  }

  private static func chat(_ more: String, messages: String = #"[{"role":"user","content":"hi"}]"#) -> String {
    let end = more.isEmpty ? "" : "," + more
    return
      #"{"custom_id":"r1","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":\#(messages)\#(end)}}"#
  }

  private static func completion(_ body: String) -> String {
    #"{"custom_id":"r1","method":"POST","url":"/v1/completions","body":{"model":"m",\#(body)}}"#
  }

  @Test("a conversation with all its settings, and a text without any")
  func reads() throws {
    let messages =
      #"[{"role":"system","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},"#
      + #"{"role":"user","content":"é","name":"ann"},{"role":"assistant","content":"","name":null}]"#
    let item = try Self.item(
      Self.chat(
        #""temperature":0,"top_p":0.5,"top_k":-1,"min_p":0.05,"seed":-1,"stop":"\n\n","max_completion_tokens":9,"n":1,"#
          + #""stream":false,"user":"u","presence_penalty":0,"frequency_penalty":0.0,"logprobs":null,"#
          + #""response_format":{"type":"json_schema","json_schema":{"name":"s","strict":true,"schema":{"type":"object"}}},"#
          + #""chat_template_kwargs":{"enable_thinking":false}"#, messages: messages))
    guard case .messages(let read, let settings?) = item.prompt else {
      Issue.record("not a conversation")
      return
    }
    #expect(
      read == [
        ChatMessage(role: "system", content: "a\nb"), ChatMessage(role: "user", content: "é", name: "ann"),
        ChatMessage(role: "assistant", content: ""),
      ])
    #expect(settings["enable_thinking"] == .bool(false) && item.id == "r1" && item.model == "m" && item.line == 7)
    #expect(item.format == .jsonSchema(.object(JSONObject(members: [.init(name: "type", value: .string("object"))]))))
    #expect(
      item.settings(seed: 5, maximumTokens: 100)
        == SamplingSettings(temperature: 0, topP: 0.5, minP: 0.05, seed: .max, maximumTokens: 9, stops: ["\n\n"]))
    let plain = try Self.item(Self.completion(#""prompt":["x"],"stop":["a","b"],"top_k":3"#))
    #expect(plain.prompt == .text("x") && plain.format == .text)
    #expect(
      plain.settings(seed: 5, maximumTokens: 100)
        == SamplingSettings(topK: 3, seed: 5, maximumTokens: 100, stops: ["a", "b"]))
    #expect(try Self.item(Self.chat(#""response_format":{"type":"json_object"}"#)).format == .jsonObject)
  }

  @Test(
    "each fault has its code and names its parameter",
    arguments: [
      ("{}", .missingParameter, "custom_id"),
      (#"{"custom_id":"r1","method":"POST","url":"/v1/embeddings","body":{}}"#, .unsupportedURL, "url"),
      (completion(#""prompt":"""#), .invalidValue, "body.prompt"),
      (completion(#""prompt":[1]"#), .unsupportedInput, "body.prompt"),
      (completion(#""prompt":["a","b"]"#), .unsupportedInput, "body.prompt"),
      (completion(#""n":1"#), .missingParameter, "body.prompt"),
      (completion(#""prompt":"x","messages":[]"#), .unknownParameter, "body.messages"),
      (completion(#""prompt":"x","echo":true"#), .unknownParameter, "body.echo"),
      (chat(#""tools":[]"#), .unknownParameter, "body.tools"),
      (chat(#""logit_bias":{}"#), .unknownParameter, "body.logit_bias"),
      (chat(#""n":2"#), .invalidValue, "body.n"), (chat(#""stream":true"#), .invalidValue, "body.stream"),
      (chat(#""presence_penalty":0.1"#), .invalidValue, "body.presence_penalty"),
      (chat(#""temperature":-1"#), .invalidValue, "body.temperature"),
      (chat(#""temperature":"1""#), .invalidValue, "body.temperature"),
      (chat(#""temperature":2.1"#), .invalidValue, "body.temperature"),
      (chat(#""top_p":0"#), .invalidValue, "body.top_p"),
      (chat(#""min_p":1.1"#), .invalidValue, "body.min_p"), (chat(#""top_k":-2"#), .invalidValue, "body.top_k"),
      (chat(#""seed":1.5"#), .invalidValue, "body.seed"), (chat(#""max_tokens":0"#), .invalidValue, "body.max_tokens"),
      (chat(#""max_tokens":131073"#), .invalidValue, "body.max_tokens"),
      (chat(#""max_tokens":1,"max_completion_tokens":2"#), .invalidValue, "body.max_completion_tokens"),
      (chat(#""stop":"""#), .invalidValue, "body.stop"), (chat(#""stop":[1]"#), .invalidValue, "body.stop"),
      (chat(#""stop":5"#), .invalidValue, "body.stop"),
      (chat(#""response_format":{"type":"xml"}"#), .invalidValue, "body.response_format.type"),
      (chat(#""response_format":{"type":"json_schema"}"#), .invalidType, "body.response_format.json_schema"),
      (
        chat(#""response_format":{"type":"json_schema","json_schema":{"name":"x"}}"#), .missingParameter,
        "body.response_format.json_schema.schema"
      ),
      (chat(#""response_format":{"type":"text","x":1}"#), .unknownParameter, "body.response_format.x"),
      (chat(#""chat_template_kwargs":{"messages":[]}"#), .invalidValue, "body.chat_template_kwargs"),
      (chat("", messages: "[]"), .invalidValue, "body.messages"),
      (chat("", messages: "null"), .missingParameter, "body.messages"),
      (chat("", messages: #"[{"role":"tool","content":"x"}]"#), .invalidValue, "body.messages[0].role"),
      (chat("", messages: #"[{"role":"user"}]"#), .missingParameter, "body.messages[0].content"),
      (chat("", messages: #"[{"role":"user","content":5}]"#), .invalidType, "body.messages[0].content"),
      (
        chat("", messages: #"[{"role":"user","content":"x","tool_calls":[]}]"#), .unknownParameter,
        "body.messages[0].tool_calls"
      ),
      (
        chat("", messages: #"[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]"#), .unsupportedInput,
        "body.messages[0].content[0].type"
      ),
    ] as [(String, InputLineError.Code, String?)])
  func faults(text: String, code: InputLineError.Code, param: String?) throws {
    let error = try #require(throws: InputLineError.self) { try Self.item(text) }
    #expect(error.code == code && error.param == param && error.line == 7, "\(error)")
  }

  @Test("answers are OpenAI's objects, byte for byte, read back, and say nothing of a clock")
  func answers() throws {
    let chat = OutputLine.CompletionLine(
      index: 0, customID: "r\"1", model: "m", isChat: true, text: "{\"a\":\n1}", finish: .stop, promptTokens: 12,
      outputTokens: 5)
    #expect(
      String(decoding: chat.encoded(), as: UTF8.self)
        == #"{"id":"batch_req_1","custom_id":"r\"1","response":{"status_code":200,"request_id":"req_1","body":{"id":"chatcmpl-1","#
        + #""object":"chat.completion","created":0,"model":"m","choices":[{"index":0,"message":{"role":"assistant","#
        + #""content":"{\"a\":\n1}","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"#
        + #""completion_tokens":5,"total_tokens":17}}},"error":null}"#)
    let text = OutputLine.CompletionLine(
      index: 41, customID: "é", model: "m", isChat: false, text: "", finish: .length, promptTokens: 1, outputTokens: 0,
      created: 1_772_539_389)
    #expect(
      String(decoding: text.encoded(), as: UTF8.self).contains(
        #""id":"cmpl-42","object":"text_completion","created":1772539389,"#))
    for line in [chat, text] { #expect(try OutputLine(parsing: line.encoded()) == .completion(line)) }
    let whole = String(decoding: chat.encoded(), as: UTF8.self)
    for (part, other) in [
      (#""total_tokens":17"#, #""total_tokens":18"#), ("\"stop\"", "\"done\""), (":12", ":-12"), ("[{", "[[{"),
    ] {
      #expect(throws: OutputLineError.self) { try OutputLine(parsing: Array(whole.replacing(part, with: other).utf8)) }
    }
    for end in chat.encoded().indices {
      #expect(throws: OutputLineError.self) { try OutputLine(parsing: Array(chat.encoded()[..<end])) }
    }
  }

  @Test("an answer is never a line that its owner's reader refuses", arguments: ["\u{1}", "é", "\"", "a😀"])
  func longAnswers(piece: String) throws {
    let text = String(repeating: piece, count: (4 << 20) / piece.utf8.count)
    let line = OutputLine.CompletionLine(
      index: 0, customID: "r", model: "m", isChat: true, text: text, finish: .stop, promptTokens: 1, outputTokens: 9)
    let bytes = line.encoded()
    #expect(bytes.count <= LineLimits.outputLineBytes && bytes.count > LineLimits.outputLineBytes - 8)
    guard case .completion(let read) = try OutputLine(parsing: bytes) else {
      Issue.record("another kind of line")
      return
    }
    #expect(read.finish == .length && read.outputTokens == 9 && text.utf8.starts(with: read.text.utf8))
  }

  @Test("items with one schema share one automaton, and a schema that is not held to is the line's fault")
  func constraints() throws {
    func item(_ schema: String) throws -> GenerationItem {
      let format = #""response_format":{"type":"json_schema","json_schema":{"name":"s","schema":\#(schema)}}"#
      return try Self.item(Self.chat(format))
    }
    var cache = ConstraintCache(prefixes: ConstraintVocabulary.prefixes)
    let unconstrained = try cache.constraint(for: try Self.item(Self.chat("")))
    #expect(unconstrained == nil)
    for _ in 0..<2 {
      var constraint = try #require(try cache.constraint(for: try item(#"{"type":"boolean"}"#)))
      var mask = TokenMask(count: ConstraintVocabulary.prefixes.count)
      constraint.allowed(into: &mask)
      let texts = (0..<Int32(mask.count)).filter(mask.contains).map {
        String(decoding: ConstraintVocabulary.prefixes.tokens[$0], as: UTF8.self)
      }
      #expect(Set(texts) == ["t", "f", "tr", "true", "false"])
    }
    let error = try #require(throws: InputLineError.self) { try cache.constraint(for: try item(#"{"pattern":"x"}"#)) }
    #expect(
      error.param == "body.response_format.json_schema.schema" && error.message.contains("`pattern`")
        && error.id == "r1")
  }
}
