/// Lines that ask for a text. A member that is null counts as absent, as in OpenAI's own clients.
extension InputLineReader {
  private static let shared: Set<String> = [
    "model", "temperature", "top_p", "top_k", "min_p", "seed", "stop", "max_tokens", "n", "response_format", "stream",
    "presence_penalty", "frequency_penalty", "user",
  ]

  func generationItem() throws(InputLineError) -> GenerationItem {
    try allow(["custom_id", "method", "url", "body"], in: object, "")
    let id = try identifier("custom_id")
    guard try string("method", in: object, "method") == "POST" else {
      throw failure(.invalidValue, "must be POST", "method")
    }
    let url = try string("url", in: object, "url")
    let isChat = url == "/v1/chat/completions"
    guard isChat || url == "/v1/completions" else {
      throw failure(.unsupportedURL, "must be /v1/chat/completions or /v1/completions", "url")
    }
    guard let value = object["body"] else { throw failure(.missingParameter, "is missing", "body") }
    guard let whole = value.object else { throw failure(.invalidType, "must be an object", "body") }
    let body = JSONObject(members: whole.members.filter { $0.value != .null })
    let own = isChat ? ["messages", "max_completion_tokens", "chat_template_kwargs"] : ["prompt"]
    for member in body.members where !Self.shared.contains(member.name) && !own.contains(member.name) {
      throw failure(.unknownParameter, "is not known here, or not offered", "body." + member.name.prefix(64))
    }
    try refuseWhatIsNotOffered(body)
    return GenerationItem(
      line: line, id: id, model: try string("model", in: body, "body.model"),
      prompt: isChat ? try conversation(body) : .text(try text(body)), format: try format(body),
      sampling: try sampling(body, isChat: isChat))
  }

  /// Members that may be said only as they are by default.
  private func refuseWhatIsNotOffered(_ body: JSONObject) throws(InputLineError) {
    if let n = body["n"], n.integer != 1 { throw failure(.invalidValue, "must be 1: a line has one output", "body.n") }
    if let stream = body["stream"], stream != .bool(false) {
      throw failure(.invalidValue, "must be false: results come as a file", "body.stream")
    }
    for name in ["presence_penalty", "frequency_penalty"] {
      if let value = body[name], value.double != 0 { throw failure(.invalidValue, "must be 0", "body." + name) }
    }
  }

  private func text(_ body: JSONObject) throws(InputLineError) -> String {
    guard let prompt = body["prompt"] else { throw failure(.missingParameter, "is missing", "body.prompt") }
    let text = prompt.string ?? (prompt.array?.count == 1 ? prompt.array?[0].string : nil)
    guard let text else {
      throw failure(.unsupportedInput, "must be one text a line; token ids are not taken", "body.prompt")
    }
    guard !text.isEmpty else { throw failure(.invalidValue, "must not be empty", "body.prompt") }
    return text
  }

  private func conversation(_ body: JSONObject) throws(InputLineError) -> GenerationItem.Prompt {
    guard let value = body["messages"] else { throw failure(.missingParameter, "is missing", "body.messages") }
    guard let list = value.array, (1...LineLimits.messages).contains(list.count) else {
      throw failure(.invalidValue, "must be a list of 1 to \(LineLimits.messages) messages", "body.messages")
    }
    var messages: [ChatMessage] = []
    for (index, value) in list.enumerated() { messages.append(try message(value, "body.messages[\(index)]")) }
    let settings = body["chat_template_kwargs"]
    guard settings == nil || settings?.object != nil else {
      throw failure(.invalidType, "must be an object", "body.chat_template_kwargs")
    }
    for member in settings?.object?.members ?? []
    where ["messages", "tools", "documents", "add_generation_prompt"].contains(member.name)
      || member.name.hasSuffix("_token")
    {
      throw failure(.invalidValue, "cannot say `\(member.name)`", "body.chat_template_kwargs")
    }
    return .messages(messages, settings: settings?.object)
  }

  private func message(_ value: JSONValue, _ path: String) throws(InputLineError) -> ChatMessage {
    guard let whole = value.object else { throw failure(.invalidType, "must be an object", path) }
    let message = JSONObject(members: whole.members.filter { $0.value != .null })
    try allow(["role", "content", "name"], in: message, path + ".")
    let role = try string("role", in: message, path + ".role")
    guard ["system", "developer", "user", "assistant"].contains(role) else {
      throw failure(.invalidValue, "must be system, developer, user or assistant", path + ".role")
    }
    guard let content = message["content"] else { throw failure(.missingParameter, "is missing", path + ".content") }
    let name = message["name"] == nil ? nil : try string("name", in: message, path + ".name")
    return ChatMessage(role: role, content: try text(content, path + ".content"), name: name)
  }

