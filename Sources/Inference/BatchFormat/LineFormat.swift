/// How the lines of an input are written. The raw values are those of the job manifest.
package enum LineFormat: String, Sendable, CaseIterable {
  /// OpenAI batch lines: `custom_id`, `method`, `url`, `body`.
  case openAI = "openai"
  /// Lines of `{"id", "text"}`, and `text_pair` where a pair is meant.
  case idText = "id-text"
}

/// How an embedding stands in an output line.
package enum EmbeddingEncoding: String, Sendable, CaseIterable {
  /// Little-endian 32-bit floats in base64: exact, and a third of the size.
  case base64
  /// JSON numbers, each the shortest that reads back to the same float.
  case float
}

/// Bounds of one input line.
package enum LineLimits {
  /// Bytes of a line without its newline.
  package static let lineBytes = 1 << 20
  /// Bytes of an id.
  package static let idBytes = 512
  /// Nesting and values of a line's JSON; what we read needs 2 levels and 8 values.
  static let json = JSONLimits(bytes: lineBytes, depth: 16, values: 10_000)
  /// The same where a text is asked for, by a schema perhaps.
  static let generationJSON = JSONLimits(bytes: lineBytes, depth: 64, values: 50_000)
  /// Messages of one conversation.
  static let messages = 1000
  /// Bytes of an output line without its newline and padding: what readers of results hold at most.
  package static let outputLineBytes = 4 << 20
  /// Tokens of output that one line may ask for: with 32 bytes each they fill an output line.
  static let outputTokens = 1 << 17
}
