import CBlas

/// The weights of a decoder, ready for the kernels. Read-only once made, so threads share it.
struct DecoderWeights: Sendable {
  struct Layer: Sendable {
    let inputNorm: FloatBuffer
    let query: Linear
    let key: Linear
    let value: Linear
    /// Of each head's queries and keys, where the architecture has them.
    let headNorms: (query: FloatBuffer, key: FloatBuffer)?
    let attentionOutput: Linear
    let innerNorm: FloatBuffer
    let gate: Linear
    let up: Linear
    let down: Linear
  }

  /// Where a token's first vector comes from.
  enum Embeddings: Sendable {
    /// The head's weights.
    case tied
    /// (vocabulary, hidden)
    case floats(FloatBuffer)
    /// The same in bfloat16.
    case halves(AlignedBuffer<UInt16>)
  }

  let embeddings: Embeddings
  let layers: [Layer]
  let outputNorm: FloatBuffer
  /// Its outputs are the vocabulary's, and zeros behind them up to the kernels' width.
  let head: Linear
  /// Types that these weights have in their files, sorted.
  let elementTypes: [String]

  /// Throws `ModelError` naming the tensor that is missing, of another shape or type, or not known to the architecture.
  init(_ weights: Weights, config: DecoderConfig, precision: Precision) throws(ModelError) {
    let names = try DecoderTensors(checking: weights.tensors, config: config)
    let (vocabulary, hidden) = (config.vocabularySize, config.hiddenSize)
    func norm(_ name: String, _ width: Int) throws(ModelError) -> FloatBuffer {
      try weights.floats("\(name).weight", shape: [width])
    }
    func linear(_ map: DecoderTensors.Map) throws(ModelError) -> Linear {
      let bias = map.hasBias ? try weights.floats("\(map.name).bias", shape: [map.outputs]) : nil
      let weight = try weights.floats("\(map.name).weight", shape: [map.outputs, map.inputs])
      return Linear(
        [(weight, bias ?? FloatBuffer(count: map.outputs))], inputs: map.inputs, precision: precision)
    }
    let lanes = Int(CB_LANES)
    let width = (vocabulary + lanes - 1) / lanes * lanes
    head = Linear(
      [
        (
          try weights.floats(
            config.tiesHead ? names.embeddings : DecoderTensors.head, shape: [vocabulary, hidden],
            count: width * hidden), FloatBuffer(count: width)
        )
      ], inputs: hidden, precision: precision)
    if config.tiesHead {
      embeddings = .tied
    } else {
      let floats = try weights.floats(names.embeddings, shape: [vocabulary, hidden])
      if precision == .fp32 {
        embeddings = .floats(floats)
      } else {
        let halves = AlignedBuffer<UInt16>(count: vocabulary * hidden)
        cb_bf16_round(floats.pointer, vocabulary * hidden, halves.pointer)
        embeddings = .halves(halves)
      }
    }
    outputNorm = try weights.floats(names.outputNorm, shape: [hidden])
    var layers: [Layer] = []
    for layer in 0..<config.layers {
      let maps = names.maps(layer)
      func headNorm(_ name: String) throws(ModelError) -> FloatBuffer {
        try norm(names.part(layer, "self_attn.\(name)"), config.headWidth)
      }
      layers.append(
        Layer(
          inputNorm: try norm(names.part(layer, "input_layernorm"), hidden), query: try linear(maps[0]),
          key: try linear(maps[1]), value: try linear(maps[2]),
          headNorms: config.architecture.hasHeadNorms ? (try headNorm("q_norm"), try headNorm("k_norm")) : nil,
          attentionOutput: try linear(maps[3]),
          innerNorm: try norm(names.part(layer, "post_attention_layernorm"), hidden), gate: try linear(maps[4]),
          up: try linear(maps[5]), down: try linear(maps[6])))
    }
    self.layers = layers
    elementTypes = names.types(weights.tensors)
  }

  /// Writes the first vector of a token.
  func embed(_ id: Int32, width: Int, to row: UnsafeMutablePointer<Float>) {
    let place = Int(id) * width
    switch embeddings {
    case .tied: head.copyRow(Int(id), to: row)
    case .floats(let table): row.update(from: table.pointer + place, count: width)
    case .halves(let table):
      for i in 0..<width { row[i] = Float(bitPattern: UInt32(table.pointer[place + i]) << 16) }
    }
  }
}
