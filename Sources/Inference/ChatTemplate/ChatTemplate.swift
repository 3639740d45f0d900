/// A model's chat template: how a conversation becomes the text that the model was trained to read.
///
/// Templates are programs in Jinja's language, and come with the model. What is read is the part of the language that
/// models' templates use, with the settings that `transformers` gives it (`trim_blocks`, `lstrip_blocks`, an immutable
/// sandbox, `tojson`, `raise_exception`, `strftime_now`, `{% generation %}`, `{% break %}`); anything else is refused by
/// its name. Parsing and rendering are bounded by ``TemplateLimits`` and never recurse deeper than these say.
package struct ChatTemplate: Sendable {
  private let statements: [TemplateStatement]
  private let limits: TemplateLimits

  /// Reads a template. Throws `TemplateError` for what is malformed, too large, or outside of the subset.
  package init(parsing source: some Collection<UInt8>, limits: TemplateLimits = TemplateLimits()) throws(TemplateError)
  {
    self.limits = limits
    statements = try TemplateParser.parse(Array(source), limits: limits)
  }

  /// The text of a conversation.
  ///
  /// - Parameters:
  ///   - messages: from the first to the last.
  ///   - addGenerationPrompt: whether the text ends with what begins an answer.
  ///   - specialTokens: such as `bos_token`, by their names in the model's settings.
  ///   - settings: variables of the template's own, such as `enable_thinking`.
  ///   - secondsSince1970: the job's time, for templates that tell the date; one that asks for it is refused without.
  package func render(
    _ messages: [ChatMessage], addGenerationPrompt: Bool = true, specialTokens: [String: String] = [:],
    settings: JSONObject? = nil, secondsSince1970: Int64? = nil
  ) throws(TemplateError) -> [UInt8] {
    var items: [JSONValue] = []
    for message in messages {
      var members: [JSONObject.Member] = [
        .init(name: "role", value: .string(message.role)), .init(name: "content", value: .string(message.content)),
      ]
      if let name = message.name { members.append(.init(name: "name", value: .string(name))) }
      items.append(.object(JSONObject(members: members)))
    }
    var variables: [JSONObject.Member] = settings?.members ?? []
    variables += specialTokens.sorted { $0.key < $1.key }.map { .init(name: $0.key, value: .string($0.value)) }
    variables += [
      .init(name: "messages", value: .array(items)), .init(name: "tools", value: .null),
      .init(name: "documents", value: .null), .init(name: "add_generation_prompt", value: .bool(addGenerationPrompt)),
    ]
    return try render(variables: variables, secondsSince1970: secondsSince1970)
  }

  /// The text under any variables; of two with one name the later counts.
  func render(
    variables: [JSONObject.Member], secondsSince1970: Int64? = nil
  ) throws(TemplateError) -> [UInt8] {
    var values: [String: TemplateValue] = [:]
    for variable in variables { values[variable.name] = try TemplateValue(variable.value) }
    let interpreter = TemplateInterpreter(
      limits: limits, clock: secondsSince1970.flatMap(TemplateClock.init(secondsSince1970:)))
    return try interpreter.render(statements, variables: values)
  }
}
