extension OutputLine {
  /// A text that was made for an item. `index` is the item's place in the input, from 0, and makes the line's ids; there
  /// is no clock in it and nothing random, so that a job that is run again writes the same bytes.
  package struct CompletionLine: Sendable, Equatable {
    package let index: Int
    /// The item's id.
    package let customID: String
    package let model: String
    /// Whether it answers a conversation (`chat.completion`), or goes on with a text (`text_completion`).
    package let isChat: Bool
    package let text: String
    package let finish: Generation.FinishReason
    /// Tokens that were read, and that were made.
    package let promptTokens: Int
    package let outputTokens: Int
    /// The job's time in seconds since 1970, as its manifest has it; 0 where it has none.
    package let created: Int64

    package init(
      index: Int, customID: String, model: String, isChat: Bool, text: String, finish: Generation.FinishReason,
      promptTokens: Int, outputTokens: Int, created: Int64 = 0
    ) {
      self.index = index
      self.customID = customID
      self.model = model
      self.isChat = isChat
      self.text = text
      self.finish = finish
      self.promptTokens = promptTokens
      self.outputTokens = outputTokens
      self.created = created
    }

    /// The line without its newline. A text with which it would be longer than what its owner's reader holds is cut, and
    /// then says `length` as its end.
    package func encoded() -> [UInt8] { written().bytes }

    /// The line without its newline, and the end that it says.
    func written() -> (bytes: [UInt8], finish: Generation.FinishReason) {
      let whole = encoded(text, finish)
      guard whole.count > LineLimits.outputLineBytes else { return (whole, finish) }
      let room = LineLimits.outputLineBytes - encoded("", .length).count
      return (encoded(JSONText.start(of: text, bytes: room), .length), .length)
    }

    private func encoded(_ text: String, _ finish: Generation.FinishReason) -> [UInt8] {
      var json = JSONText(reserving: text.utf8.count + 512)
      json.raw("{\"id\":\"batch_req_\(index + 1)\",\"custom_id\":")
      json.string(customID)
      json.raw(",\"response\":{\"status_code\":200,\"request_id\":\"req_\(index + 1)\",\"body\":{\"id\":\"")
      json.raw(
        isChat
          ? "chatcmpl-\(index + 1)\",\"object\":\"chat.completion" : "cmpl-\(index + 1)\",\"object\":\"text_completion")
      json.raw("\",\"created\":\(created),\"model\":")
      json.string(model)
      json.raw(",\"choices\":[{\"index\":0,")
      json.raw(isChat ? "\"message\":{\"role\":\"assistant\",\"content\":" : "\"text\":")
      json.string(text)
      json.raw(isChat ? ",\"refusal\":null}" : "")
      json.raw(
        ",\"logprobs\":null,\"finish_reason\":\"\(finish.rawValue)\"}],\"usage\":{\"prompt_tokens\":\(promptTokens)")
      json.raw(
        ",\"completion_tokens\":\(outputTokens),\"total_tokens\":\(promptTokens + outputTokens)}}},\"error\":null}")
      return json.bytes
    }

    /// The line of a response's body; nil for the body of another kind. Throws for one that is malformed.
    init?(index: Int, customID: String, body: JSONObject) throws(OutputLineError) {
      guard let kind = body["object"]?.string, kind == "chat.completion" || kind == "text_completion" else {
        return nil
      }
      isChat = kind == "chat.completion"
      guard let model = body["model"]?.string, let created = body["created"]?.integer,
        let choices = body["choices"]?.array, choices.count == 1, let choice = choices[0].object,
        let finish = choice["finish_reason"]?.string.flatMap(Generation.FinishReason.init(rawValue:)),
        let text = isChat ? choice["message"]?.object?["content"]?.string : choice["text"]?.string
      else { throw OutputLineError(reason: "`choices`") }
      let limit = 1 << 31
      guard let usage = body["usage"]?.object, let prompt = usage["prompt_tokens"]?.integer,
        let output = usage["completion_tokens"]?.integer, (0...limit).contains(prompt), (0...limit).contains(output),
        usage["total_tokens"]?.integer == prompt + output
      else { throw OutputLineError(reason: "`usage`") }
      (self.index, self.customID, self.model, self.text, self.finish) = (index, customID, model, text, finish)
      (promptTokens, outputTokens, self.created) = (prompt, output, Int64(created))
    }
  }
}
