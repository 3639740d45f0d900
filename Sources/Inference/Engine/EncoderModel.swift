import CBlas

/// The forward pass of a BERT encoder over sequences that lie one behind the other, without padding.
///
/// What a row becomes depends on its own sequence alone, bit for bit (CBlas.h); so neither the batch nor the number of
/// threads can be read from a result.
struct EncoderModel: Sendable {
  let config: ModelConfig
  let weights: EncoderWeights

  /// The memory of one thread's pass, for up to `tokens` tokens in all. What passes between the steps of a layer is
  /// floats in fp32 and bfloat16 else.
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
    let attention: FloatBuffer
    let products: Linear.Scratch

    init(config: ModelConfig, tokens: Int, precision: Precision) {
      self.tokens = tokens
      self.precision = precision
      let floatsPerNumber = precision == .fp32 ? 2 : 1  // in halves
      hidden = FloatBuffer(count: tokens * config.hiddenSize)
      queryKeyValue = FloatBuffer(count: tokens * 3 * config.hiddenSize * floatsPerNumber / 2)
      mixed = FloatBuffer(count: tokens * config.hiddenSize)
      inner = FloatBuffer(count: tokens * config.intermediateSize * floatsPerNumber / 2)
      attention = FloatBuffer(count: cb_attention_scratch(config.maximumTokens, config.headWidth))
      products = Linear.Scratch(
        rows: tokens, inputs: max(config.hiddenSize, config.intermediateSize), precision: precision)
    }

    func wipe() {
      for buffer in [hidden, queryKeyValue, mixed, inner, attention] { buffer.wipe() }
      products.wipe()
    }
  }

  /// Writes the embedding of each sequence, `hiddenSize` floats one behind the other. The caller has checked that the
  /// sequences fit the activations, and every id the vocabulary.
  func embed(_ sequences: ArraySlice<TokenizedInput>, using a: Activations, into out: UnsafeMutablePointer<Float>) {
    embedTokens(sequences, into: a.hidden.pointer)
    let rows = sequences.reduce(0) { $0 + $1.ids.count }
    var norm = weights.embeddingNorm
    for layer in weights.layers {
      apply(layer, to: sequences, rows: rows, after: norm, a)
      norm = layer.outputNorm
    }
    cb_layernorm(
      a.hidden.pointer, rows, config.hiddenSize, norm.gain.pointer, norm.bias.pointer, config.layerNormEpsilon)
    pool(sequences, a.hidden.pointer, into: out)
  }

  /// x = word + segment + position
  private func embedTokens(_ sequences: ArraySlice<TokenizedInput>, into x: UnsafeMutablePointer<Float>) {
    let width = config.hiddenSize
    var row = x
    for sequence in sequences {
      for (position, id) in sequence.ids.enumerated() {
        cb_embed(
          weights.words.pointer + Int(id) * width, weights.segments.pointer,
          weights.positions.pointer + position * width,
          width, row)
        row += width
      }
    }
  }

  /// x = norm(x); x = norm(x + attention(x)); x = x + W₂·gelu(W₁·x). Each norm is one pass with what puts its rows
  /// into the numbers that the next product takes: so a layer begins with the norm of the one before.
  private func apply(
    _ layer: EncoderWeights.Layer, to sequences: ArraySlice<TokenizedInput>, rows: Int,
    after norm: EncoderWeights.LayerNorm, _ a: Activations
  ) {
    let (x, scratch, isFloat) = (a.hidden.pointer, a.products, a.precision == .fp32)
    var input = normalize(x, rows: rows, norm, for: layer.queryKeyValue, a)
    layer.queryKeyValue.multiply(input, isFloat ? CB_BIAS : CB_BIAS_BF16, to: a.queryKeyValue.pointer, using: scratch)
    attend(sequences, a)
    input = layer.attentionOutput.rows(activations: a.mixed.pointer, count: rows, using: scratch)
    layer.attentionOutput.multiply(input, CB_ADD, to: x, using: scratch)

    input = normalize(x, rows: rows, layer.attentionNorm, for: layer.intermediate, a)
    layer.intermediate.multiply(input, isFloat ? CB_GELU : CB_GELU_BF16, to: a.inner.pointer, using: scratch)
    input = layer.output.rows(activations: a.inner.pointer, count: rows, using: scratch)
    layer.output.multiply(input, CB_ADD, to: x, using: scratch)
  }

  /// Each sequence and head by itself.
  private func attend(_ sequences: ArraySlice<TokenizedInput>, _ a: Activations) {
    let (width, scale) = (config.hiddenSize, 1 / Float(config.headWidth).squareRoot())
    let (from, to) = (UnsafeMutableRawPointer(a.queryKeyValue.pointer), UnsafeMutableRawPointer(a.mixed.pointer))
    var row = 0
    for sequence in sequences {
      let tokens = sequence.ids.count
      if a.precision == .fp32 {
        cb_attention(
          from.assumingMemoryBound(to: Float.self) + row * 3 * width, tokens, config.heads, config.headWidth, scale,
          nil,
          a.attention.pointer, to.assumingMemoryBound(to: Float.self) + row * width)
      } else {
        cb_bf16_attention(
          from.assumingMemoryBound(to: UInt16.self) + row * 3 * width, tokens, config.heads, config.headWidth, scale,
          nil, a.attention.pointer, to.assumingMemoryBound(to: UInt16.self) + row * width)
      }
      row += tokens
    }
  }

  private func normalize(
    _ x: UnsafeMutablePointer<Float>, rows: Int, _ norm: EncoderWeights.LayerNorm, for next: Linear, _ a: Activations
  ) -> Linear.Rows {
    next.rows(
      normalizing: x, count: rows,
      by: cb_norm(gain: norm.gain.pointer, bias: norm.bias.pointer, epsilon: config.layerNormEpsilon),
      using: a.products)
  }

  private func pool(
    _ sequences: ArraySlice<TokenizedInput>, _ hidden: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>
  ) {
    let width = config.hiddenSize
    var (row, embedding) = (hidden, out)
    for sequence in sequences {
      cb_mean(row, config.pooling == .cls ? 1 : sequence.ids.count, width, embedding)
      if config.normalizes { cb_l2_normalize(embedding, width) }
      row += sequence.ids.count * width
      embedding += width
    }
  }
}
