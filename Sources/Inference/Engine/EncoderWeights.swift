import CBlas

/// The weights of a BERT encoder, ready for the kernels. Read-only once made, so threads share it.
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
  /// (segments, hidden); only the first row is used: an input is one segment.
  let segments: FloatBuffer
  let embeddingNorm: LayerNorm
  let layers: [Layer]
  /// Types that these weights have in their file, sorted.
  let elementTypes: [String]

  /// Throws `ModelError` naming the tensor that is missing, of another shape or type, or not known to BERT.
  init(_ file: WeightsFile, config: ModelConfig, precision: Precision) throws(ModelError) {
    let reader = try TensorReader(file, config: config, precision: precision)
    let hidden = config.hiddenSize
    words = try reader.floats("embeddings.word_embeddings.weight", [config.vocabularySize, hidden])
    positions = try reader.floats("embeddings.position_embeddings.weight", [config.positions, hidden])
    segments = try reader.floats("embeddings.token_type_embeddings.weight", [config.segments, hidden])
    embeddingNorm = try reader.norm("embeddings.LayerNorm")
    var layers: [Layer] = []
    for index in 0..<config.layers {
      let layer = "encoder.layer.\(index)."
      layers.append(
        Layer(
          queryKeyValue: try reader.linear(
            ["query", "key", "value"].map { "\(layer)attention.self.\($0)" }, outputs: hidden, inputs: hidden),
          attentionOutput: try reader.linear(["\(layer)attention.output.dense"], outputs: hidden, inputs: hidden),
          attentionNorm: try reader.norm("\(layer)attention.output.LayerNorm"),
          intermediate: try reader.linear(
            ["\(layer)intermediate.dense"], outputs: config.intermediateSize, inputs: hidden),
          output: try reader.linear(["\(layer)output.dense"], outputs: hidden, inputs: config.intermediateSize),
          outputNorm: try reader.norm("\(layer)output.LayerNorm")))
    }
    self.layers = layers
    elementTypes = reader.elementTypes
  }
}

/// Finds BERT's tensors under the prefix that the file uses.
private struct TensorReader {
  private let file: WeightsFile
  private let config: ModelConfig
  private let precision: Precision
  private let prefix: String

  init(_ file: WeightsFile, config: ModelConfig, precision: Precision) throws(ModelError) {
    self.file = file
    self.config = config
    self.precision = precision
    prefix = try EncoderTensors.check(file.header, config: config)
  }

  func floats(_ name: String, _ shape: [Int]) throws(ModelError) -> FloatBuffer {
    try file.floats(prefix + name, shape: shape)
  }

  var elementTypes: [String] { EncoderTensors.types(file.header, prefix: prefix, config: config) }

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
    return Linear(parts, inputs: inputs, precision: precision)
  }
}
