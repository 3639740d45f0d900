/// A model that continues texts: tokenizer, decoder, and the generators that share its weights. Holds the weights until it
/// is freed, and wipes them then.
package final class GenerationModel: Sendable {
  package let config: DecoderConfig
  package let tokenizer: Tokenizer
  /// How ids become text.
  package let decoder: TokenDecoder
  /// In which numbers products are computed; of a GGUF file's weights, attention alone: its products are computed in what
  /// its tensors are made of.
  package let precision: Precision
  /// Types of the weights in their files, sorted: `BF16`, say.
  package let elementTypes: [String]
  /// How conversations become prompts.
  package let conversations: Conversations

  private let model: DecoderModel

  /// Tokens of one sequence at most, prompt and output together.
  package var contextLength: Int { config.contextLength }
  /// The chat template; nil where the model has none that can be read, as ``conversations`` says.
  package var template: ChatTemplate? { conversations.files?.template }
  /// Such as `llama`.
  package var architecture: String { config.architecture.name }

  /// Reads a model. `weights` are its safetensors files, whole; they are copied, and free again when this returns.
  /// Throws `ModelError` with the file, the part of it and the reason.
  package init(files: ModelFiles, weights: [WeightsFile], precision: Precision) throws(ModelError) {
    try EngineKernel.checkEnvironment()
    guard precision != .int8 else {
      throw ModelError(ModelConfig.file, "is of a decoder, which is computed in fp32 or bf16, not in int8")
    }
    self.precision = precision
    config = try DecoderConfig(files: files)
    tokenizer = try Tokenizer(files: files, maximumTokens: config.contextLength, decodes: true)
    guard tokenizer.idLimit <= config.vocabularySize, let decoder = tokenizer.decoder else {
      throw ModelError(TokenizerSettings.file, "has ids beyond config.json's `vocab_size`")
    }
    self.decoder = decoder
    conversations = Conversations(files: files)
    let index = try ShardIndex(files: files, unless: weights.contains { $0.name == WeightsFile.name })
    let names = index?.shards ?? [WeightsFile.name]
    guard weights.map(\.name).sorted() == names else {
      throw ModelError(names[0], "and the model's other weight files must be given, and no others")
    }
    let loaded = try DecoderWeights(try Weights(weights, index: index), config: config, precision: precision)
    elementTypes = loaded.elementTypes
    model = DecoderModel(config: config, weights: loaded, precision: precision)
  }

  /// Takes the weights of a GGUF file, which says everything else, too. Attention is computed in bf16.
  /// Throws `ModelError` with the file, the key or tensor and the reason.
  package init(_ weights: GGUFWeights) throws(ModelError) {
    try EngineKernel.checkEnvironment()
    let header = try weights.header()
    (config, precision) = (try DecoderConfig(header), .bf16)
    tokenizer = try Tokenizer(header, maximumTokens: config.contextLength)
    guard tokenizer.idLimit <= config.vocabularySize, let decoder = tokenizer.decoder else {
      throw ModelError(header.file, "`tokenizer.ggml.tokens` has more tokens than `token_embd.weight` has rows")
    }
    self.decoder = decoder
    conversations = Conversations(header)
    let loaded = try DecoderWeights(weights, config: config)
    elementTypes = loaded.elementTypes
    model = DecoderModel(config: config, weights: loaded, precision: precision)
  }

  /// What a GGUF file's header must say before its tensors are read: that this is a decoder, with these tensors. Throws
  /// as ``init(_:)``.
  package static func check(_ header: GGUFHeader) throws(ModelError) {
    _ = try DecoderTensors(checking: header, config: try DecoderConfig(header))
  }

  /// The tokens of a prompt.
  ///
  /// - Parameter addsSpecial: whether the token that begins a text is put before it; a chat template has done so.
  package func tokenize(_ prompt: String, addsSpecial: Bool) -> [Int32] {
    tokenizer.ids(of: prompt, addsSpecial: addsSpecial)
  }

  /// What continues texts, with memory of its own. Several may be at work at once.
  ///
  /// - Parameter threads: at most so many; 0 takes the processors that there are.
  package func generator(_ limits: BatchGenerator.Limits, threads: Int = 0) -> BatchGenerator {
    BatchGenerator(model, bytes: decoder.bytes, limits: limits, threads: threads)
  }
}
