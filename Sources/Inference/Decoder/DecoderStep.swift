import CBlas

/// What one forward pass computes: the next tokens of several sequences, one behind the other.
struct DecoderStep {
  /// Consecutive tokens of one sequence.
  struct Part {
    let tokens: ArraySlice<Int32>
    /// Of the first of them in its sequence.
    let position: Int
    /// The sequence's pages by position; there is one for each of these tokens and all before.
    let pages: [UnsafeMutableRawPointer?]
    /// Whether the logits behind the last of them are wanted, or its vector.
    let wantsLogits: Bool
  }

  let parts: [Part]
  /// Whether vectors are wanted in the place of logits.
  var givesVectors = false

  /// Tokens in all.
  var rows: Int { parts.reduce(0) { $0 + $1.tokens.count } }
}

/// The memory of forward passes of up to `rows` tokens, all threads' together. Numbers between steps are floats.
final class DecoderActivations: Sendable {
  let rows: Int
  /// (rows, hidden): the residual stream.
  let hidden: FloatBuffer
  /// (rows, hidden)
  let normed: FloatBuffer
  /// (rows, query + 2 · key/value width): queries, keys and values side by side.
  let queryKeyValue: FloatBuffer
  /// (rows, query width)
  let mixed: FloatBuffer
  /// (rows, intermediate), where a layer's last map reads floats; else none: they are put into its numbers at once.
  let inner: FloatBuffer
  /// (rows, head width / 2)
  let cosines: FloatBuffer
  let sines: FloatBuffer
  /// (logit rows, the head's outputs)
  let logits: FloatBuffer
  let products: QuantizedLinear.Scratch
  /// Of a layer's last map: its rows are prepared while those of gate and up are still read.
  let innerProducts: QuantizedLinear.Scratch
  /// Of each thread a piece of gate, of up, and of what becomes of both.
  let gates: [FloatBuffer]
  /// The threads that compute, and attention's memory of each.
  let team: Team

  /// - Parameters:
  ///   - logitRows: tokens of one pass whose logits are wanted, at most.
  ///   - context: tokens of one sequence at most.
  init(
    config: DecoderConfig, weights: DecoderWeights, rows: Int, logitRows: Int, context: Int, threads: Int
  ) {
    self.rows = rows
    let keysAndValues = 2 * config.keyValueWidth
    hidden = FloatBuffer(count: rows * config.hiddenSize)
    normed = FloatBuffer(count: max(rows, logitRows) * config.hiddenSize)
    queryKeyValue = FloatBuffer(count: rows * (config.queryWidth + keysAndValues))
    mixed = FloatBuffer(count: rows * config.queryWidth)
    let readsFloats = weights.layers.contains { $0.down.rowKind == .fp32 }
    inner = FloatBuffer(count: readsFloats ? rows * config.intermediateSize : 0)
    gates = (0..<max(1, threads)).map { _ in FloatBuffer(count: Self.gateFloats(rows: rows)) }
    cosines = FloatBuffer(count: rows * config.headWidth / 2)
    sines = FloatBuffer(count: rows * config.headWidth / 2)
    logits = FloatBuffer(count: logitRows * weights.head.width)
    products = QuantizedLinear.Scratch(
      rows: max(rows, logitRows), inputs: max(config.hiddenSize, config.queryWidth))
    innerProducts = QuantizedLinear.Scratch(rows: rows, inputs: config.intermediateSize)
    team = Team(
      pool: threads > 1 ? ThreadPool(threads: threads) : nil,
      scratch: (0..<max(1, threads)).map { _ in FloatBuffer(count: cb_cache_scratch(context, config.headWidth)) })
  }

  /// Numbers of a piece of gate and up: what stays in the second-level cache until it is used.
  private static let gateNumbers = 16384

  /// Columns of gate and up that are computed at once for so many rows.
  static func gateColumns(rows: Int) -> Int {
    max(QuantizedLinear.inputUnit, gateNumbers / max(rows, 1) / QuantizedLinear.inputUnit * QuantizedLinear.inputUnit)
  }

  /// Floats of one thread for its pieces, whatever rows there are up to so many.
  static func gateFloats(rows: Int) -> Int { 3 * max(gateNumbers, rows * QuantizedLinear.inputUnit) }

  func wipe() {
    for buffer in [hidden, normed, queryKeyValue, mixed, inner, cosines, sines, logits] + team.scratch + gates {
      buffer.wipe()
    }
    products.wipe()
    innerProducts.wipe()
  }
}
