/// Which tensors a decoder of a given configuration has, so that its files can be judged by their headers alone.
struct DecoderTensors: Sendable {
  /// What the tensors are called; layers' parts stand behind the layer's number, and all have `.weight` behind them.
  struct Names: Sendable {
    var embeddings: String
    var outputNorm: String
    var head: String
    var beforeLayer: String
    var inputNorm: String
    var innerNorm: String
    var queryNorm: String
    var keyNorm: String
    var query: String
    var key: String
    var value: String
    var attentionOutput: String
    var gate: String
    var up: String
    var down: String

    /// transformers' names, behind `model.` or, where the decoder was saved without its head, nothing.
    static func transformers(_ prefix: String) -> Names {
      Names(
        embeddings: "\(prefix)embed_tokens", outputNorm: "\(prefix)norm", head: "lm_head",
        beforeLayer: "\(prefix)layers.", inputNorm: "input_layernorm", innerNorm: "post_attention_layernorm",
        queryNorm: "self_attn.q_norm", keyNorm: "self_attn.k_norm", query: "self_attn.q_proj",
        key: "self_attn.k_proj", value: "self_attn.v_proj", attentionOutput: "self_attn.o_proj",
        gate: "mlp.gate_proj", up: "mlp.up_proj", down: "mlp.down_proj")
    }

    /// llama.cpp's names.
    static let gguf = Names(
      embeddings: "token_embd", outputNorm: "output_norm", head: "output", beforeLayer: "blk.", inputNorm: "attn_norm",
      innerNorm: "ffn_norm", queryNorm: "attn_q_norm", keyNorm: "attn_k_norm", query: "attn_q", key: "attn_k",
      value: "attn_v", attentionOutput: "attn_output", gate: "ffn_gate", up: "ffn_up", down: "ffn_down")
  }

  /// A linear map.
  struct Map {
    let name: String
    let outputs: Int
    let inputs: Int
    let hasBias: Bool
  }

  let names: Names
  private let config: DecoderConfig

  init(_ config: DecoderConfig, names: Names = .transformers("model.")) { (self.config, self.names) = (config, names) }

  /// Checks names, shapes and types of safetensors files. A tensor beyond the architecture's own is refused: it would be
  /// an adapter that silently did nothing.
  init(checking tensors: TensorDirectory, config: DecoderConfig) throws(ModelError) {
    let hasPrefix = tensors["embed_tokens.weight"] == nil
    self.init(config, names: .transformers(hasPrefix ? "model." : ""))
    var known = Set<[UInt8]>()
    for (name, shape) in shapes {
      _ = try tensors.require(name, shape: shape)
      known.insert(Array(name.utf8))
    }
    for header in tensors.headers {
      for tensor in header.tensors where !known.contains(Array(tensor.name.utf8)) {
        // A tied head may be saved once more; frequencies were by older versions.
        let isTied = config.tiesHead && tensor.name == "\(names.head).weight"
        guard isTied || tensor.name.hasSuffix(".rotary_emb.inv_freq") else {
          throw unknown(tensor.name, header.file)
        }
      }
    }
  }

  /// Checks names and shapes of a GGUF file in the same way.
  init(checking header: GGUFHeader, config: DecoderConfig) throws(ModelError) {
    self.init(config, names: .gguf)
    var known = Set<String>()
    for (name, shape) in shapes {
      _ = try header.require(name, shape: shape)
      known.insert(name)
    }
    for tensor in header.tensors where !known.contains(tensor.name) {
      guard tensor.name == Self.frequencyFactors, tensor.shape == [config.headWidth / 2] else {
        throw unknown(tensor.name, header.file)
      }
    }
  }

  /// What llama.cpp's converter makes of Llama 3's scaling of positions: what each pair's frequency is divided by.
  static let frequencyFactors = "rope_freqs.weight"

  private func unknown(_ name: String, _ file: String) -> ModelError {
    SafetensorsHeader.failure(
      file, name, "is not part of a \(config.architecture.name) decoder of this configuration")
  }

  /// A part of a layer, by its place among the names.
  func part(_ layer: Int, _ name: KeyPath<Names, String>) -> String {
    "\(names.beforeLayer)\(layer).\(names[keyPath: name])"
  }

  /// Every tensor that is needed, with its shape.
  var shapes: [(name: String, shape: [Int])] {
    let hidden = config.hiddenSize
    var shapes: [(name: String, shape: [Int])] = [
      ("\(names.embeddings).weight", [config.vocabularySize, hidden]), ("\(names.outputNorm).weight", [hidden]),
    ]
    if !config.tiesHead { shapes.append(("\(names.head).weight", [config.vocabularySize, hidden])) }
    for layer in 0..<config.layers {
      for name in [\Names.inputNorm, \.innerNorm] { shapes.append(("\(part(layer, name)).weight", [hidden])) }
      if config.architecture.hasHeadNorms {
        for name in [\Names.queryNorm, \.keyNorm] {
          shapes.append(("\(part(layer, name)).weight", [config.headWidth]))
        }
      }
      for map in maps(layer) {
        shapes.append(("\(map.name).weight", [map.outputs, map.inputs]))
        if map.hasBias { shapes.append(("\(map.name).bias", [map.outputs])) }
      }
    }
    return shapes
  }

  /// The linear maps of a layer: query, key, value, attention's output, gate, up, down.
  func maps(_ layer: Int) -> [Map] {
    let (hidden, inner, biases) = (config.hiddenSize, config.intermediateSize, config.biases)
    func map(_ name: KeyPath<Names, String>, _ outputs: Int, _ inputs: Int, _ hasBias: Bool) -> Map {
      Map(name: part(layer, name), outputs: outputs, inputs: inputs, hasBias: hasBias)
    }
    return [
      map(\.query, config.queryWidth, hidden, biases.queryKeyValue),
      map(\.key, config.keyValueWidth, hidden, biases.queryKeyValue),
      map(\.value, config.keyValueWidth, hidden, biases.queryKeyValue),
      map(\.attentionOutput, hidden, config.queryWidth, biases.attentionOutput),
      map(\.gate, inner, hidden, biases.feedForward), map(\.up, inner, hidden, biases.feedForward),
      map(\.down, hidden, inner, biases.feedForward),
    ]
  }

  /// Numbers in all.
  var parameters: Int { shapes.reduce(0) { $0 + $1.shape.reduce(1, *) } }

  /// Types of the tensors, such as `BF16`, sorted.
  func types(_ tensors: TensorDirectory) -> [String] {
    Set(shapes.compactMap { tensors[$0.name]?.tensor.type.rawValue }).sorted()
  }
}
