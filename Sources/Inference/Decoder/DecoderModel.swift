import CBlas

/// The forward pass of a decoder over tokens of several sequences at once.
///
/// What a token becomes depends on its own sequence up to it alone, bit for bit (CBlas.h): not on the sequences that it
/// is computed with, nor on the pieces in which a prompt is read, nor on the number of threads. Each weight is read
/// once for all tokens of a pass.
struct DecoderModel: Sendable {
  let config: DecoderConfig
  var weights: DecoderWeights
  /// In which numbers keys and values are kept and attention is computed: fp32 or bf16.
  let precision: Precision
  /// Of the configuration, with what the weights' file says of it.
  let rotary: RotaryEmbedding

  init(config: DecoderConfig, weights: DecoderWeights, precision: Precision) {
    (self.config, self.weights, self.precision) = (config, weights, precision)
    rotary = weights.frequencyFactors.map { config.rotary.divided(by: $0) } ?? config.rotary
  }

  /// Computes a pass: stores keys and values of its tokens in their pages, and leaves the wanted logits, a row of
  /// `weights.head.width` for each part that wants them, in `activations.logits`; or its last tokens' vectors behind the
  /// last norm, rows of `hiddenSize`, in `activations.normed`.
  ///
  /// The caller has checked that every id has a row, every position a page, and that all of it fits the activations.
  func compute(_ step: DecoderStep, using activations: DecoderActivations) {
    DecoderPass(self, step, activations).run()
  }
}

/// One forward pass. Each of its steps is shared by the team of threads: rows to normalise, outputs of a product (so that
/// a thread reads its part of the weights only), pieces of the attention.
private final class DecoderPass: @unchecked Sendable {
  private typealias Part = (first: Int, count: Int, position: Int, pages: Int)

  private let model: DecoderModel
  private let config: DecoderConfig
  private let a: DecoderActivations
  private let rows: Int
  /// Where parts begin in the rows, and how many tokens they have.
  private let parts: [Part]
  private let tokens: [Int32]
  /// Rows whose logits are wanted.
  private let wanted: [Int]
  private let givesVectors: Bool
  /// The pages of all parts, one behind the other; not changed once made.
  private let pages: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  /// Pieces of attention: a part's tokens by a head of keys.
  private let pieces: [(part: Int, tokens: Range<Int>, head: Int)]
  /// Whether a piece needs no other's keys and values, and so stores its own.
  private let storesInPieces: Bool
  /// Whether a piece puts what comes out of it into the numbers that the next map multiplies.
  private let preparesInPieces: Bool

  /// Tokens of one piece at most.
  private static let tokensPerPiece = 48
  /// Outputs that a thread takes at a time: what the kernels compute at once.
  private static let outputUnit = 2 * Int(CB_LANES)

  init(_ model: DecoderModel, _ step: DecoderStep, _ activations: DecoderActivations) {
    (self.model, config, a, rows) = (model, model.config, activations, step.rows)
    givesVectors = step.givesVectors
    var parts: [Part] = []
    var (pages, tokens, wanted): ([UnsafeMutableRawPointer?], [Int32], [Int]) = ([], [], [])
    var pieces: [(part: Int, tokens: Range<Int>, head: Int)] = []
    for (index, part) in step.parts.enumerated() {
      parts.append((tokens.count, part.tokens.count, part.position, pages.count))
      pages += part.pages
      tokens += part.tokens
      if part.wantsLogits { wanted.append(tokens.count - 1) }
      for start in stride(from: 0, to: part.tokens.count, by: Self.tokensPerPiece) {
        let end = min(start + Self.tokensPerPiece, part.tokens.count)
        for head in 0..<model.config.keyValueHeads { pieces.append((index, start..<end, head)) }
      }
    }
    (self.parts, self.tokens, self.wanted, self.pieces) = (parts, tokens, wanted, pieces)
    storesInPieces = parts.allSatisfy { $0.count <= Self.tokensPerPiece }
    preparesInPieces = config.queryWidth / config.keyValueHeads % QuantizedLinear.inputUnit == 0
    self.pages = .allocate(capacity: max(pages.count, 1))
    self.pages.initialize(repeating: nil, count: max(pages.count, 1))
    for (index, page) in pages.enumerated() { self.pages[index] = page }
  }

  deinit { pages.deallocate() }

