/// The shape of a decoder that gives embeddings, as Qwen3-Embedding or e5-mistral: a decoder's configuration, and a
/// modules.json that takes the vector of the last token.
extension ModelConfig {
  /// Throws `ModelError` with the file and the member that are missing, out of bounds or not supported.
  init(decoderOf files: ModelFiles, _ config: SettingsReader) throws(ModelError) {
    let decoder = try DecoderConfig(files: files).withoutHead
    self.decoder = decoder
    architecture = EncoderArchitecture(name: decoder.architecture.name, prefix: "", unused: [])
    (hiddenSize, layers, heads) = (decoder.hiddenSize, decoder.layers, decoder.heads)
    (intermediateSize, vocabularySize) = (decoder.intermediateSize, decoder.vocabularySize)
    (positions, segments, paddingToken) = (decoder.contextLength, 0, nil)
    // The activation is an encoder's: a decoder's is always the same.
    (activation, layerNormEpsilon, usesSegments) = (.gelu, decoder.normEpsilon, false)
    guard hiddenSize <= 8192 else {
      throw config.failure("hidden_size", "is more than 8192, where it is an embedding's")
    }
    output = try ModelOutput(files: files, config: config, width: hiddenSize)
    guard case .embedding(let embedding) = output, embedding.pooling == .lasttoken, embedding.dense == nil else {
      throw ModelError(
        ModelOutput.modulesFile, "of a decoder must list Transformer, Pooling of the last token, and perhaps Normalize")
    }
    prompts = try Prompts(files: files)
    maximumTokens = try Self.maximumTokens(files, positions: positions)
  }

  /// Whether a folder is of a decoder that gives embeddings.
  static func isEmbeddingDecoder(_ files: ModelFiles, _ config: SettingsReader) throws(ModelError) -> Bool {
    let name = try config.string("model_type", default: "")
    return files[ModelOutput.modulesFile] != nil && DecoderArchitecture.named(name) != nil
  }

  /// The precisions that the model can be computed in: a decoder has no int8.
  package var precisions: [Precision] { decoder == nil ? Precision.allCases : [.fp32, .bf16] }
}

extension ModelFolder {
  /// Whether the model can be computed in int8: a decoder cannot.
  package var hasInt8: Bool { (try? config())?.precisions.contains(.int8) ?? false }
}

extension ItemTokenizer {
  /// A tokenizer that transformers would tell to end each text, though tokenizer.json does not say so, is refused: the last
  /// token is the one whose vector is taken.
  static func checkLastToken(_ files: ModelFiles, _ tokenizer: Tokenizer) throws(ModelError) {
    guard let settings = try files.settings(ModelConfig.tokenizerSettingsFile),
      try settings.bool("add_eos_token", default: false)
    else { return }
    let token = settings.object["eos_token"]
    let text = token?.string ?? token?.object?["content"]?.string ?? ""
    guard let end = tokenizer.ids(of: text, addsSpecial: false).last,
      tokenizer.ids(of: "a", addsSpecial: true).last == end
    else {
      throw settings.failure("add_eos_token", "is true, and tokenizer.json's `post_processor` puts no such token last")
    }
  }
}
