/// What sets one family of encoders apart from the others: what its configuration and its tensors are called, where its
/// positions begin, and what it adds to BERT. Everything else is the same arithmetic.
struct EncoderArchitecture: Sendable {
  /// Members of config.json.
  struct Keys: Sendable {
    var hiddenSize = "hidden_size"
    var layers = "num_hidden_layers"
    var heads = "num_attention_heads"
    var intermediateSize = "intermediate_size"
    var activation = "hidden_act"
  }

  /// Parts of one layer; each has `.weight` and `.bias`.
  struct Layer: Sendable {
    /// Comes before the layer's number.
    var before = "encoder.layer."
    var query = "attention.self.query"
    var key = "attention.self.key"
    var value = "attention.self.value"
    var attentionOutput = "attention.output.dense"
    var attentionNorm = "attention.output.LayerNorm"
    var intermediate = "intermediate.dense"
    var output = "output.dense"
    var outputNorm = "output.LayerNorm"
  }

  /// Which row of the position table a token gets.
  enum Positions: Sendable {
    /// The first token gets row 0.
    case fromZero
    /// The first token gets the row after the padding token's id; a padding token amid the text gets the row of its id.
    /// Nil takes the id from config.json.
    case afterPadding(Int?)
  }

  /// The two maps of a classification head; the first reads the first token's vector.
  struct Head: Sendable {
    var inner = "classifier.dense"
    /// Whether the inner map's name stands under the model's prefix.
    var innerHasPrefix = false
    var activation = Activation.tanh
    var output = "classifier.out_proj"
  }

  /// The `model_type` of config.json.
  let name: String
  /// Before the names of the encoder's tensors, where a head stands beside it.
  let prefix: String
  var keys = Keys()
  var layer = Layer()
  var positions = Positions.fromZero
  /// Segments where config.json does not say; nil for an architecture without.
  var segments: Int? = 2
  /// The epsilon of layer norms where config.json does not say.
  var epsilon = 1e-12
  /// Whether config.json may say another.
  var epsilonIsFixed = false
  /// A table (buckets, heads) of biases by distance, which all layers share.
  var relativeBias: String?
  var head = Head()
  /// Parts of a checkpoint that are not computed with, such as the head of its training.
  var unused: [String]

  /// The architectures that are computed, by the `model_type`.
  static func named(_ name: String) -> Self? { all.first { $0.name == name } }

  static let all = [bert, distilbert, roberta, xlmRoberta, mpnet]

  private static let bert = Self(
    name: "bert", prefix: "bert.",
    head: .init(inner: "pooler.dense", innerHasPrefix: true, output: "classifier"),
    unused: ["embeddings.position_ids", "pooler.", "cls."])

  private static let distilbert = Self(
    name: "distilbert", prefix: "distilbert.",
    keys: .init(
      hiddenSize: "dim", layers: "n_layers", heads: "n_heads", intermediateSize: "hidden_dim", activation: "activation"),
    layer: .init(
      before: "transformer.layer.", query: "attention.q_lin", key: "attention.k_lin", value: "attention.v_lin",
      attentionOutput: "attention.out_lin", attentionNorm: "sa_layer_norm", intermediate: "ffn.lin1",
      output: "ffn.lin2", outputNorm: "output_layer_norm"),
    segments: nil, epsilonIsFixed: true,
    head: .init(inner: "pre_classifier", activation: .relu, output: "classifier"),
    unused: ["embeddings.position_ids", "vocab_transform.", "vocab_layer_norm.", "vocab_projector."])

  private static let roberta = Self(
    name: "roberta", prefix: "roberta.", positions: .afterPadding(nil),
    unused: ["embeddings.position_ids", "embeddings.token_type_ids", "pooler.", "lm_head."])

  private static let xlmRoberta = Self(
    name: "xlm-roberta", prefix: "roberta.", positions: .afterPadding(nil), unused: roberta.unused)

  private static let mpnet = Self(
    name: "mpnet", prefix: "mpnet.",
    layer: .init(
      query: "attention.attn.q", key: "attention.attn.k", value: "attention.attn.v",
      attentionOutput: "attention.attn.o", attentionNorm: "attention.LayerNorm"),
    positions: .afterPadding(1), segments: nil, relativeBias: "encoder.relative_attention_bias.weight",
    unused: ["embeddings.position_ids", "pooler.", "lm_head."])
}

/// A function of one number, by its name in configuration files.
enum Activation: String, Sendable {
  /// By erf, exact.
  case gelu
  case geluTanh
  case relu
  case tanh
  case sigmoid

  /// From the name that transformers uses.
  init?(transformers name: String) {
    switch name {
    case "gelu", "gelu_python": self = .gelu
    case "gelu_new", "gelu_pytorch_tanh", "gelu_fast": self = .geluTanh
    case "relu": self = .relu
    default: return nil
    }
  }
}
