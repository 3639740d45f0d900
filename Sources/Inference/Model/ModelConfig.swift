/// The shape of an encoder and what becomes of its token vectors, from a Hugging Face or sentence-transformers folder.
/// Everything that would change the numbers and is not computed here is refused.
package struct ModelConfig: Sendable {
  /// The `model_type`, such as `bert`.
  package var architectureName: String { architecture.name }
  /// Of an encoder. Of a decoder it has the name alone.
  let architecture: EncoderArchitecture
  /// Set where a decoder gives the embeddings; of what is below, the numbers are its.
  package let decoder: DecoderConfig?
  /// Width of a token's vector.
  package let hiddenSize: Int
  package let layers: Int
  package let heads: Int
  /// Width of the feed-forward layer's inside.
  package let intermediateSize: Int
  package let vocabularySize: Int
  /// Rows of the position table.
  package let positions: Int
  /// Rows of the segment table; 0 for an architecture without one.
  package let segments: Int
  /// Tokens of this id take no position of their own; nil where positions simply count from 0.
  let paddingToken: Int?
  let activation: Activation
  package let layerNormEpsilon: Float
  /// How token vectors become a result.
  package internal(set) var output: ModelOutput
  /// Texts that may be put before an input.
  package let prompts: Prompts
  /// Whether the second text of a pair is of another segment than the first, where the tokenizer says so.
  let usesSegments: Bool
  /// Tokens of one input, [CLS] and [SEP] included; the rest is cut off.
  package let maximumTokens: Int

  /// Width of one attention head.
  package var headWidth: Int { hiddenSize / heads }
  /// Floats of a result: of an embedding, or one for each label.
  package var dimensions: Int {
    switch output {
    case .embedding(let embedding): embedding.dense?.outputs ?? hiddenSize
    case .classification(let head): head.labels.count
    }
  }
  /// Row of the position table that a sequence's first token gets.
  package var firstPosition: Int { paddingToken.map { $0 + 1 } ?? 0 }
  /// The dense module after pooling, if any.
  var dense: DenseModule? {
    if case .embedding(let embedding) = output { embedding.dense } else { nil }
  }
  var pooling: ModelOutput.Pooling {
    if case .embedding(let embedding) = output { embedding.pooling } else { .cls }
  }

  /// The same model without the function that makes scores of logits.
  var givingLogits: ModelConfig {
    guard case .classification(let head) = output else { return self }
    var config = self
    config.output = .classification(ClassificationHead(labels: head.labels, function: .identity))
    return config
  }

  /// The files that say all this, in clear.
  static let file = "config.json"
  static let sentenceFile = "sentence_bert_config.json"
  static let tokenizerSettingsFile = "tokenizer_config.json"

  /// Throws `ModelError` with the file and the member that are missing, out of bounds or not supported.
  package init(files: ModelFiles) throws(ModelError) {
    guard let config = try files.settings(Self.file) else { throw ModelError(Self.file, "is missing") }
    if try Self.isEmbeddingDecoder(files, config) {
      try self.init(decoderOf: files, config)
    } else {
      try self.init(encoderOf: files, config)
    }
  }

  private init(encoderOf files: ModelFiles, _ config: SettingsReader) throws(ModelError) {
    architecture = try Self.architecture(config)
    decoder = nil
    try config.require("position_embedding_type", "absolute", default: "absolute")
    for name in ["is_decoder", "add_cross_attention"] where try config.bool(name, default: false) {
      throw config.failure(name, "is true; only encoders are supported")
    }
    if config.has("quantization_config") { throw config.failure("quantization_config", "is not supported") }

    let keys = architecture.keys
    hiddenSize = try config.integer(keys.hiddenSize, in: 16...8192)
    layers = try config.integer(keys.layers, in: 1...64)
    heads = try config.integer(keys.heads, in: 1...128)
    intermediateSize = try config.integer(keys.intermediateSize, in: 16...32768)
    guard hiddenSize % heads == 0, (hiddenSize / heads) % 16 == 0 else {
      throw config.failure(keys.hiddenSize, "divided by `\(keys.heads)` must be a multiple of 16")
    }
    guard intermediateSize % 16 == 0 else { throw config.failure(keys.intermediateSize, "must be a multiple of 16") }
    let activationName = try config.string(keys.activation, default: "gelu")
    guard let activation = Activation(transformers: activationName) else {
      throw config.failure(keys.activation, "is `\(activationName.prefix(40))`, which is not computed here")
    }
    self.activation = activation
    vocabularySize = try config.integer("vocab_size", in: 8...1_000_000)
    positions = try config.integer("max_position_embeddings", in: 8...4096)
    segments =
      try architecture.segments.map { (count) throws(ModelError) in
        try config.integer("type_vocab_size", in: 1...16, default: count)
      } ?? 0
    paddingToken = try Self.paddingToken(config, architecture, below: min(vocabularySize, positions - 4))
    let epsilon = try config.number("layer_norm_eps", in: 1e-14...1e-2, default: architecture.epsilon)
    layerNormEpsilon = Float(architecture.epsilonIsFixed ? architecture.epsilon : epsilon)
    if architecture.relativeBias != nil {
      let buckets = try config.integer("relative_attention_num_buckets", in: 1...4096, default: RelativeBias.buckets)
      guard buckets == RelativeBias.buckets else {
        throw config.failure("relative_attention_num_buckets", "must be \(RelativeBias.buckets)")
      }
    }

    output = try ModelOutput(files: files, config: config, width: hiddenSize)
    prompts = try Prompts(files: files)
    if case .embedding(let embedding) = output, !embedding.poolsPrompt,
      prompts.texts.values.contains(where: { !$0.isEmpty })
    {
      throw ModelError(
        Prompts.file, "has prompts, and pooling leaves them out (`include_prompt`), which is not supported")
    }
    usesSegments = segments > 0 ? try Self.namesSegments(files) : false
    maximumTokens = try Self.maximumTokens(files, positions: positions - (paddingToken.map { $0 + 1 } ?? 0))
  }

  private static func architecture(_ config: SettingsReader) throws(ModelError) -> EncoderArchitecture {
    let name = try config.string("model_type")
    guard let architecture = EncoderArchitecture.named(name) else {
      let known = EncoderArchitecture.all.map { "`\($0.name)`" }.joined(separator: ", ")
      throw config.failure("model_type", "is `\(name.prefix(40))`; supported are \(known)")
    }
    return architecture
  }

  private static func paddingToken(
    _ config: SettingsReader, _ architecture: EncoderArchitecture, below limit: Int
  ) throws(ModelError) -> Int? {
    switch architecture.positions {
    case .fromZero: nil
    case .afterPadding(let fixed?): fixed
    case .afterPadding(nil): try config.integer("pad_token_id", in: 0...limit - 1, default: 1)
    }
  }

  /// transformers' rule: a tokenizer names the inputs that it makes. BERT's own class names segments unasked, the class
  /// that only holds a tokenizer.json does not.
  private static func namesSegments(_ files: ModelFiles) throws(ModelError) -> Bool {
    guard let settings = try files.settings(tokenizerSettingsFile) else { return true }
    if settings.has("model_input_names") {
      return try settings.strings("model_input_names", default: []).contains("token_type_ids")
    }
    let name = try settings.string("tokenizer_class", default: "BertTokenizer")
    return !["PreTrainedTokenizerFast", "TokenizersBackend"].contains(name)
  }

  static func maximumTokens(_ files: ModelFiles, positions: Int) throws(ModelError) -> Int {
    if let sentence = try files.settings(sentenceFile) {
      if try sentence.bool("do_lower_case", default: false) {
        throw sentence.failure("do_lower_case", "is true; let the tokenizer lower the case")
      }
      if sentence.has("max_seq_length") {
        return min(positions, try sentence.integer("max_seq_length", in: 3...1_000_000))
      }
    }
    // Hugging Face writes "no limit" as 10³⁰, which is no integer here.
    let limit = try files.settings(tokenizerSettingsFile)?.object["model_max_length"]?.integer
    return min(positions, max(3, limit ?? positions))
  }
}
