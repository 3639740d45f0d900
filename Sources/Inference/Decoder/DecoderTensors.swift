/// Which tensors a decoder of a given configuration has, under transformers' names, so that its files can be judged by
/// their headers alone.
struct DecoderTensors: Sendable {
  private let config: DecoderConfig
  /// `model.`, or nothing where the decoder was saved without its head.
  private let prefix: String

  /// Under the names of a decoder that was saved with its head.
  init(_ config: DecoderConfig, prefix: String = "model.") { (self.config, self.prefix) = (config, prefix) }

  /// Checks names, shapes and types. A tensor beyond the architecture's own is refused: it would be an adapter that
  /// silently did nothing.
  init(checking tensors: TensorDirectory, config: DecoderConfig) throws(ModelError) {
    let hasPrefix = tensors["embed_tokens.weight"] == nil
    self.init(config, prefix: hasPrefix ? "model." : "")
    var known = Set<[UInt8]>()
    for (name, shape) in shapes {
      _ = try tensors.require(name, shape: shape)
      known.insert(Array(name.utf8))
    }
    for header in tensors.headers {
      for tensor in header.tensors where !known.contains(Array(tensor.name.utf8)) {
        // A tied head may be saved once more; frequencies were by older versions.
        guard (tensor.name == Self.head && config.tiesHead) || tensor.name.hasSuffix(".rotary_emb.inv_freq") else {
          throw SafetensorsHeader.failure(
            header.file, tensor.name, "is not part of a \(config.architecture.name) decoder of this configuration")
        }
      }
    }
  }

  static let head = "lm_head.weight"
  var embeddings: String { "\(prefix)embed_tokens.weight" }
  var outputNorm: String { "\(prefix)norm.weight" }

  /// A part of a layer: `self_attn.q_proj`, say.
  func part(_ layer: Int, _ name: String) -> String { "\(prefix)layers.\(layer).\(name)" }

  /// Every tensor that is needed, with its shape.
  var shapes: [(name: String, shape: [Int])] {
    let hidden = config.hiddenSize
    var shapes: [(name: String, shape: [Int])] = [
      (embeddings, [config.vocabularySize, hidden]), (outputNorm, [hidden]),
    ]
    if !config.tiesHead { shapes.append((Self.head, [config.vocabularySize, hidden])) }
    for layer in 0..<config.layers {
      for name in ["input_layernorm", "post_attention_layernorm"] {
        shapes.append(("\(part(layer, name)).weight", [hidden]))
      }
      if config.architecture.hasHeadNorms {
        for name in ["q_norm", "k_norm"] {
          shapes.append(("\(part(layer, "self_attn.\(name)")).weight", [config.headWidth]))
        }
      }
      for map in maps(layer) {
        shapes.append(("\(map.name).weight", [map.outputs, map.inputs]))
        if map.hasBias { shapes.append(("\(map.name).bias", [map.outputs])) }
      }
    }
    return shapes
  }

  /// A linear map of a layer.
  struct Map {
    let name: String
    let outputs: Int
    let inputs: Int
    let hasBias: Bool
  }

  /// The linear maps of a layer: query, key, value, attention's output, gate, up, down.
  func maps(_ layer: Int) -> [Map] {
    let (hidden, inner, biases) = (config.hiddenSize, config.intermediateSize, config.biases)
    func map(_ name: String, _ outputs: Int, _ inputs: Int, _ hasBias: Bool) -> Map {
      Map(name: part(layer, name), outputs: outputs, inputs: inputs, hasBias: hasBias)
    }
    return [
      map("self_attn.q_proj", config.queryWidth, hidden, biases.queryKeyValue),
      map("self_attn.k_proj", config.keyValueWidth, hidden, biases.queryKeyValue),
      map("self_attn.v_proj", config.keyValueWidth, hidden, biases.queryKeyValue),
      map("self_attn.o_proj", hidden, config.queryWidth, biases.attentionOutput),
      map("mlp.gate_proj", inner, hidden, biases.feedForward), map("mlp.up_proj", inner, hidden, biases.feedForward),
      map("mlp.down_proj", hidden, inner, biases.feedForward),
    ]
  }

  /// Numbers in all.
  var parameters: Int { shapes.reduce(0) { $0 + $1.shape.reduce(1, *) } }

  /// Types of the tensors, such as `BF16`, sorted.
  func types(_ tensors: TensorDirectory) -> [String] {
    Set(shapes.compactMap { tensors[$0.name]?.tensor.type.rawValue }).sorted()
  }
}
