/// One text to be made, from one OpenAI batch line for `/v1/chat/completions` or `/v1/completions`.
package struct GenerationItem: Sendable, Equatable {
  /// What the model reads.
  package enum Prompt: Sendable, Equatable {
    /// A conversation, which the model's chat template makes into a text, with variables of the template's own.
    case messages([ChatMessage], settings: JSONObject?)
    /// The text itself.
    case text(String)
  }

  /// What the output must look like (`response_format`).
  package enum Format: Sendable, Equatable {
    case text
    /// Any JSON object.
    case jsonObject
    /// JSON that a schema describes; the schema itself is checked when it is compiled.
    case jsonSchema(JSONValue)
  }

  /// The line's number, from 1.
  package let line: Int
  /// `custom_id`: names the item in the output, and decides with the seed what is drawn.
  package let id: String
  /// The model that the line names. What computes is the job manifest's model.
  package let model: String
  package let prompt: Prompt
  package let format: Format
  /// What the line says of sampling; nil where it says nothing.
  package let sampling: Sampling

  /// Settings that a line may say.
  package struct Sampling: Sendable, Equatable {
    package var temperature: Double?
    package var topP: Double?
    /// 0 for all.
    package var topK: Int?
    package var minP: Double?
    package var seed: UInt64?
    package var stops: [String] = []
    package var maximumTokens: Int?

    package init() {}
  }

  /// Reads one line as the splitter gives it.
  package init(_ line: LineSplitter.Line) throws(InputLineError) {
    guard let bytes = line.bytes else {
      throw InputLineError(
        code: .lineTooLong, message: "longer than \(LineLimits.lineBytes) bytes", line: line.number)
    }
    try self.init(parsing: bytes, line: line.number)
  }

  /// Reads one line, without its newline. Everything is checked; nothing unknown is passed over.
  package init(parsing bytes: [UInt8], line: Int) throws(InputLineError) {
    let reader = try InputLineReader(bytes, line: line, format: .openAI, limits: LineLimits.generationJSON)
    self = try reader.generationItem()
  }

  init(
    line: Int, id: String, model: String, prompt: Prompt, format: Format = .text, sampling: Sampling = Sampling()
  ) {
    self.line = line
    self.id = id
    self.model = model
    self.prompt = prompt
    self.format = format
    self.sampling = sampling
  }

  /// The `/v1/chat/completions` line of a conversation, without its newline.
  ///
  /// - Parameter schema: what the answer's JSON is held to; nil for any text.
  package static func line(
    id: String, model: String, messages: [ChatMessage], temperature: Double, schema: JSONValue? = nil
  ) -> [UInt8] {
    var json = JSONText(reserving: messages.reduce(512) { $0 + $1.content.utf8.count })
    json.raw("{\"custom_id\":")
    json.string(id)
    json.raw(",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":")
    json.string(model)
    json.raw(",\"messages\":[")
    for (index, message) in messages.enumerated() {
      json.raw(index == 0 ? "{\"role\":" : ",{\"role\":")
      json.string(message.role)
      json.raw(",\"content\":")
      json.string(message.content)
      json.raw("}")
    }
    json.raw("],\"temperature\":\(temperature)")
    if let schema {
      json.raw(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"schema\":")
      json.value(schema)
      json.raw("}}")
    }
    json.raw("}}")
    return json.bytes
  }

  /// The settings, where the line leaves a seed and a length to the job. Other settings are OpenAI's own by default.
  package func settings(seed: UInt64, maximumTokens: Int) -> SamplingSettings {
    SamplingSettings(
      temperature: sampling.temperature ?? 1, topK: sampling.topK ?? 0, topP: sampling.topP ?? 1,
      minP: sampling.minP ?? 0, seed: sampling.seed ?? seed, maximumTokens: sampling.maximumTokens ?? maximumTokens,
      stops: sampling.stops)
  }
}
