/// Turns the texts of an item into what a model reads: the prompt before them, the special tokens around them.
///
/// It needs the clear files of a model folder only, so a client can count tokens without the weights.
package struct ItemTokenizer: Sendable {
  private let tokenizer: Tokenizer
  private let prompts: Prompts
  private let usesSegments: Bool
  /// Tokens of one input, special ones included.
  package let maximumTokens: Int

  /// Reads a model. Throws `ModelError` when a file is missing, malformed or asks for something that is not supported,
  /// or when an id lies outside config.json's vocabulary.
  package init(files: ModelFiles) throws(ModelError) {
    try self.init(files: files, config: try ModelConfig(files: files))
  }

  init(files: ModelFiles, config: ModelConfig) throws(ModelError) {
    tokenizer = try Tokenizer(files: files, config: config)
    if config.decoder != nil { try Self.checkLastToken(files, tokenizer) }
    prompts = config.prompts
    usesSegments = config.usesSegments
    maximumTokens = config.maximumTokens
  }

  /// Names of the model's prompts, sorted.
  package var promptNames: [String] { prompts.texts.keys.sorted() }

  /// The token ids of a text, or of a pair of texts, cut to what the model reads.
  ///
  /// - Parameter prompt: the name of one of the model's prompts; nil takes its default, if it has one. An unknown name
  ///   counts as none: callers look it up in ``promptNames`` first.
  package func tokenize(_ text: String, pair: String? = nil, prompt: String? = nil) -> TokenizedInput {
    let text = (prompts.text(prompt) ?? "") + text
    let input = if let pair { tokenizer.tokenize(text, pair) } else { tokenizer.tokenize(text) }
    return usesSegments ? input : TokenizedInput(ids: input.ids, truncated: input.truncated)
  }
}