  /// A text, or parts that are texts; a newline stands between two of these.
  private func text(_ content: JSONValue, _ path: String) throws(InputLineError) -> String {
    if let text = content.string { return text }
    guard let parts = content.array, !parts.isEmpty else {
      throw failure(.invalidType, "must be a text, or a list of parts", path)
    }
    var texts: [String] = []
    for (index, value) in parts.enumerated() {
      let path = "\(path)[\(index)]"
      guard let part = value.object else { throw failure(.invalidType, "must be an object", path) }
      let type = try string("type", in: part, path + ".type")
      guard type == "text" else {
        throw failure(.unsupportedInput, "`\(type.prefix(64))` is not taken: texts only", path + ".type")
      }
      try allow(["type", "text"], in: part, path + ".")
      texts.append(try string("text", in: part, path + ".text"))
    }
    return texts.joined(separator: "\n")
  }

  // MARK: settings

  private func sampling(_ body: JSONObject, isChat: Bool) throws(InputLineError) -> GenerationItem.Sampling {
    var sampling = GenerationItem.Sampling()
    sampling.temperature = try number("temperature", body, "from 0 to 2") { $0 >= 0 && $0 <= 2 }
    sampling.topP = try number("top_p", body, "above 0 and at most 1") { $0 > 0 && $0 <= 1 }
    sampling.minP = try number("min_p", body, "from 0 to 1") { $0 >= 0 && $0 <= 1 }
    // Both 0 and -1 stand for all tokens elsewhere.
    sampling.topK = try integer("top_k", body, in: -1...1_000_000).map { max(0, $0) }
    sampling.seed = try integer("seed", body, in: Int.min...Int.max).map { UInt64(bitPattern: Int64($0)) }
    sampling.maximumTokens = try integer("max_tokens", body, in: 1...LineLimits.outputTokens)
    if let other = try integer("max_completion_tokens", body, in: 1...LineLimits.outputTokens) {
      guard sampling.maximumTokens ?? other == other else {
        throw failure(.invalidValue, "differs from max_tokens", "body.max_completion_tokens")
      }
      sampling.maximumTokens = other
    }
    sampling.stops = try stops(body)
    return sampling
  }

  private func number(
    _ name: String, _ body: JSONObject, _ range: String, _ holds: (Double) -> Bool
  ) throws(InputLineError) -> Double? {
    guard let value = body[name] else { return nil }
    guard let number = value.double, holds(number) else {
      throw failure(.invalidValue, "must be a number \(range)", "body." + name)
    }
    return number
  }

  private func integer(_ name: String, _ body: JSONObject, in range: ClosedRange<Int>) throws(InputLineError) -> Int? {
    guard let value = body[name] else { return nil }
    guard let integer = value.integer, range.contains(integer) else {
      throw failure(
        .invalidValue, "must be an integer from \(range.lowerBound) to \(range.upperBound)", "body." + name)
    }
    return integer
  }

  private func stops(_ body: JSONObject) throws(InputLineError) -> [String] {
    guard let value = body["stop"] else { return [] }
    let texts = value.string.map { [$0] } ?? value.array?.compactMap(\.string) ?? []
    let (count, bytes) = (SamplingSettings.stopLimit, SamplingSettings.stopBytes)
    guard texts.count == value.array?.count ?? 1, texts.count <= count, value.string != nil || value.array != nil,
      texts.allSatisfy({ (1...bytes).contains($0.utf8.count) })
    else {
      throw failure(.invalidValue, "must be a text or up to \(count) texts, each of 1 to \(bytes) bytes", "body.stop")
    }
    return texts
  }

  private func format(_ body: JSONObject) throws(InputLineError) -> GenerationItem.Format {
    let path = "body.response_format"
    guard let value = body["response_format"] else { return .text }
    guard let format = value.object else { throw failure(.invalidType, "must be an object", path) }
    let type = try string("type", in: format, path + ".type")
    try allow(type == "json_schema" ? ["type", "json_schema"] : ["type"], in: format, path + ".")
    switch type {
    case "text": return .text
    case "json_object": return .jsonObject
    case "json_schema":
      guard let described = format["json_schema"]?.object else {
        throw failure(.invalidType, "must be an object", path + ".json_schema")
      }
      try allow(["name", "description", "schema", "strict"], in: described, path + ".json_schema.")
      guard let schema = described["schema"] else {
        throw failure(.missingParameter, "is missing", path + ".json_schema.schema")
      }
      return .jsonSchema(schema)
    default: throw failure(.invalidValue, "must be text, json_object or json_schema", path + ".type")
    }
  }
}
