/// What sets one family of decoders apart from the others. All are Llama's arithmetic: RMS norms before attention and
/// before the gated feed-forward layer, rotary positions, grouped keys and values.
package struct DecoderArchitecture: Sendable, Equatable {
  /// Which linear maps have an offset.
  enum Biases: Sendable, Equatable {
    case none
    /// Query, key and value.
    case queryKeyValue
    /// As `attention_bias` (all four of attention) and, where it exists, `mlp_bias` say.
    case asConfigured(feedForward: Bool)
  }

  /// Which layers see a window of the latest tokens only.
  enum Windows: Sendable, Equatable {
    case none
    /// All of them, where config.json has a `sliding_window`.
    case everywhere
    /// Those that `layer_types` names, or else those from `max_window_layers` on, where `use_sliding_window` is true.
    case someLayers
  }

  /// The `model_type` of config.json.
  package let name: String
  let biases: Biases
  let windows: Windows
  /// Whether queries and keys are normalised, head by head, before they are turned.
  let hasHeadNorms: Bool
  /// The epsilon of the norms where config.json does not say.
  let epsilon: Double

  /// The architectures that are computed, by the `model_type`.
  static func named(_ name: String) -> Self? { all.first { $0.name == name } }

  static let llama = Self(
    name: "llama", biases: .asConfigured(feedForward: true), windows: .none, hasHeadNorms: false, epsilon: 1e-6)
  static let mistral = Self(
    name: "mistral", biases: .none, windows: .everywhere, hasHeadNorms: false, epsilon: 1e-6)
  static let qwen2 = Self(
    name: "qwen2", biases: .queryKeyValue, windows: .someLayers, hasHeadNorms: false, epsilon: 1e-6)
  static let qwen3 = Self(
    name: "qwen3", biases: .asConfigured(feedForward: false), windows: .someLayers, hasHeadNorms: true, epsilon: 1e-6)

  static let all = [llama, mistral, qwen2, qwen3]
}
