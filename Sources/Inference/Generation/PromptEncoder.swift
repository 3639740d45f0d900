/// Makes the tokens that a model reads of an item's prompt.
///
/// Of a conversation, the model's chat template makes a text. What stands in its messages is text and nothing else: a
/// document that spells `<|eot_id|>` ends no turn (``ControlTokens``). The prompt of `/v1/completions` is the model's own
/// text, in which spellings of control tokens are these tokens.
package struct PromptEncoder: Sendable {
  private let tokenizer: Tokenizer
  private let conversations: Conversations
  private let controls: ControlTokens
  /// Whether plain text may become a token that ends a turn: nothing could break that up.
  private let isEndSpelled: Bool
  /// Tokens of one sequence at most, prompt and output together.
  package let contextLength: Int

  /// - Throws: `ModelError` for control tokens that cannot be told from a text.
  init(
    tokenizer: Tokenizer, conversations: Conversations, config: DecoderConfig, contextLength: Int? = nil
  ) throws(ModelError) {
    (self.tokenizer, self.conversations) = (tokenizer, conversations)
    self.contextLength = min(config.contextLength, contextLength ?? .max)
    controls = try tokenizer.controlTokens(ends: config.endTokens)
    isEndSpelled = !config.endTokens.allSatisfy(tokenizer.isAdded)
  }

  /// Of a model's files without its weights, so that a client can judge prompts.
  ///
  /// - Parameter contextLength: tokens of one sequence at most, where that is less than the model's own.
  /// - Throws: `ModelError` when a file is missing, malformed or asks for something that is not supported.
  package init(files: ModelFiles, contextLength: Int? = nil) throws(ModelError) {
    let config = try DecoderConfig(files: files)
    try self.init(
      tokenizer: try Tokenizer(files: files, maximumTokens: config.contextLength, decodes: true),
      conversations: Conversations(files: files), config: config, contextLength: contextLength)
  }

  /// The tokens of an item's prompt, special ones included.
  ///
  /// - Parameter secondsSince1970: the job's time, for templates that tell the date.
  /// - Throws: the fault of the item, which quotes nothing of it.
  package func tokens(of item: GenerationItem, secondsSince1970: Int64?) throws(InputLineError) -> [Int32] {
    switch item.prompt {
    case .text(let text): return tokenizer.ids(of: text, addsSpecial: true)
    case .messages(let messages, let settings):
      guard let template = conversations.files else {
        let reason = conversations.refusal == nil ? "has no chat template" : "has a chat template that cannot be read"
        throw failure(item, .unsupportedURL, "the model \(reason); ask /v1/completions", "url")
      }
      guard !isEndSpelled else {
        throw failure(
          item, .unsupportedURL,
          "any text may spell the token that ends the model's turns, which is not an added one; ask /v1/completions",
          "url")
      }
      let conversation: Conversation
      do throws(ControlTokens.Unmarkable) {
        conversation = try Conversation(messages, settings, controls)
      } catch {
        throw failure(
          item, .unsupportedInput, "spells a token of the model in a way that cannot be told from the token",
          "body.messages")
      }
      let text = try render(conversation, by: template, of: item, secondsSince1970)
      return tokenizer.ids(of: text, without: conversation.mark)
    }
  }

  private func render(
    _ conversation: Conversation, by files: ChatTemplateFiles, of item: GenerationItem, _ secondsSince1970: Int64?
  ) throws(InputLineError) -> String {
    do throws(TemplateError) {
      let text = try files.template.render(
        conversation.messages, specialTokens: files.specialTokens, settings: conversation.settings,
        secondsSince1970: secondsSince1970)
      return String(decoding: text, as: UTF8.self)
    } catch {
      // The reason may quote the conversation.
      let reason =
        switch error.kind {
        case .raised: "refuses the conversation"
        case .limit: "takes more than a template may for the conversation"
        case .evaluation, .syntax: "cannot be applied to the conversation"
        }
      throw failure(
        item, .invalidValue, "the model's chat template \(reason) (its line \(error.line))", "body.messages")
    }
  }

  private func failure(
    _ item: GenerationItem, _ code: InputLineError.Code, _ message: String, _ param: String
  ) -> InputLineError {
    InputLineError(code: code, message: message, param: param, line: item.line, id: item.id)
  }
}

/// A conversation in which control tokens are broken up.
private struct Conversation {
  let mark: Unicode.Scalar
  private(set) var messages: [ChatMessage] = []
  private(set) var settings: JSONObject?
  private let controls: ControlTokens

  init(
    _ messages: [ChatMessage], _ settings: JSONObject?, _ controls: ControlTokens
  ) throws(ControlTokens.Unmarkable) {
    self.controls = controls
    var texts = messages.flatMap { [$0.content, $0.name].compactMap(\.self) }
    if let settings { Self.collect(.object(settings), into: &texts) }
    mark = try ControlTokens.mark(for: texts)
    for message in messages {
      self.messages.append(
        ChatMessage(role: message.role, content: try marked(message.content), name: try message.name.map(marked)))
    }
    if let settings { self.settings = try marked(.object(settings)).object }
  }

  private func marked(_ text: String) throws(ControlTokens.Unmarkable) -> String {
    try controls.marked(text, with: mark)
  }

  private func marked(_ value: JSONValue) throws(ControlTokens.Unmarkable) -> JSONValue {
    switch value {
    case .string(let text): return .string(try marked(text))
    case .array(let values): return .array(try values.map(marked))
    case .object(let object):
      // A template may print names, too.
      var members: [JSONObject.Member] = []
      for member in object.members {
        members.append(.init(name: try marked(member.name), value: try marked(member.value)))
      }
      return .object(JSONObject(members: members))
    case .null, .bool, .number: return value
    }
  }

  private static func collect(_ value: JSONValue, into texts: inout [String]) {
    switch value {
    case .string(let text): texts.append(text)
    case .array(let values): for value in values { collect(value, into: &texts) }
    case .object(let object):
      for member in object.members {
        texts.append(member.name)
        collect(member.value, into: &texts)
      }
    case .null, .bool, .number: break
    }
  }
}
