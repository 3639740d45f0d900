/// Memory that a model takes, from its configuration alone: what a worker must have room for.
package struct ModelFootprint: Sendable, Equatable {
  /// Bytes of the weights, as the kernels hold them.
  package let weightBytes: UInt64
  /// Bytes of the activations of one thread.
  package let activationBytesPerThread: UInt64

  package init(_ config: ModelConfig, precision: Precision) {
    if let decoder = config.decoder {
      self.init(embeddingsOf: decoder, maximumTokens: config.maximumTokens, precision: precision)
    } else {
      self.init(encoder: config, precision: precision)
    }
  }

  /// Of a decoder that gives embeddings. All threads share one pass; keys and values of the longest text are counted as
  /// one thread's.
  private init(embeddingsOf decoder: DecoderConfig, maximumTokens: Int, precision: Precision) {
    let footprint = DecoderFootprint(decoder, precision: precision)
    weightBytes = footprint.weightBytes
    activationBytesPerThread =
      footprint.activationBytes(rows: SequenceDecoder.tokensPerStep, sequences: 0, threads: 1)
      + UInt64(SequenceDecoder.pages(maximumTokens: maximumTokens)) * footprint.pageBytes
  }

  private init(encoder config: ModelConfig, precision: Precision) {
    let (hidden, inner, float) = (config.hiddenSize, config.intermediateSize, 4)
    // Tables, norms and biases are floats in every precision.
    var floats = (config.vocabularySize + config.positions + max(config.segments, 1) + 2) * hidden
    floats += config.layers * (9 * hidden + inner)
    if config.architecture.relativeBias != nil { floats += config.heads * (2 * config.maximumTokens - 1) }
    let products = config.layers * (4 * hidden * hidden + 2 * hidden * inner)
    let outputs = config.layers * (5 * hidden + inner)
    var bytes = floats * float
    switch precision {
    case .fp32: bytes += products * 4
    case .bf16: bytes += products * 2
    case .int8: bytes += products + outputs * 8  // a scale and a sum for each output
    }
    let projections: [Int] =
      switch config.output {
      case .embedding(let embedding): embedding.dense.map { [$0.outputs] } ?? []
      case .classification(let head): [hidden, (head.labels.count + 15) / 16 * 16]
      }
    bytes += projections.reduce(0) { $0 + $1 * (hidden + 1) * float }
    weightBytes = UInt64(bytes)

    let tokens = max(SequenceEncoder.tokensPerStep, config.maximumTokens)
    let between = precision == .fp32 ? 4 : 2
    var scratch = tokens * (2 * hidden * float + 3 * hidden * between)
    scratch += tokens * inner * (config.activation == .gelu ? between : 4)
    scratch += tokens * 2 * (projections.max() ?? 0) * float
    switch precision {
    case .fp32: break
    case .bf16: scratch += tokens * max(hidden, inner) * 2
    case .int8: scratch += tokens * (max(hidden, inner) + 8)
    }
    activationBytesPerThread = UInt64(scratch)
  }
}
