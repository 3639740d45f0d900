/// What config.json says of rotary embeddings: `rope_parameters`, or the older `rope_theta` and `rope_scaling`.
struct RotarySettings {
  let base: Double
  let scaling: RotaryEmbedding.Scaling
  /// Tokens of one sequence at most.
  let contextLength: Int

  /// - Parameter positions: `max_position_embeddings`.
  init(_ config: SettingsReader, positions: Int) throws(ModelError) {
    let name = config.has("rope_parameters") ? "rope_parameters" : "rope_scaling"
    let rope = config.has(name) ? try config.settings(name) : nil
    let holder = rope?.has("rope_theta") == true ? rope ?? config : config
    base = try holder.number("rope_theta", in: 2...1e12, default: 10_000)
    for settings in [rope, config] {
      guard let settings else { continue }
      if try settings.number("partial_rotary_factor", in: 0...1, default: 1) != 1 {
        throw settings.failure("partial_rotary_factor", "is not 1, which is not supported")
      }
    }
    guard let rope else {
      (scaling, contextLength) = (.none, positions)
      return
    }
    guard rope.has("rope_type") || rope.has("type") || !rope.object.members.contains(where: { $0.value.object != nil })
    else { throw config.failure(name, "differs from layer to layer, which is not supported") }
    let type = try rope.string("rope_type", default: try rope.string("type", default: "default"))
    switch type {
    case "default": (scaling, contextLength) = (.none, positions)
    case "linear": (scaling, contextLength) = (.linear(factor: try Self.factor(rope)), positions)
    // Frequencies would change with a sequence's length, and so keys that are turned already. Up to the length of the
    // training it changes nothing.
    case "dynamic":
      _ = try Self.factor(rope)
      let original = try rope.integer(
        "original_max_position_embeddings", in: 8...DecoderConfig.contextLimit, default: positions)
      (scaling, contextLength) = (.none, min(positions, original))
    case "llama3":
      let (low, high) = (
        try rope.number("low_freq_factor", in: 1e-3...1e6, default: 1),
        try rope.number("high_freq_factor", in: 1e-3...1e6, default: 4)
      )
      guard low < high else { throw rope.failure("high_freq_factor", "must be more than `low_freq_factor`") }
      scaling = .llama3(
        factor: try Self.factor(rope), lowFrequencyFactor: low, highFrequencyFactor: high,
        originalContext: try rope.integer("original_max_position_embeddings", in: 8...DecoderConfig.contextLimit))
      contextLength = positions
    case "yarn":
      let yarn = try Self.yarn(rope, positions: positions)
      scaling = .yarn(yarn)
      contextLength = min(
        DecoderConfig.contextLimit, max(positions, Int((Double(yarn.originalContext) * yarn.factor).rounded(.down))))
    default:
      throw rope.failure(
        "rope_type",
        "is `\(type.prefix(40))`; only default, linear, dynamic, llama3 and yarn are supported")
    }
  }

  private static func factor(_ rope: SettingsReader) throws(ModelError) -> Double {
    guard rope.has("factor") else { throw rope.failure("factor", "is missing") }
    return try rope.number("factor", in: 1...1024, default: 1)
  }

  private static func yarn(_ rope: SettingsReader, positions: Int) throws(ModelError) -> RotaryEmbedding.YaRN {
    var yarn = RotaryEmbedding.YaRN(
      factor: try factor(rope),
      originalContext: try rope.integer(
        "original_max_position_embeddings", in: 8...DecoderConfig.contextLimit, default: positions))
    yarn.betaFast = try rope.number("beta_fast", in: 1e-3...1e6, default: 32)
    yarn.betaSlow = try rope.number("beta_slow", in: 1e-3...1e6, default: 1)
    guard yarn.betaSlow < yarn.betaFast else { throw rope.failure("beta_fast", "must be more than `beta_slow`") }
    yarn.truncates = try rope.bool("truncate", default: true)
    let (scale, all) = (
      try rope.number("mscale", in: 0...100, default: 0), try rope.number("mscale_all_dim", in: 0...100, default: 0)
    )
    if rope.has("attention_factor") {
      yarn.attentionFactor = try rope.number("attention_factor", in: 1e-3...100, default: 1)
    } else if scale > 0, all > 0 {
      yarn.attentionFactor =
        RotaryEmbedding.YaRN.magnitude(yarn.factor, scale: scale)
        / RotaryEmbedding.YaRN.magnitude(yarn.factor, scale: all)
    }
    return yarn
  }
}
