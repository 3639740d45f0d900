import CBlas

/// Memory that a decoder takes, from its configuration and the types of its tensors alone: what a worker must have room
/// for, and a publisher can be told.
package struct DecoderFootprint: Sendable, Equatable {
  /// Bytes of the weights, as the kernels hold them.
  package let weightBytes: UInt64
  /// Bytes of the tokenizer and what else is not made of numbers: an estimate by the vocabulary's size.
  package let otherBytes: UInt64
  /// Bytes of keys and values of one token.
  package let cacheBytesPerToken: UInt64
  /// Bytes of a page of keys and values: memory is taken in so large pieces.
  package let pageBytes: UInt64
  /// Tokens of one sequence at most.
  package let contextLength: Int

  private let config: DecoderConfig
  /// Whether a layer's last map is of floats: passes then keep the floats that it reads.
  private let lastMapReadsFloats: Bool

  /// Of safetensors files, packed in a precision.
  package init(_ config: DecoderConfig, precision: Precision) {
    let element = precision == .fp32 ? 4 : 2
    self.init(
      config, DecoderTensors(config), precision: precision, lastMapReadsFloats: precision == .fp32
    ) { _, outputs, inputs in
      QuantizedLinear.width(outputs) * inputs * element
    }
  }

  /// Of a GGUF file, whose tensors stay what they are. Tensors that are missing count as floats.
  package init(_ config: DecoderConfig, _ header: GGUFHeader) {
    self.init(config) { header[$0]?.type ?? .f32 }
  }

  /// The same of a file that need not be there.
  ///
  /// - Parameter type: what each matrix is made of, by its name: `blk.0.attn_q.weight`.
  package init(_ config: DecoderConfig, type: (_ name: String) -> GGUFTensorType) {
    let tensors = DecoderTensors(config, names: .gguf)
    let readsFloats = (0..<config.layers).contains { layer in
      let found = type("\(tensors.part(layer, \.down)).weight")
      return found == .f32 || found == .f16
    }
    self.init(config, tensors, precision: .bf16, lastMapReadsFloats: readsFloats) { name, outputs, inputs in
      QuantizedLinear.byteCount(type(name), outputs: outputs, inputs: inputs)
    }
  }

  private init(
    _ config: DecoderConfig, _ tensors: DecoderTensors, precision: Precision, lastMapReadsFloats: Bool,
    matrix: (_ name: String, _ outputs: Int, _ inputs: Int) -> Int
  ) {
    (self.config, self.lastMapReadsFloats) = (config, lastMapReadsFloats)
    var bytes = 0
    for (name, shape) in tensors.shapes {
      bytes += shape.count == 2 ? matrix(name, shape[0], shape[1]) : shape[0] * 4
    }
    weightBytes = UInt64(bytes)
    otherBytes = UInt64(config.vocabularySize * Self.bytesPerWord)
    pageBytes = UInt64(PagePool.pageBytes(config, precision: precision))
    cacheBytesPerToken = pageBytes / UInt64(PagePool.tokens)
    contextLength = config.contextLength
  }

  /// A word's bytes, its place in tables for both directions, and its merge.
  private static let bytesPerWord = 512

  /// Bytes of what is found out about the schemas of a job's answers.
  package var schemaBytes: UInt64 { ConstraintCache.bytesAtMost(vocabulary: config.vocabularySize) }

  /// Bytes of keys and values of so many sequences of so many tokens.
  package func cacheBytes(sequences: Int, tokens: Int) -> UInt64 {
    UInt64(sequences * PagePool.pages(tokens)) * pageBytes
  }

  /// Bytes of the activations of passes of up to `rows` tokens, of which `sequences` are the last of their sequences, and
  /// of attention on `threads` threads.
  package func activationBytes(rows: Int, sequences: Int, threads: Int) -> UInt64 {
    let (hidden, query, inner) = (config.hiddenSize, config.queryWidth, config.intermediateSize)
    let most = max(rows, sequences)
    var floats = rows * (hidden + query + 2 * config.keyValueWidth + query + config.headWidth)
    if lastMapReadsFloats { floats += rows * inner }
    floats += max(1, threads) * DecoderActivations.gateFloats(rows: rows)
    floats += most * hidden + sequences * QuantizedLinear.width(config.vocabularySize)
    floats += max(1, threads) * cb_cache_scratch(config.contextLength, config.headWidth)
    let scratch = QuantizedLinear.Scratch.byteCount(rows: most, inputs: max(hidden, query))
    return UInt64(4 * floats + scratch + QuantizedLinear.Scratch.byteCount(rows: rows, inputs: inner))
  }
}
