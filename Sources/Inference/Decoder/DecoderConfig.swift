/// The shape of a decoder, from a Hugging Face folder's config.json. Everything that would change the numbers and is not
/// computed here is refused.
package struct DecoderConfig: Sendable, Equatable {
  package let architecture: DecoderArchitecture
  /// Width of a token's vector.
  package let hiddenSize: Int
  package let layers: Int
  /// Heads of queries.
  package let heads: Int
  /// Heads of keys and values; each serves as many heads of queries.
  package let keyValueHeads: Int
  package let headWidth: Int
  /// Width of the feed-forward layer's inside.
  package let intermediateSize: Int
  package let vocabularySize: Int
  /// Tokens of one sequence at most, prompt and output together.
  package internal(set) var contextLength: Int
  package let normEpsilon: Float
  package let rotary: RotaryEmbedding
  /// Whether the embedding table is the last linear map, too.
  package internal(set) var tiesHead: Bool
  /// Which linear maps have an offset.
  let biases: Biases
  /// For each layer the tokens that one sees, itself included; nil for all before it.
  package let windows: [Int?]
  /// Tokens that end a text.
  package let endTokens: [Int32]

  /// Which linear maps have an offset.
  struct Biases: Sendable, Equatable {
    var queryKeyValue = false
    var attentionOutput = false
    var feedForward = false
  }

  /// Numbers of all heads of queries of one token.
  var queryWidth: Int { heads * headWidth }
  /// Numbers of all heads of keys, or of values, of one token.
  var keyValueWidth: Int { keyValueHeads * headWidth }

  static let generationFile = "generation_config.json"
  static let contextLimit = 1 << 20
  static let endTokenLimit = 64

  /// The same without a head, which embeddings have no use for: files of such models often have none.
  var withoutHead: DecoderConfig {
    var config = self
    config.tiesHead = true
    return config
  }

  /// True when config.json is of a decoder's `model_type`, and no modules.json makes embeddings of what it computes.
  package static func isDecoder(_ files: ModelFiles) throws(ModelError) -> Bool {
    guard let config = try files.settings(ModelConfig.file), files[ModelOutput.modulesFile] == nil else { return false }
    return DecoderArchitecture.named(try config.string("model_type", default: "")) != nil
  }

  /// Throws `ModelError` with the file and the member that are missing, out of bounds or not supported.
  package init(files: ModelFiles) throws(ModelError) {
    guard let config = try files.settings(ModelConfig.file) else {
      throw ModelError(ModelConfig.file, "is missing")
    }
    let name = try config.string("model_type")
    guard let architecture = DecoderArchitecture.named(name) else {
      let known = DecoderArchitecture.all.map { "`\($0.name)`" }.joined(separator: ", ")
      throw config.failure("model_type", "is `\(name.prefix(40))`; supported decoders are \(known)")
    }
    self.architecture = architecture
    if config.has("quantization_config") { throw config.failure("quantization_config", "is not supported") }
    try config.require("hidden_act", "silu", default: "silu")

    hiddenSize = try config.integer("hidden_size", in: 16...16384)
    layers = try config.integer("num_hidden_layers", in: 1...160)
    heads = try config.integer("num_attention_heads", in: 1...256)
    keyValueHeads = try config.integer("num_key_value_heads", in: 1...256, default: heads)
    headWidth = try config.integer("head_dim", in: 16...256, default: max(16, hiddenSize / heads))
    intermediateSize = try config.integer("intermediate_size", in: 16...131_072)
    vocabularySize = try config.integer("vocab_size", in: 8...1_000_000)
    let positions = try config.integer("max_position_embeddings", in: 8...Self.contextLimit)
    normEpsilon = Float(try config.number("rms_norm_eps", in: 1e-14...1e-2, default: architecture.epsilon))
    tiesHead = try config.bool("tie_word_embeddings", default: false)
    let rope = try RotarySettings(config, positions: positions)
    rotary = RotaryEmbedding(base: rope.base, headWidth: headWidth, scaling: rope.scaling)
    contextLength = rope.contextLength
    biases = try Self.biases(config, architecture)
    windows = try Self.windows(config, architecture, layers: layers)
    endTokens = try Self.endTokens(files, config, below: vocabularySize)
    try check { config.failure($0, $1) }
  }

  /// What config.json and a GGUF file's header must both keep to. `failure` names the member.
  func check(_ failure: (String, String) -> ModelError) throws(ModelError) {
    guard hiddenSize % 16 == 0 else { throw failure("hidden_size", "must be a multiple of 16") }
    guard headWidth % 16 == 0 else { throw failure("head_dim", "must be a multiple of 16") }
    guard intermediateSize % 16 == 0 else { throw failure("intermediate_size", "must be a multiple of 16") }
    guard heads % keyValueHeads == 0 else {
      throw failure("num_attention_heads", "must be a multiple of `num_key_value_heads`")
    }
    guard queryWidth <= 65536 else { throw failure("num_attention_heads", "times `head_dim` is more than 65536") }
  }

  private static func biases(
    _ config: SettingsReader, _ architecture: DecoderArchitecture
  ) throws(ModelError) -> Biases {
    switch architecture.biases {
    case .none: return Biases()
    case .queryKeyValue: return Biases(queryKeyValue: true)
    case .asConfigured(let feedForward):
      let attention = try config.bool("attention_bias", default: false)
      let inner = feedForward ? try config.bool("mlp_bias", default: false) : false
      return Biases(queryKeyValue: attention, attentionOutput: attention, feedForward: inner)
    }
  }

  private static func windows(
    _ config: SettingsReader, _ architecture: DecoderArchitecture, layers: Int
  ) throws(ModelError) -> [Int?] {
    let none = [Int?](repeating: nil, count: layers)
    func window() throws(ModelError) -> Int { try config.integer("sliding_window", in: 1...contextLimit) }
    switch architecture.windows {
    case .none: return none
    case .everywhere:
      guard config.has("sliding_window") else { return none }
      return Array(repeating: try window(), count: layers)
    case .someLayers:
      guard try config.bool("use_sliding_window", default: false), config.has("sliding_window") else { return none }
      let window = try window()
      guard config.has("layer_types") else {
        let first = try config.integer("max_window_layers", in: 0...10_000, default: 28)
        return (0..<layers).map { $0 >= first ? window : nil }
      }
      let types = try config.strings("layer_types", default: [])
      guard types.count == layers, types.allSatisfy({ ["full_attention", "sliding_attention"].contains($0) }) else {
        throw config.failure("layer_types", "must say full_attention or sliding_attention of each layer")
      }
      return types.map { $0 == "sliding_attention" ? window : nil }
    }
  }

  /// As generation_config.json says, or else config.json: one id or several.
  private static func endTokens(
    _ files: ModelFiles, _ config: SettingsReader, below limit: Int
  ) throws(ModelError) -> [Int32] {
    let generation = try files.settings(generationFile)
    let settings = generation?.has("eos_token_id") == true ? generation ?? config : config
    guard settings.has("eos_token_id") else { return [] }
    let value = settings.object["eos_token_id"]
    let values = value?.array ?? value.map { [$0] } ?? []
    let ids = values.compactMap(\.integer).filter { (0..<limit).contains($0) }
    guard ids.count == values.count, ids.count <= endTokenLimit else {
      throw settings.failure("eos_token_id", "must be an id of the vocabulary, or at most \(endTokenLimit) of them")
    }
    return ids.map(Int32.init)
  }
}
