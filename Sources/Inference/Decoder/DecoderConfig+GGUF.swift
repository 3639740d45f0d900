/// A decoder's shape from a GGUF file's metadata, under llama.cpp's keys: `llama.block_count` and the like.
extension DecoderConfig {
  /// Throws `ModelError` with the file and the key that are missing, out of bounds or not supported.
  package init(_ header: GGUFHeader) throws(ModelError) {
    let reader = try GGUFSettings(header)
    architecture = reader.architecture
    hiddenSize = try reader.integer("embedding_length", in: 16...16384)
    layers = try reader.integer("block_count", in: 1...160)
    heads = try reader.integer("attention.head_count", in: 1...256)
    keyValueHeads = try reader.integer("attention.head_count_kv", in: 1...256, default: heads)
    headWidth = try reader.integer("attention.key_length", in: 16...256, default: max(16, hiddenSize / heads))
    guard try reader.integer("attention.value_length", in: 16...256, default: headWidth) == headWidth else {
      throw reader.failure("attention.value_length", "must be that of the keys")
    }
    intermediateSize = try reader.integer("feed_forward_length", in: 16...131_072)
    guard try reader.integer("expert_count", in: 0...10_000, default: 0) == 0 else {
      throw reader.failure("expert_count", "is not 0; mixtures of experts are not supported")
    }
    guard let table = header["token_embd.weight"], table.shape.count == 2 else {
      throw SafetensorsHeader.failure(header.file, "token_embd.weight", "is missing, or no matrix")
    }
    vocabularySize = table.shape[0]
    guard (8...1_000_000).contains(vocabularySize) else {
      throw SafetensorsHeader.failure(header.file, table.name, "has not 8 to 1000000 rows")
    }
    normEpsilon = Float(
      try reader.number("attention.layer_norm_rms_epsilon", in: 1e-14...1e-2, default: architecture.epsilon))
    tiesHead = header["output.weight"] == nil
    let rope = try Self.rotary(reader, header, headWidth: headWidth)
    (rotary, contextLength) = (rope.rotary, rope.contextLength)
    biases = Biases(
      queryKeyValue: header["blk.0.attn_q.bias"] != nil, attentionOutput: header["blk.0.attn_output.bias"] != nil,
      feedForward: header["blk.0.ffn_gate.bias"] != nil)
    let window =
      reader.has("attention.sliding_window")
      ? try reader.integer("attention.sliding_window", in: 0...Self.contextLimit) : 0
    windows = Array(repeating: window > 0 ? window : nil, count: layers)
    endTokens = try reader.endTokens(below: vocabularySize)
    try check { reader.failure(GGUFSettings.names[$0] ?? $0, $1) }
  }

  private static func rotary(
    _ reader: GGUFSettings, _ header: GGUFHeader, headWidth: Int
  ) throws(ModelError) -> (rotary: RotaryEmbedding, contextLength: Int) {
    var context = try reader.integer("context_length", in: 8...contextLimit)
    let base = try reader.number("rope.freq_base", in: 2...1e12, default: 10_000)
    guard try reader.integer("rope.dimension_count", in: 2...1024, default: headWidth) == headWidth else {
      throw reader.failure("rope.dimension_count", "must be the width of a head")
    }
    let unread = ["ext_factor", "attn_factor", "beta_fast", "beta_slow", "log_multiplier"]
    for key in ["rope.scale_linear"] + unread.map({ "rope.scaling.yarn_\($0)" }) where reader.has(key) {
      throw reader.failure(key, "is not supported")
    }
    // As llama.cpp takes it.
    let type = try reader.string("rope.scaling.type", default: reader.has("rope.scaling.factor") ? "linear" : "none")
    guard type == "yarn" || !reader.has("rope.scaling.attn_factor") else {
      throw reader.failure("rope.scaling.attn_factor", "is supported with yarn only")
    }
    let original = try reader.integer("rope.scaling.original_context_length", in: 8...contextLimit, default: context)
    let scaling: RotaryEmbedding.Scaling
    switch type {
    case "none": scaling = .none
    case "linear":
      scaling = .linear(factor: try reader.number("rope.scaling.factor", in: 1...1024, default: 1))
    case "yarn":
      var yarn = RotaryEmbedding.YaRN(
        factor: try reader.number("rope.scaling.factor", in: 1...1024, default: 1), originalContext: original)
      if reader.has("rope.scaling.attn_factor") {
        let factor = try reader.number("rope.scaling.attn_factor", in: 1e-3...100, default: 1)
        yarn.attentionFactor = factor * RotaryEmbedding.YaRN.magnitude(yarn.factor)
      }
      context = min(contextLimit, max(context, Int((Double(original) * yarn.factor).rounded(.down))))
      scaling = .yarn(yarn)
    default:
      throw reader.failure("rope.scaling.type", "is `\(type.prefix(40))`; only none, linear and yarn are supported")
    }
    // llama.cpp's converter puts the queries and keys of Llama's into another order, in which neighbours are a pair.
    let rotary = RotaryEmbedding(
      base: base, headWidth: headWidth, scaling: scaling, isInterleaved: reader.architecture == .llama)
    return (rotary, context)
  }
}

