/// Which tensors a model of a given configuration has, so that its files can be judged by their headers alone.
struct EncoderTensors: Sendable {
  /// Before the names of the encoder's own tensors: the architecture's prefix, or nothing.
  let prefix: String
  private let config: ModelConfig
  private var architecture: EncoderArchitecture { config.architecture }

  init(prefix: String = "", config: ModelConfig) {
    self.prefix = prefix
    self.config = config
  }

  /// Checks names, shapes and types.
  ///
  /// A tensor beyond the architecture's own is refused: it would be an adapter or a head that silently did nothing.
  init(checking tensors: TensorDirectory, config: ModelConfig) throws(ModelError) {
    let prefix = config.architecture.prefix
    let hasPrefix = tensors[prefix + Self.words] != nil
    self.init(prefix: hasPrefix ? prefix : "", config: config)
    var known = Set<[UInt8]>()
    for (name, shape) in shapes {
      _ = try tensors.require(name, shape: shape)
      known.insert(Array(name.utf8))
    }
    for header in tensors.headers {
      for tensor in header.tensors where !known.contains(Array(tensor.name.utf8)) {
        guard
          architecture.unused.contains(where: { tensor.name.hasPrefix(prefix + $0) || tensor.name.hasPrefix($0) })
        else {
          throw SafetensorsHeader.failure(
            header.file, tensor.name, "is not part of a \(architecture.name) encoder with this output")
        }
      }
    }
  }

  private static let words = "embeddings.word_embeddings.weight"
  var words: String { prefix + Self.words }
  var positions: String { prefix + "embeddings.position_embeddings.weight" }
  var segments: String? { config.segments > 0 ? prefix + "embeddings.token_type_embeddings.weight" : nil }
  var embeddingNorm: String { prefix + "embeddings.LayerNorm" }
  var relativeBias: String? { architecture.relativeBias.map { prefix + $0 } }

  /// A part of a layer, by its place among the architecture's names.
  func part(_ layer: Int, _ name: KeyPath<EncoderArchitecture.Layer, String>) -> String {
    "\(prefix)\(architecture.layer.before)\(layer).\(architecture.layer[keyPath: name])"
  }

  /// The two maps of the classification head.
  var headInner: String { (architecture.head.innerHasPrefix ? prefix : "") + architecture.head.inner }
  var headOutput: String { architecture.head.output }

  /// Every tensor that is needed, with its shape.
  var shapes: [(name: String, shape: [Int])] {
    let (hidden, inner) = (config.hiddenSize, config.intermediateSize)
    var shapes: [(name: String, shape: [Int])] = [
      (words, [config.vocabularySize, hidden]), (positions, [config.positions, hidden]),
    ]
    if let segments { shapes.append((segments, [config.segments, hidden])) }
    if let relativeBias { shapes.append((relativeBias, [RelativeBias.buckets, config.heads])) }
    shapes += norm(embeddingNorm)
    for layer in 0..<config.layers {
      for name in [\EncoderArchitecture.Layer.query, \.key, \.value, \.attentionOutput] {
        shapes += linear(part(layer, name), hidden, hidden)
      }
      shapes += linear(part(layer, \.intermediate), inner, hidden) + linear(part(layer, \.output), hidden, inner)
      shapes += norm(part(layer, \.attentionNorm)) + norm(part(layer, \.outputNorm))
    }
    if case .classification(let head) = config.output {
      shapes += linear(headInner, hidden, hidden) + linear(headOutput, head.labels.count, hidden)
    }
    return shapes
  }

  private func norm(_ name: String) -> [(name: String, shape: [Int])] {
    [("\(name).weight", [config.hiddenSize]), ("\(name).bias", [config.hiddenSize])]
  }

  private func linear(_ name: String, _ outputs: Int, _ inputs: Int) -> [(name: String, shape: [Int])] {
    [("\(name).weight", [outputs, inputs]), ("\(name).bias", [outputs])]
  }

  /// Types of the tensors that are computed with, such as `F32`, sorted. Integer buffers such as position_ids are not
  /// among them.
  func types(_ tensors: TensorDirectory) -> [String] {
    Set(shapes.compactMap { tensors[$0.name]?.tensor.type.rawValue }).sorted()
  }

  /// Numbers in all that are computed with.
  var parameters: Int { shapes.reduce(0) { $0 + $1.shape.reduce(1, *) } }
}

extension DenseModule {
  /// Its tensors, with their shapes.
  func shapes(inputs: Int) -> [(name: String, shape: [Int])] {
    [("linear.weight", [outputs, inputs])] + (hasBias ? [("linear.bias", [outputs])] : [])
  }

  /// Checks names, shapes and types.
  func check(_ tensors: TensorDirectory, inputs: Int) throws(ModelError) {
    let shapes = shapes(inputs: inputs)
    for (name, shape) in shapes { _ = try tensors.require(name, shape: shape) }
    guard let header = tensors.headers.first, header.tensors.count == shapes.count else {
      throw ModelError(weightsFile, "has other tensors than linear.weight and linear.bias")
    }
  }
}
