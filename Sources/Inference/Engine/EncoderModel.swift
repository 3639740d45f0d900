import CBlas

/// The forward pass of a BERT encoder over sequences that lie one behind the other, without padding.
///
/// What a row becomes depends on its own sequence alone, bit for bit (CBlas.h); so neither the batch nor the number of
/// threads can be read from a result.
struct EncoderModel: Sendable {
  let config: ModelConfig
  let weights: EncoderWeights

  /// The memory of one thread's pass, for up to `tokens` tokens in all.
  final class Activations: Sendable {
    let tokens: Int
    /// (tokens, hidden)
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
      hidden = FloatBuffer(count: tokens * config.hiddenSize)
      queryKeyValue = FloatBuffer(count: tokens * 3 * config.hiddenSize)
      mixed = FloatBuffer(count: tokens * config.hiddenSize)
      inner = FloatBuffer(count: tokens * config.intermediateSize)
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
    for layer in weights.layers { apply(layer, to: sequences, rows: rows, a) }
    pool(sequences, a.hidden.pointer, into: out)
  }

  /// x = layernorm(word + segment + position)
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
    normalize(x, rows: (row - x) / width, weights.embeddingNorm)
  }

  /// x = norm(x + attention(x)); x = norm(x + W₂·gelu(W₁·x))
  private func apply(
    _ layer: EncoderWeights.Layer, to sequences: ArraySlice<TokenizedInput>, rows: Int, _ a: Activations
  ) {
    let (x, width) = (a.hidden.pointer, config.hiddenSize)
    layer.queryKeyValue.apply(x, rows: rows, CB_BIAS, to: a.queryKeyValue.pointer, using: a.products)
    var row = 0
    for sequence in sequences {
      cb_attention(
        a.queryKeyValue.pointer + row * 3 * width, sequence.ids.count, config.heads, config.headWidth,
        1 / Float(config.headWidth).squareRoot(), nil, a.attention.pointer, a.mixed.pointer + row * width)
      row += sequence.ids.count
    }
    layer.attentionOutput.apply(a.mixed.pointer, rows: rows, CB_ADD, to: x, using: a.products)
    normalize(x, rows: rows, layer.attentionNorm)

    layer.intermediate.apply(x, rows: rows, CB_GELU, to: a.inner.pointer, using: a.products)
    layer.output.apply(a.inner.pointer, rows: rows, CB_ADD, to: x, using: a.products)
    normalize(x, rows: rows, layer.outputNorm)
  }

  private func normalize(_ x: UnsafeMutablePointer<Float>, rows: Int, _ norm: EncoderWeights.LayerNorm) {
    cb_layernorm(x, rows, config.hiddenSize, norm.gain.pointer, norm.bias.pointer, config.layerNormEpsilon)
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
