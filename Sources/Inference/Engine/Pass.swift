import CBlas

/// The layers of an encoder over some sequences, each of their steps shared by a team: rows to normalise, outputs of a
/// product (so that a thread reads its part of the weights only), heads of the attention.
struct Pass: Sendable {
  private let model: EncoderModel
  private let team: Team
  private let a: EncoderModel.Activations
  /// The rows of each sequence.
  private let places: [Range<Int>]
  private let rows: Int

  /// Rows that one takes at a time to normalise or quantise.
  private static let rowUnit = 4
  /// Outputs that one takes at a time: what the kernels compute at once.
  private static let outputUnit = 2 * Int(CB_LANES)

  init(model: EncoderModel, sequences: ArraySlice<TokenizedInput>, team: Team, activations: EncoderModel.Activations) {
    (self.model, self.team, a) = (model, team, activations)
    var (places, row): ([Range<Int>], Int) = ([], 0)
    for sequence in sequences {
      places.append(row..<row + sequence.ids.count)
      row += sequence.ids.count
    }
    (self.places, rows) = (places, row)
  }

  /// x = norm(x); x = norm(x + attention(x)); x = x + W₂·f(W₁·x). Each norm is one pass with what puts its rows into
  /// the numbers that the next product takes: so a layer begins with the norm of the one before.
  func apply(_ layer: EncoderWeights.Layer, after norm: EncoderWeights.LayerNorm) {
    let (x, isFloat, activation) = (a.hidden.pointer, a.precision == .fp32, model.config.activation)
    product(
      layer.queryKeyValue, of: .normalizing(x, kernel(norm)), isFloat ? CB_BIAS : CB_BIAS_BF16,
      to: a.queryKeyValue.pointer)
    attend()
    product(layer.attentionOutput, of: .activations(a.mixed.pointer), CB_ADD, to: x)

    let input = Linear.Source.normalizing(x, kernel(layer.attentionNorm))
    if activation == .gelu {
      product(layer.intermediate, of: input, isFloat ? CB_GELU : CB_GELU_BF16, to: a.inner.pointer)
      product(layer.output, of: .activations(a.inner.pointer), CB_ADD, to: x)
    } else {
      product(layer.intermediate, of: input, CB_BIAS, to: a.inner.pointer)
      let (inner, width) = (a.inner, model.config.intermediateSize)
      team.each(rows, unit: Self.rowUnit) { part, _ in
        activation.apply(to: inner.pointer + part.lowerBound * width, count: part.count * width)
      }
      product(layer.output, of: .floats(a.inner.pointer), CB_ADD, to: x)
    }
  }

  /// x = norm(x)
  func normalize(by norm: EncoderWeights.LayerNorm) {
    let (hidden, width, epsilon) = (a.hidden, model.config.hiddenSize, model.config.layerNormEpsilon)
    team.each(rows, unit: Self.rowUnit) { part, _ in
      cb_layernorm(
        hidden.pointer + part.lowerBound * width, part.count, width, norm.gain.pointer, norm.bias.pointer, epsilon)
    }
  }

  private func product(
    _ linear: Linear, of source: Linear.Source, _ epilogue: cb_epilogue, to y: UnsafeMutableRawPointer
  ) {
    let (scratch, rows, to) = (a.products, rows, SharedPointer(y))
    if linear.hasFirstStep(source) {
      team.each(rows, unit: Self.rowUnit) { part, _ in linear.take(source, rows: part, using: scratch) }
    }
    team.each(linear.outputs, unit: Self.outputUnit) { part, _ in
      linear.multiply(source, rows: rows, outputs: part, epilogue, to: to.pointer, using: scratch)
    }
  }

  /// Each sequence and head by itself.
  private func attend() {
    let heads = model.config.heads
    team.each(places.count * heads, unit: 1) { [self] part, thread in
      var head = part.lowerBound
      while head < part.upperBound {
        let (place, first) = head.quotientAndRemainder(dividingBy: heads)
        let end = min(heads, first + part.upperBound - head)
        attend(places[place], heads: first..<end, using: team.scratch[thread])
        head += end - first
      }
    }
  }

  private func attend(_ place: Range<Int>, heads: Range<Int>, using scratch: FloatBuffer) {
    let (config, weights, row) = (model.config, model.weights, place.lowerBound)
    let (width, scale) = (config.hiddenSize, 1 / Float(config.headWidth).squareRoot())
    let part = cb_attention_part(
      tokens: place.count, heads: config.heads, head_width: config.headWidth, first_head: heads.lowerBound,
      end_head: heads.upperBound)
    let (from, to) = (UnsafeMutableRawPointer(a.queryKeyValue.pointer), UnsafeMutableRawPointer(a.mixed.pointer))
    var table = cb_distance_bias(values: weights.distanceBias?.pointer, limit: config.maximumTokens)
    withUnsafePointer(to: &table) { table in
      let bias = weights.distanceBias == nil ? nil : table
      guard a.precision != .fp32 else {
        cb_attention(
          from.assumingMemoryBound(to: Float.self) + row * 3 * width, part, scale, bias, scratch.pointer,
          to.assumingMemoryBound(to: Float.self) + row * width)
        return
      }
      let from = from.assumingMemoryBound(to: UInt16.self) + row * 3 * width
      let to = to.assumingMemoryBound(to: UInt16.self) + row * width
      if a.precision == .bf16 {
        cb_bf16_attention(from, part, scale, bias, scratch.pointer, to)
      } else {
        cb_int8_attention(from, part, scale, bias, scratch.pointer, to)
      }
    }
  }

  private func kernel(_ norm: EncoderWeights.LayerNorm) -> cb_norm {
    cb_norm(gain: norm.gain.pointer, bias: norm.bias.pointer, epsilon: model.config.layerNormEpsilon)
  }
}

/// Memory that several threads write, each its own part.
private struct SharedPointer: @unchecked Sendable {
  let pointer: UnsafeMutableRawPointer
  init(_ pointer: UnsafeMutableRawPointer) { self.pointer = pointer }
}
