import CBlas

/// The forward pass of an encoder over sequences that lie one behind the other, without padding.
///
/// What a row becomes depends on its own sequence alone, bit for bit (CBlas.h); so neither the batch nor the number of
/// threads can be read from a result.
struct EncoderModel: Sendable {
  let config: ModelConfig
  let weights: EncoderWeights

  /// The memory of one thread's pass, for up to `tokens` tokens in all. What passes between the steps of a layer is
  /// floats in fp32 and bfloat16 else, but floats before an activation that the kernels do not fuse.
  final class Activations: Sendable {
    let tokens: Int
    let precision: Precision
    /// (tokens, hidden), floats
    let hidden: FloatBuffer
    /// (tokens, 3·hidden)
    let queryKeyValue: FloatBuffer
    /// (tokens, hidden)
    let mixed: FloatBuffer
    /// (tokens, intermediate)
    let inner: FloatBuffer
    let products: Linear.Scratch
    /// Outputs of projections, two at a time: (sequences, width), and a sequence has a token at least.
    let projected: [FloatBuffer]

    /// - Parameter projectionWidth: of the widest projection; 0 for none.
    init(config: ModelConfig, tokens: Int, precision: Precision, projectionWidth: Int) {
      self.tokens = tokens
      self.precision = precision
      let floatsPerNumber = precision == .fp32 ? 2 : 1  // in halves
      hidden = FloatBuffer(count: tokens * config.hiddenSize)
      queryKeyValue = FloatBuffer(count: tokens * 3 * config.hiddenSize * floatsPerNumber / 2)
      mixed = FloatBuffer(count: tokens * config.hiddenSize)
      inner = FloatBuffer(
        count: tokens * config.intermediateSize * (config.activation == .gelu ? floatsPerNumber : 2) / 2)
      products = Linear.Scratch(
        rows: tokens, inputs: max(config.hiddenSize, config.intermediateSize), precision: precision)
      projected = (0..<2).map { _ in FloatBuffer(count: tokens * projectionWidth) }
    }

    func wipe() {
      for buffer in [hidden, queryKeyValue, mixed, inner] + projected { buffer.wipe() }
      products.wipe()
    }
  }

  /// Floats of scratch that each thread of a team needs.
  var scratchSize: Int { cb_attention_scratch(config.maximumTokens, config.headWidth) }

  /// Writes the result of each sequence (its embedding, or its labels' scores), `dimensions` floats one behind the other.
  /// The caller has checked that the sequences fit the activations, and every id the vocabulary.
  func compute(
    _ sequences: ArraySlice<TokenizedInput>, by team: Team, using a: Activations,
    into out: UnsafeMutablePointer<Float>
  ) {
    embedTokens(sequences, into: a.hidden.pointer)
    let pass = Pass(model: self, sequences: sequences, team: team, activations: a)
    var norm = weights.embeddingNorm
    for layer in weights.layers {
      pass.apply(layer, after: norm)
      norm = layer.outputNorm
    }
    pass.normalize(by: norm)
    finish(sequences, a, into: out)
  }

  /// x = word + segment + position
  private func embedTokens(_ sequences: ArraySlice<TokenizedInput>, into x: UnsafeMutablePointer<Float>) {
    let width = config.hiddenSize
    var row = x
    for sequence in sequences {
      var position = config.firstPosition
      for (place, id) in sequence.ids.enumerated() {
        let isPadding = Int(id) == config.paddingToken
        let segment = config.segments == 0 || sequence.segments.isEmpty ? 0 : Int(sequence.segments[place])
        cb_embed(
          weights.words.pointer + Int(id) * width, weights.segments.pointer + segment * width,
          weights.positions.pointer + (isPadding ? Int(id) : position) * width, width, row)
        if !isPadding { position += 1 }
        row += width
      }
    }
  }

  /// Pooling, projections, and the last function.
  private func finish(
    _ sequences: ArraySlice<TokenizedInput>, _ a: Activations, into out: UnsafeMutablePointer<Float>
  ) {
    pool(sequences, a.hidden.pointer, into: a.mixed.pointer)
    var (rows, width) = (a.mixed.pointer, config.hiddenSize)
    for (index, projection) in weights.projections.enumerated() {
      projection.apply(rows, rows: sequences.count, to: a.projected[index % 2].pointer, using: a.products)
      (rows, width) = (a.projected[index % 2].pointer, projection.width)
    }
    for index in 0..<sequences.count {
      let row = rows + index * width
      apply(to: row)
      (out + index * config.dimensions).update(from: row, count: config.dimensions)
    }
  }

  private func apply(to row: UnsafeMutablePointer<Float>) {
    let lanes = Int(CB_LANES)
    switch config.output {
    case .embedding(let embedding): if embedding.normalizes { cb_l2_normalize(row, config.dimensions) }
    case .classification(let head):
      switch head.function {
      case .softmax: cb_softmax(row, head.labels.count)
      case .sigmoid: cb_activate(CB_SIGMOID, row, (head.labels.count + lanes - 1) / lanes * lanes)
      case .identity: break
      }
    }
  }

  /// One row of `hiddenSize` floats for each sequence.
  private func pool(
    _ sequences: ArraySlice<TokenizedInput>, _ hidden: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>
  ) {
    let width = config.hiddenSize
    var (row, pooled) = (hidden, out)
    for sequence in sequences {
      let tokens = sequence.ids.count
      switch config.pooling {
      case .mean: cb_mean(row, tokens, width, pooled)
      case .cls: cb_mean(row, 1, width, pooled)
      case .lasttoken: cb_mean(row + (tokens - 1) * width, 1, width, pooled)
      case .max: cb_max(row, tokens, width, pooled)
      }
      row += tokens * width
      pooled += width
    }
  }
}