/// Reads typed values of a GGUF file's metadata and names file and key in every refusal. Keys are the architecture's own:
/// `block_count` stands for `llama.block_count`.
struct GGUFSettings {
  let header: GGUFHeader
  let architecture: DecoderArchitecture

  /// config.json's names of what both must keep to, and GGUF's.
  static let names = [
    "hidden_size": "embedding_length", "head_dim": "attention.key_length", "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
  ]

  init(_ header: GGUFHeader) throws(ModelError) {
    self.header = header
    let name = header.metadata["general.architecture"]?.string ?? ""
    guard let architecture = DecoderArchitecture.named(name), architecture != .mistral else {
      throw ModelError(
        header.file, "`general.architecture` is `\(name.prefix(40))`; supported are `llama`, `qwen2` and `qwen3`")
    }
    self.architecture = architecture
  }

  private func key(_ name: String) -> String { "\(architecture.name).\(name)" }

  func failure(_ name: String, _ reason: String) -> ModelError { ModelError(header.file, "`\(key(name))` \(reason)") }

  func has(_ name: String) -> Bool { header.metadata[key(name)] != nil }

  func integer(_ name: String, in range: ClosedRange<Int>, default fallback: Int? = nil) throws(ModelError) -> Int {
    guard let value = header.metadata[key(name)] else {
      guard let fallback else { throw failure(name, "is missing") }
      guard range.contains(fallback) else {
        throw failure(name, "is missing, and \(fallback), which would follow from the others, is out of range")
      }
      return fallback
    }
    guard let integer = value.integer, range.contains(integer) else {
      throw failure(name, "must be an integer from \(range.lowerBound) to \(range.upperBound)")
    }
    return integer
  }

  func number(_ name: String, in range: ClosedRange<Double>, default fallback: Double) throws(ModelError) -> Double {
    guard let value = header.metadata[key(name)] else { return fallback }
    guard let number = value.double, range.contains(number) else {
      throw failure(name, "must be a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  func string(_ name: String, default fallback: String) throws(ModelError) -> String {
    guard let value = header.metadata[key(name)] else { return fallback }
    guard let string = value.string else { throw failure(name, "must be a text") }
    return string
  }

  /// The tokens that end a text, a turn or a message.
  func endTokens(below limit: Int) throws(ModelError) -> [Int32] {
    var ids: [Int32] = []
    for name in ["eos", "eot", "eom"] {
      let key = "tokenizer.ggml.\(name)_token_id"
      guard let value = header.metadata[key] else { continue }
      guard let id = value.integer, (0..<limit).contains(id) else {
        throw ModelError(header.file, "`\(key)` must be an id of the vocabulary")
      }
      if !ids.contains(Int32(id)) { ids.append(Int32(id)) }
    }
    return ids
  }
}
