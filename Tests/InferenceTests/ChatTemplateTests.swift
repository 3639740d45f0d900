import FoundationEssentials
import TestSupport
import Testing

@testable import Inference

/// What `transformers` made of templates and conversations: scripts/golden/chat_templates.py writes these files.
struct ChatTemplateCases {
  struct Case {
    let name: String
    let template: String
    let variables: JSONObject
    /// Nil where the template or the conversation is refused.
    let text: String?
  }

  let cases: [Case]
  let time: Int64

  init(_ file: URL) throws {
    let limits = JSONLimits(bytes: 8 << 20, depth: 32, values: 1_000_000)
    let object = try #require(try JSONValue(parsing: Array(try Data(contentsOf: file)), limits: limits).object)
    let templates = (object["templates"]?.array ?? []).compactMap(\.string)
    let variables = (object["variables"]?.array ?? []).compactMap(\.object)
    time = Int64(object["time"]?.integer ?? 0)
    cases = try (object["cases"]?.array ?? []).map { value in
      let one = try #require(value.object)
      return Case(
        name: one["name"]?.string ?? "", template: templates[try #require(one["template"]?.integer)],
        variables: variables[try #require(one["variables"]?.integer)], text: one["text"]?.string)
    }
  }

  /// Ours, or why not.
  func rendered(_ one: Case) -> Result<String, TemplateError> {
    Result { () throws(TemplateError) in
      let template = try ChatTemplate(parsing: one.template.utf8)
      let bytes = try template.render(variables: one.variables.members, secondsSince1970: time)
      return String(decoding: bytes, as: UTF8.self)
    }
  }

  /// - Parameter refused: templates that ours does not read, and how their refusal ends.
  func check(except refused: [String: String] = [:]) {
    for one in cases {
      if let reason = refused[one.name] {
        if case .failure(let error) = rendered(one), error.description.hasSuffix(reason) { continue }
        Issue.record("\(one.name) is not refused as \(reason)")
      }
      switch (rendered(one), one.text) {
      case (.success(let ours), let theirs?):
        #expect(ours.utf8.elementsEqual(theirs.utf8), "\(one.name) \(one.template.prefix(300))\n\(ours)\n\(theirs)")
      case (.failure(let error), let theirs?):
        Issue.record("\(one.name): \(error)\n\(one.template.prefix(300))\n\(theirs)")
      case (.success(let ours), nil): Issue.record("\(one.name) is refused: \(one.template.prefix(300))\n\(ours)")
      case (.failure, nil): break
      }
    }
  }
}

extension Need {
  /// Templates of known models, and what Jinja makes of them.
  static let chatTemplates = Need(
    "chat-templates", remedy: "`make test-tools` unpacks axolotl's wheel from PyPI and renders them"
  ) { Checkout.existing(".cache/chat-templates/cases.json") }
}

@Suite("Chat templates")
struct ChatTemplateTests {
  @Test(
    "a template's text is what transformers makes of it, byte for byte, and it is refused where it is refused there")
  func golden() throws {
    let cases = try ChatTemplateCases(Checkout.root.appending(path: "Tests/Vectors/chat-templates/cases.json"))
    #expect(cases.cases.count > 250)
    cases.check()
  }

  @Test(
    "so are the templates of known models", .enabled(if: Need.chatTemplates.isMet, "\(Need.chatTemplates.comment)"))
  func known() throws {
    let cases = try ChatTemplateCases(try Need.chatTemplates.require())
    #expect(cases.cases.count > 300)
    cases.check(except: ["jamba.jinja": "arguments by `*` are not read"])
  }

  @Test("a model's template is found where models keep it, with the tokens that it names")
  func files() throws {
    func text(_ files: [String: String]) throws -> String? {
      let files = try ChatTemplateFiles(files: ModelFiles(files.mapValues { Array($0.utf8) }))
      return try files.map {
        let bytes = try $0.template.render([ChatMessage(role: "user", content: "hi")], specialTokens: $0.specialTokens)
        return String(decoding: bytes, as: UTF8.self)
      }
    }
    let config = #"{"bos_token":{"content":"<s>","lstrip":false},"eos_token":null,"chat_template":"#
    let one = config + #""{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"}"#
    let several = config + #"[{"name":"tool_use","template":"t"},{"name":"default","template":"d"}]}"#
    #expect(try text(["tokenizer_config.json": one]) == "<s>hi")
    #expect(try text(["tokenizer_config.json": several]) == "d")
    #expect(try text(["tokenizer_config.json": one, "chat_template.jinja": "{{ bos_token }}!\n"]) == "<s>!")
    #expect(try text(["tokenizer_config.json": "{}"]) == nil && text([:]) == nil)
    for wrong in [
      config + "5}", config + #"[{"name":"x","template":"t"}]}"#, config + #""{% x"}"#,
      #"{"bos_token":5,"chat_template":""}"#,
    ] {
      #expect(throws: ModelError.self) { try text(["tokenizer_config.json": wrong]) }
    }
  }
}
