import CBlas

/// The weights of an encoder, ready for the kernels. Read-only once made, so threads share it.
struct EncoderWeights: Sendable {
  struct LayerNorm: Sendable {
    let gain: FloatBuffer
    let bias: FloatBuffer
  }

  struct Layer: Sendable {
    /// Query, key and value side by side.
    let queryKeyValue: Linear
    let attentionOutput: Linear
    let attentionNorm: LayerNorm
    let intermediate: Linear
    let output: Linear
    let outputNorm: LayerNorm
  }

  /// (vocabulary, hidden)
  let words: FloatBuffer
  /// (positions, hidden)
  let positions: FloatBuffer
  /// (segments, hidden); one row of zeros for an architecture without segments.
  let segments: FloatBuffer
  let embeddingNorm: LayerNorm
  /// (heads, 2·maximumTokens − 1), where the architecture has it.
  let distanceBias: FloatBuffer?
  let layers: [Layer]
  /// What follows pooling.
  let projections: [Projection]
  /// Types that these weights have in their files, sorted.
  let elementTypes: [String]

  /// Throws `ModelError` naming the tensor that is missing, of another shape or type, or not known to the architecture.
  init(
    _ weights: ModelWeights, config: ModelConfig, precision: Precision, calibration: Calibration = .none
  ) throws(ModelError) {
    let reader = try TensorReader(weights.encoder, config: config, precision: precision, calibration: calibration)
    let (names, hidden) = (reader.names, config.hiddenSize)
    words = try reader.floats(names.words, [config.vocabularySize, hidden])
    positions = try reader.floats(names.positions, [config.positions, hidden])
    if let segments = names.segments {
      self.segments = try reader.floats(segments, [config.segments, hidden])
    } else {
      segments = FloatBuffer(count: hidden)
    }
    embeddingNorm = try reader.norm(names.embeddingNorm)
    if let bias = names.relativeBias {
      distanceBias = RelativeBias.byDistance(
        try reader.floats(bias, [RelativeBias.buckets, config.heads]), heads: config.heads, limit: config.maximumTokens)
    } else {
      distanceBias = nil
    }
    var layers: [Layer] = []
    for layer in 0..<config.layers {
      layers.append(
        Layer(
          queryKeyValue: try reader.linear(
            [\.query, \.key, \.value].map { names.part(layer, $0) }, outputs: hidden, inputs: hidden),
          attentionOutput: try reader.linear([names.part(layer, \.attentionOutput)], outputs: hidden, inputs: hidden),
          attentionNorm: try reader.norm(names.part(layer, \.attentionNorm)),
          intermediate: try reader.linear(
            [names.part(layer, \.intermediate)], outputs: config.intermediateSize, inputs: hidden),
          output: try reader.linear([names.part(layer, \.output)], outputs: hidden, inputs: config.intermediateSize),
          outputNorm: try reader.norm(names.part(layer, \.outputNorm))))
    }
    self.layers = layers
    var types = Set(names.types(weights.encoder.tensors))
    if let dense = weights.dense { types.formUnion(dense.tensors.headers[0].tensors.map(\.type.rawValue)) }
    elementTypes = types.sorted()
    projections = try Self.projections(weights, names, config)
  }

  private static func projections(
    _ weights: ModelWeights, _ names: EncoderTensors, _ config: ModelConfig
  ) throws(ModelError) -> [Projection] {
    let hidden = config.hiddenSize
    switch config.output {
    case .classification(let head):
      return [
        try Projection(
          weights.encoder, weight: "\(names.headInner).weight", bias: "\(names.headInner).bias", outputs: hidden,
          inputs: hidden, activation: config.architecture.head.activation),
        try Projection(
          weights.encoder, weight: "\(names.headOutput).weight", bias: "\(names.headOutput).bias",
          outputs: head.labels.count, inputs: hidden, activation: nil),
      ]
    case .embedding(let embedding):
      guard let dense = embedding.dense, let file = weights.dense else { return [] }
      return [
        try Projection(
          file, weight: "linear.weight", bias: dense.hasBias ? "linear.bias" : nil, outputs: dense.outputs,
          inputs: hidden, activation: dense.activation)
      ]
    }
  }
}

/// Reads tensors for the kernels.
private struct TensorReader {
  let names: EncoderTensors
  private let weights: Weights
  private let config: ModelConfig
  private let precision: Precision
  private let calibration: Calibration
  private let memory = WeightMemory()

  init(
    _ weights: Weights, config: ModelConfig, precision: Precision, calibration: Calibration
  ) throws(ModelError) {
    self.calibration = calibration
    self.weights = weights
    self.config = config
    self.precision = precision
    names = try EncoderTensors(checking: weights.tensors, config: config)
  }

  func floats(_ name: String, _ shape: [Int]) throws(ModelError) -> FloatBuffer {
    try weights.floats(name, shape: shape)
  }

  func norm(_ name: String) throws(ModelError) -> EncoderWeights.LayerNorm {
    .init(
      gain: try floats("\(name).weight", [config.hiddenSize]), bias: try floats("\(name).bias", [config.hiddenSize]))
  }

  /// Several linear maps of the same input become one, their outputs side by side.
  func linear(_ names: [String], outputs: Int, inputs: Int) throws(ModelError) -> Linear {
    var parts: [(weight: FloatBuffer, bias: FloatBuffer)] = []
    for name in names {
      parts.append((try floats("\(name).weight", [outputs, inputs]), try floats("\(name).bias", [outputs])))
    }
    var (scales, observer): ([Float]?, ChannelStatistics?)
    switch calibration {
    case .scales(let all) where precision == .int8: scales = try all.scales(of: names[0], inputs: inputs)
    case .observing(let all):
      observer = all.add(ChannelStatistics(product: names[0], parts: parts, inputs: inputs))
    default: break
    }
    return Linear(parts, inputs: inputs, precision: precision, inputScales: scales, observer: observer, memory: memory)
  }
}
