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

  /// Memory that it takes.
  package let footprint: DecoderFootprint

  private let model: DecoderModel

  /// Tokens of one sequence at most, prompt and output together.
  package var contextLength: Int { config.contextLength }
  /// The chat template; nil where the model has none that can be read, as ``conversations`` says.
  package var template: ChatTemplate? { conversations.files?.template }
  /// Such as `llama`.
  package var architecture: String { config.architecture.name }

  /// Reads a model whose safetensors files are whole in memory; ``DecoderLoader`` takes them piece by piece.
  /// Throws `ModelError` with the file, the part of it and the reason.
  package convenience init(files: ModelFiles, weights: [WeightsFile], precision: Precision) throws(ModelError) {
    let loader = try DecoderLoader(files: files, precision: precision, weightFiles: weights.map(\.name))
    guard case .safetensors(let shards, _, _) = loader.source else { throw ModelError(WeightsFile.name, "is missing") }
    for file in weights {
      let stream = try loader.stream(file.name, size: file.bytes.count)
      try stream.append(file.bytes)
      try stream.finish()
    }
    try self.init(files: files, shards, precision: precision)
  }

  /// Takes the weights of safetensors files, which were read to their ends.
  init(files: ModelFiles, _ shards: DecoderShards, precision: Precision) throws(ModelError) {
    try EngineKernel.checkEnvironment()
    (config, self.precision) = (shards.config, precision)
    tokenizer = try Tokenizer(files: files, maximumTokens: config.contextLength, decodes: true)
    guard tokenizer.idLimit <= config.vocabularySize, let decoder = tokenizer.decoder else {
      throw ModelError(TokenizerSettings.file, "has ids beyond config.json's `vocab_size`")
    }
    self.decoder = decoder
    conversations = Conversations(files: files)
    let loaded = try shards.weights()
    elementTypes = loaded.elementTypes
    model = DecoderModel(config: config, weights: loaded, precision: precision)
    footprint = DecoderFootprint(config, precision: precision)
  }

  /// Takes the weights of a GGUF file, which says everything else, too. Attention is computed in bf16.
  /// Throws `ModelError` with the file, the key or tensor and the reason.
  ///
  /// - Parameter contextLength: tokens of one sequence at most, where it is less than the model's own.
  package init(_ weights: GGUFWeights, contextLength: Int? = nil) throws(ModelError) {
    try EngineKernel.checkEnvironment()
    let header = try weights.header()
    config = try DecoderConfig(header).limited(to: contextLength, file: header.file)
    precision = .bf16
    tokenizer = try Tokenizer(header, maximumTokens: config.contextLength)
    guard tokenizer.idLimit <= config.vocabularySize, let decoder = tokenizer.decoder else {
      throw ModelError(header.file, "`tokenizer.ggml.tokens` has more tokens than `token_embd.weight` has rows")
    }
    self.decoder = decoder
    conversations = Conversations(header)
    let loaded = try DecoderWeights(weights, config: config)
    elementTypes = loaded.elementTypes
    model = DecoderModel(config: config, weights: loaded, precision: precision)
    footprint = DecoderFootprint(config, header)
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

  /// The logits behind the last of some tokens, which the context has room for: a look at what the model computes. Nil
  /// where there are none or too many, or an id has no row.
  package func logits(behind tokens: [Int32], threads: Int = 0) -> [Float]? {
    guard !tokens.isEmpty, tokens.count <= contextLength,
      tokens.allSatisfy({ (0..<config.vocabularySize).contains(Int($0)) })
    else { return nil }
    let pool = PagePool(
      config: config, precision: precision,
      bytes: PagePool.pages(tokens.count) * PagePool.pageBytes(config, precision: precision))
    let activations = DecoderActivations(
      config: config, weights: model.weights, rows: tokens.count, logitRows: 1, context: tokens.count,
      threads: threads > 0 ? threads : ThreadPool.processors)
    let pages = (0..<PagePool.pages(tokens.count)).map { _ in pool.take() }
    let part = DecoderStep.Part(tokens: tokens[...], position: 0, pages: pages, wantsLogits: true)
    model.compute(DecoderStep(parts: [part]), using: activations)
    return Array(UnsafeBufferPointer(start: activations.logits.pointer, count: config.vocabularySize))
  }
}