  func run() {
    let hidden = config.hiddenSize
    a.team.each(rows, unit: 1) { some, _ in self.begin(some) }
    for (index, layer) in model.weights.layers.enumerated() {
      a.team.each(rows, unit: 1) { some, _ in self.normalize(some, layer.inputNorm, for: layer.readingInput) }
      multiply(
        [layer.query, layer.key, layer.value], by: a.normed, rows: rows, CB_BIAS, to: a.queryKeyValue,
        stride: rowWidth)
      if !storesInPieces {
        a.team.each(rows, unit: 1) { some, _ in
          self.store(some, of: self.parts[...], heads: 0..<self.config.keyValueHeads, layer, index)
        }
      }
      a.team.each(pieces.count, unit: 1) { some, thread in
        for piece in some { self.attend(self.pieces[piece], layer, index, thread) }
      }
      if !preparesInPieces {
        a.team.each(rows, unit: 1) { some, _ in
          layer.attentionOutput.prepare(self.a.mixed.pointer, rows: some, using: self.a.products)
        }
      }
      multiply([layer.attentionOutput], by: a.mixed, rows: rows, CB_ADD, to: a.hidden, stride: hidden)

      // x = x + W₃·(silu(W₁·x) · W₂·x)
      a.team.each(rows, unit: 1) { some, _ in self.normalize(some, layer.innerNorm, for: layer.readingInner) }
      a.team.each(config.intermediateSize, unit: Self.outputUnit) { columns, thread in
        self.gate(columns, layer, thread)
      }
      multiply([layer.down], by: a.inner, rows: rows, CB_ADD, to: a.hidden, stride: hidden, using: a.innerProducts)
    }
    finish()
  }

  /// y = epilogue(x · Wᵀ + b) of several maps of the same rows, their outputs side by side.
  private func multiply(
    _ maps: [QuantizedLinear], by x: FloatBuffer, rows: Int, _ epilogue: cb_epilogue, to y: FloatBuffer, stride: Int,
    using scratch: QuantizedLinear.Scratch? = nil
  ) {
    let products = scratch ?? a.products
    a.team.each(maps.reduce(0) { $0 + $1.width }, unit: Self.outputUnit) { columns, _ in
      var first = 0
      for map in maps {
        let own = columns.clamped(to: first..<first + map.width)
        map.multiply(
          prepared: x.pointer, count: rows, outputs: own.lowerBound - first..<own.upperBound - first, epilogue,
          to: y.pointer + first, stride: stride, using: products)
        first += map.width
      }
    }
  }

  /// The first vectors of some rows, and the angles of their positions.
  private func begin(_ some: Range<Int>) {
    let pairs = config.headWidth / 2
    for row in some {
      model.weights.embeddings.copyRow(Int(tokens[row]), to: a.hidden.pointer + row * config.hiddenSize)
    }
    for part in parts {
      for row in some.clamped(to: part.first..<part.first + part.count) {
        model.rotary.write(
          position: part.position + row - part.first, cosines: a.cosines.pointer + row * pairs,
          sines: a.sines.pointer + row * pairs)
      }
    }
  }

  private func normalize(_ some: Range<Int>, _ gain: FloatBuffer, for maps: [QuantizedLinear]) {
    let (width, place) = (config.hiddenSize, some.lowerBound * config.hiddenSize)
    cb_rmsnorm(
      a.hidden.pointer + place, some.count, width, gain.pointer, config.normEpsilon, a.normed.pointer + place)
    for map in maps { map.prepare(a.normed.pointer, rows: some, using: a.products) }
  }

  /// Numbers of a row of queries, keys and values.
  private var rowWidth: Int { config.queryWidth + 2 * config.keyValueWidth }

  /// Normalises and turns queries and keys of some heads of keys, and puts keys and values into their pages.
  private func store(
    _ some: Range<Int>, of parts: ArraySlice<Part>, heads: Range<Int>, _ layer: DecoderWeights.Layer, _ index: Int
  ) {
    let (width, pairs, group) = (config.headWidth, config.headWidth / 2, config.heads / config.keyValueHeads)
    let queries = a.queryKeyValue.pointer + heads.lowerBound * group * width
    let keys = a.queryKeyValue.pointer + config.queryWidth + heads.lowerBound * width
    for (x, count, norm) in [
      (queries, heads.count * group, layer.headNorms?.query), (keys, heads.count, layer.headNorms?.key),
    ] {
      if let norm {
        for row in some {
          let place = x + row * rowWidth
          cb_rmsnorm(place, count, width, norm.pointer, config.normEpsilon, place)
        }
      }
      cb_rotate(
        x + some.lowerBound * rowWidth, some.count, rowWidth, count, width, a.cosines.pointer + some.lowerBound * pairs,
        a.sines.pointer + some.lowerBound * pairs, config.rotary.isInterleaved)
    }
    for part in parts {
      let own = some.clamped(to: part.first..<part.first + part.count)
      guard !own.isEmpty else { continue }
      var cache = cache(index, part.pages, position: part.position + own.lowerBound - part.first)
      cache.offset += 2 * heads.lowerBound * PagePool.tokens * width
      let keys = keys + own.lowerBound * rowWidth
      if model.precision == .fp32 {
        cb_cache_store(keys, keys + config.keyValueWidth, rowWidth, own.count, heads.count, &cache)
      } else {
        cb_cache_store_bf16(keys, keys + config.keyValueWidth, rowWidth, own.count, heads.count, &cache)
      }
    }
  }

