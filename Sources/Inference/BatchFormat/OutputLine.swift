import FoundationEssentials

/// One line of a result file, in OpenAI's batch form: an embedding, scores or a text in output.jsonl, an error in
/// errors.jsonl. The bytes are the same whenever the item and its result are.
package enum OutputLine: Sendable, Equatable {
  case embedding(EmbeddingLine)
  case scores(ScoresLine)
  case completion(CompletionLine)
  case error(ErrorLine)

  /// The item's id; nil for an error of a line that told none.
  package var customID: String? {
    switch self {
    case .embedding(let line): line.customID
    case .scores(let line): line.customID
    case .completion(let line): line.customID
    case .error(let line): line.customID
    }
  }

  /// An item's embedding. `index` is the item's place in the input, from 0, and makes the line's `id`.
  package struct EmbeddingLine: Sendable, Equatable {
    package let index: Int
    /// The item's id.
    package let customID: String
    package let model: String
    package let embedding: [Float]
    /// Tokens that were computed.
    package let tokens: Int
    /// Whether the input's end was cut off. A member of ours beside OpenAI's.
    package let truncated: Bool

    package init(index: Int, customID: String, model: String, embedding: [Float], tokens: Int, truncated: Bool) {
      self.index = index
      self.customID = customID
      self.model = model
      self.embedding = embedding
      self.tokens = tokens
      self.truncated = truncated
    }

    /// The line without its newline.
    package func encoded(_ encoding: EmbeddingEncoding) -> [UInt8] {
      var json = JSONText(reserving: embedding.count * (encoding == .base64 ? 6 : 13) + 512)
      OutputLine.beginResponse(&json, index: index, customID: customID)
      json.raw("{\"object\":\"embedding\",\"index\":0,\"embedding\":")
      switch encoding {
      case .base64: json.raw("\"\(Self.base64(embedding))\"")
      case .float: json.raw("[" + embedding.map(\.description).joined(separator: ",") + "]")
      }
      OutputLine.endResponse(&json, model: model, tokens: tokens, truncated: truncated)
      return json.bytes
    }

    private static func base64(_ floats: [Float]) -> String {
      var bytes: [UInt8] = []
      bytes.reserveCapacity(floats.count * 4)
      for float in floats {
        withUnsafeBytes(of: float.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
      }
      return Data(bytes).base64EncodedString()
    }
  }

  /// Why an item has no embedding.
  package struct ErrorLine: Sendable, Equatable {
    package let index: Int
    /// The item's id; nil when the line did not tell one.
    package let customID: String?
    package let code: String
    package let message: String

    package init(index: Int, customID: String?, code: String, message: String) {
      self.index = index
      self.customID = customID
      self.code = code
      self.message = message
    }

    /// The error of a line that could not be read.
    package init(index: Int, _ error: InputLineError) {
      self.init(index: index, customID: error.id, code: error.code.rawValue, message: error.description)
    }

    /// The line without its newline.
    package func encoded() -> [UInt8] {
      var json = JSONText()
      json.raw("{\"id\":\"batch_req_\(index + 1)\",\"custom_id\":")
      if let customID { json.string(customID) } else { json.raw("null") }
      json.raw(",\"response\":null,\"error\":{\"code\":")
      json.string(code)
      json.raw(",\"message\":")
      json.string(message)
      json.raw("}}")
      return json.bytes
    }
  }

  /// What all responses begin with: `data` is an array of one object.
  static func beginResponse(_ json: inout JSONText, index: Int, customID: String) {
    json.raw("{\"id\":\"batch_req_\(index + 1)\",\"custom_id\":")
    json.string(customID)
    json.raw(",\"response\":{\"status_code\":200,\"request_id\":\"req_\(index + 1)\",\"body\":{\"object\":\"list\"")
    json.raw(",\"data\":[")
  }

  /// What all responses end with, inside the object of `data`.
  static func endResponse(_ json: inout JSONText, model: String, tokens: Int, truncated: Bool) {
    json.raw(",\"truncated\":\(truncated)}],\"model\":")
    json.string(model)
    json.raw(",\"usage\":{\"prompt_tokens\":\(tokens),\"total_tokens\":\(tokens)}}},\"error\":null}")
  }
}
