/// The shape of a BERT-style encoder and how its token vectors become one embedding, from a Hugging Face or
/// sentence-transformers folder. Everything that would change the numbers and is not computed here is refused.
package struct ModelConfig: Sendable, Equatable {
  /// How token vectors become one.
  package enum Pooling: String, Sendable {
    case mean, cls
  }

  /// Width of a token's vector, and of the embedding.
  package let hiddenSize: Int
  package let layers: Int
  package let heads: Int
  /// Width of the feed-forward layer's inside.
  package let intermediateSize: Int
  package let vocabularySize: Int
  /// Rows of the position table.
  package let positions: Int
  package let segments: Int
  package let layerNormEpsilon: Float
  package let pooling: Pooling
  /// Whether the embedding is scaled to length one.
  package let normalizes: Bool
  /// Tokens of one input, [CLS] and [SEP] included; the rest is cut off.
  package let maximumTokens: Int

  /// Width of one attention head.
  package var headWidth: Int { hiddenSize / heads }

  /// The files that say all this, in clear.
  static let file = "config.json"
  /// The `model_type` that is computed.
  static let architecture = "bert"
  static let sentenceFile = "sentence_bert_config.json"
  static let modulesFile = "modules.json"
  static let tokenizerSettingsFile = "tokenizer_config.json"

  /// Throws `ModelError` with the file and the member that are missing, out of bounds or not supported.
  package init(files: ModelFiles) throws(ModelError) {
    guard let config = try files.settings(Self.file) else { throw ModelError(Self.file, "is missing") }
    try config.require("model_type", Self.architecture)
    try config.require("hidden_act", "gelu", default: "gelu")
    try config.require("position_embedding_type", "absolute", default: "absolute")
    for name in ["is_decoder", "add_cross_attention"] where try config.bool(name, default: false) {
      throw config.failure(name, "is true; only encoders are supported")
    }
    if config.has("quantization_config") { throw config.failure("quantization_config", "is not supported") }

    hiddenSize = try config.integer("hidden_size", in: 16...8192)
    layers = try config.integer("num_hidden_layers", in: 1...64)
    heads = try config.integer("num_attention_heads", in: 1...128)
    intermediateSize = try config.integer("intermediate_size", in: 16...32768)
    vocabularySize = try config.integer("vocab_size", in: 8...1_000_000)
    positions = try config.integer("max_position_embeddings", in: 8...4096)
    segments = try config.integer("type_vocab_size", in: 1...16, default: 2)
    layerNormEpsilon = Float(try config.number("layer_norm_eps", in: 1e-14...1e-2, default: 1e-12))
    guard hiddenSize % heads == 0, (hiddenSize / heads) % 16 == 0 else {
      throw config.failure("hidden_size", "divided by `num_attention_heads` must be a multiple of 16")
    }
    guard intermediateSize % 16 == 0 else { throw config.failure("intermediate_size", "must be a multiple of 16") }

    (pooling, normalizes) = try Self.modules(files, width: hiddenSize)
    maximumTokens = try Self.maximumTokens(files, positions: positions)
  }

  /// sentence-transformers' rule: modules.json lists the steps; without it, the mean of the tokens.
  private static func modules(_ files: ModelFiles, width: Int) throws(ModelError) -> (Pooling, normalizes: Bool) {
    guard let modules = try files.json(modulesFile) else { return (.mean, false) }
    var types: [String] = []
    var poolingFile = "1_Pooling/config.json"
    for module in modules.array ?? [] {
      guard let object = module.object else { throw ModelError(modulesFile, "must be an array of objects") }
      let reader = SettingsReader(file: modulesFile, object: object)
      guard let type = try reader.string("type").split(separator: ".").last else {
        throw reader.failure("type", "is empty")
      }
      types.append(String(type))
      if type == "Pooling" { poolingFile = try reader.string("path") + "/config.json" }
    }
    guard types.starts(with: ["Transformer", "Pooling"]), types.count <= 3,
      types.dropFirst(2).allSatisfy({ $0 == "Normalize" })
    else { throw ModelError(modulesFile, "must list Transformer, Pooling and perhaps Normalize, and nothing else") }
    return (try poolingMode(files, file: poolingFile, width: width), types.count == 3)
  }

  private static func poolingMode(_ files: ModelFiles, file: String, width: Int) throws(ModelError) -> Pooling {
    guard let settings = try files.settings(file) else { throw ModelError(file, "is missing") }
    guard try settings.integer("word_embedding_dimension", in: 1...8192, default: width) == width else {
      throw settings.failure("word_embedding_dimension", "differs from config.json's `hidden_size`")
    }
    var modes: [String] = []
    for member in settings.object.members where member.name.hasPrefix("pooling_mode_") && member.value == .bool(true) {
      modes.append(member.name)
    }
    switch modes {
    case ["pooling_mode_mean_tokens"]: return .mean
    case ["pooling_mode_cls_token"]: return .cls
    default: throw ModelError(file, "exactly one of mean and CLS pooling is supported")
    }
  }

  private static func maximumTokens(_ files: ModelFiles, positions: Int) throws(ModelError) -> Int {
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