  private func cache(_ layer: Int, _ pages: Int, position: Int) -> cb_cache {
    cb_cache(
      pages: self.pages + pages, offset: 2 * layer * config.keyValueWidth * PagePool.tokens,
      head_width: config.headWidth, position: position, window: config.windows[layer] ?? 0,
      scale: 1 / Float(config.headWidth).squareRoot())
  }

  /// Some of a part's tokens by one head of keys.
  private func attend(
    _ piece: (part: Int, tokens: Range<Int>, head: Int), _ layer: DecoderWeights.Layer, _ index: Int, _ thread: Int
  ) {
    let (part, group) = (parts[piece.part], config.heads / config.keyValueHeads)
    let (row, column) = (part.first + piece.tokens.lowerBound, piece.head * group * config.headWidth)
    let rows = row..<row + piece.tokens.count
    if storesInPieces {
      store(rows, of: parts[piece.part...piece.part], heads: piece.head..<piece.head + 1, layer, index)
    }
    var cache = cache(index, part.pages, position: part.position + piece.tokens.lowerBound)
    let query = a.queryKeyValue.pointer + row * rowWidth + column
    let out = a.mixed.pointer + row * config.queryWidth + column
    let scratch = a.team.scratch[thread].pointer
    if model.precision == .fp32 {
      cb_cache_attention(
        query, rowWidth, piece.tokens.count, group, piece.head, &cache, scratch, out, config.queryWidth)
    } else {
      cb_cache_attention_bf16(
        query, rowWidth, piece.tokens.count, group, piece.head, &cache, scratch, out, config.queryWidth)
    }
    if preparesInPieces {
      layer.attentionOutput.prepare(
        out, stride: config.queryWidth, rows: rows, columns: column..<column + group * config.headWidth,
        using: a.products)
    }
  }

  /// Some columns of silu(W₁·x) · W₂·x for all rows, put into the numbers that the last map multiplies: piece by piece, so
  /// that W₁·x and W₂·x are never more than what a cache holds.
  private func gate(_ columns: Range<Int>, _ layer: DecoderWeights.Layer, _ thread: Int) {
    let (width, scratch) = (DecoderActivations.gateColumns(rows: rows), a.gates[thread].pointer)
    for first in stride(from: columns.lowerBound, to: columns.upperBound, by: width) {
      let piece = first..<min(first + width, columns.upperBound)
      let (gate, up) = (scratch, scratch + rows * piece.count)
      for (map, to) in [(layer.gate, gate), (layer.up, up)] {
        map.multiply(
          prepared: a.normed.pointer, count: rows, outputs: piece, CB_BIAS, to: to - first, stride: piece.count,
          using: a.products)
      }
      let floats = layer.down.rowKind == .fp32
      let out = floats ? a.inner.pointer + first : up + rows * piece.count
      let stride = floats ? config.intermediateSize : piece.count
      cb_silu_multiply(gate, up, piece.count, rows, piece.count, out, stride)
      layer.down.prepare(out, stride: stride, rows: 0..<rows, columns: piece, using: a.innerProducts)
    }
  }

  /// The wanted logits or vectors.
  private func finish() {
    let (weights, width) = (model.weights, config.hiddenSize)
    a.team.each(wanted.count, unit: 1) { some, _ in
      for index in some {
        cb_rmsnorm(
          self.a.hidden.pointer + self.wanted[index] * width, 1, width, weights.outputNorm.pointer,
          self.config.normEpsilon, self.a.normed.pointer + index * width)
      }
      if !self.givesVectors { weights.head.prepare(self.a.normed.pointer, rows: some, using: self.a.products) }
    }
    guard !givesVectors else { return }
    multiply([weights.head], by: a.normed, rows: wanted.count, CB_BIAS, to: a.logits, stride: weights.head.width)
  }
}
