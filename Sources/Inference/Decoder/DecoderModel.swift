import CBlas
import Synchronization

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
  private let rotary: RotaryEmbedding

  init(config: DecoderConfig, weights: DecoderWeights, precision: Precision) {
    (self.config, self.weights, self.precision) = (config, weights, precision)
    rotary = weights.frequencyFactors.map { config.rotary.divided(by: $0) } ?? config.rotary
  }

  /// Computes a pass: stores keys and values of its tokens in their pages, and leaves the wanted logits, a row of
  /// `weights.head.width` for each part that wants them, in `activations.logits`.
  ///
  /// The caller has checked that every id has a row, every position a page, and that all of it fits the activations.
  func compute(_ step: DecoderStep, using activations: DecoderActivations) {
    let pass = Pass(self, step, activations)
    let threads = activations.attention.count
    let barrier = StepBarrier(threads: threads)
    Threads.run(threads) { thread in pass.run(thread, of: threads, barrier) }
  }

  /// One thread's view of a pass. All threads go through the same steps, and wait for each other between them.
  private final class Pass: @unchecked Sendable {
    let model: DecoderModel
    let a: DecoderActivations
    let rows: Int
    /// Where parts begin in the rows, and how many tokens they have.
    let parts: [(first: Int, count: Int, position: Int, pages: Int)]
    let tokens: [Int32]
    /// Rows whose logits are wanted.
    let wanted: [Int]
    /// The pages of all parts, one behind the other; not changed once made.
    let pages: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    let next = Atomic<Int>(0)
    /// Pieces of attention: a part's tokens by a head of keys.
    let pieces: [(part: Int, tokens: Range<Int>, head: Int)]

    /// Tokens of one piece at most.
    static let tokensPerPiece = 48

    init(_ model: DecoderModel, _ step: DecoderStep, _ activations: DecoderActivations) {
      (self.model, a, rows) = (model, activations, step.rows)
      var parts: [(first: Int, count: Int, position: Int, pages: Int)] = []
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
      self.pages = .allocate(capacity: max(pages.count, 1))
      self.pages.initialize(repeating: nil, count: max(pages.count, 1))
      for (index, page) in pages.enumerated() { self.pages[index] = page }
    }

    deinit { pages.deallocate() }

    func run(_ thread: Int, of threads: Int, _ barrier: StepBarrier) {
      let (config, weights) = (model.config, model.weights)
      let mine = Share(thread: thread, threads: threads)
      let some = mine.of(rows)
      let hidden = config.hiddenSize
      for row in some {
        weights.embeddings.copyRow(Int(tokens[row]), to: a.hidden.pointer + row * hidden)
      }
      turn(some)
      for (index, layer) in weights.layers.enumerated() {
        normalize(some, layer.inputNorm, for: layer.readingInput)
        barrier.wait()
        project(layer, mine)
        barrier.wait()
        store(some, layer, index)
        barrier.wait()
        attend(thread, threads, index)
        barrier.wait()
        layer.attentionOutput.prepare(a.mixed.pointer, rows: some, using: a.products)
        barrier.wait()
        layer.attentionOutput.multiply(
          prepared: a.mixed.pointer, count: rows, outputs: mine.ofPanels(hidden), CB_ADD, to: a.hidden.pointer,
          stride: hidden, using: a.products)
        barrier.wait()
        normalize(some, layer.innerNorm, for: layer.readingInner)
        barrier.wait()
        feedForward(layer, mine, some, barrier)
        barrier.wait()
      }
      finish(mine, barrier)
    }

    /// The angles of each row's position, and for one thread all that attention needs to know.
    private func turn(_ some: Range<Int>) {
      let pairs = model.config.headWidth / 2
      for part in parts {
        for row in some.clamped(to: part.first..<part.first + part.count) {
          model.rotary.write(
            position: part.position + row - part.first, cosines: a.cosines.pointer + row * pairs,
            sines: a.sines.pointer + row * pairs)
        }
      }
    }

    private func normalize(_ some: Range<Int>, _ gain: FloatBuffer, for maps: [QuantizedLinear]) {
      let (width, place) = (model.config.hiddenSize, some.lowerBound * model.config.hiddenSize)
      cb_rmsnorm(
        a.hidden.pointer + place, some.count, width, gain.pointer, model.config.normEpsilon, a.normed.pointer + place)
      for map in maps { map.prepare(a.normed.pointer, rows: some, using: a.products) }
    }

    private var rowWidth: Int { model.config.queryWidth + 2 * model.config.keyValueWidth }

    private func project(_ layer: DecoderWeights.Layer, _ mine: Share) {
      var column = 0
      for map in [layer.query, layer.key, layer.value] {
        map.multiply(
          prepared: a.normed.pointer, count: rows, outputs: mine.ofPanels(map.outputs), CB_BIAS,
          to: a.queryKeyValue.pointer + column, stride: rowWidth, using: a.products)
        column += map.outputs
      }
    }

    /// Normalises and turns queries and keys, and puts keys and values into their pages.
    private func store(_ some: Range<Int>, _ layer: DecoderWeights.Layer, _ index: Int) {
      let config = model.config
      let (width, pairs) = (config.headWidth, config.headWidth / 2)
      let rows = a.queryKeyValue.pointer
      if let norms = layer.headNorms {
        for row in some {
          let query = rows + row * rowWidth
          let key = query + config.queryWidth
          cb_rmsnorm(query, config.heads, width, norms.query.pointer, config.normEpsilon, query)
          cb_rmsnorm(key, config.keyValueHeads, width, norms.key.pointer, config.normEpsilon, key)
        }
      }
      // Heads of queries and of keys lie side by side.
      cb_rotate(
        rows + some.lowerBound * rowWidth, some.count, rowWidth, config.heads + config.keyValueHeads, width,
        a.cosines.pointer + some.lowerBound * pairs, a.sines.pointer + some.lowerBound * pairs,
        config.rotary.isInterleaved)
      for part in parts {
        let own = some.clamped(to: part.first..<part.first + part.count)
        guard !own.isEmpty else { continue }
        var cache = cache(index, part.pages, position: part.position + own.lowerBound - part.first)
        let keys = rows + own.lowerBound * rowWidth + config.queryWidth
        if model.precision == .fp32 {
          cb_cache_store(keys, keys + config.keyValueWidth, rowWidth, own.count, config.keyValueHeads, &cache)
        } else {
          cb_cache_store_bf16(keys, keys + config.keyValueWidth, rowWidth, own.count, config.keyValueHeads, &cache)
        }
      }
    }

    private func cache(_ layer: Int, _ pages: Int, position: Int) -> cb_cache {
      let config = model.config
      return cb_cache(
        pages: self.pages + pages, offset: 2 * layer * config.keyValueWidth * PagePool.tokens,
        head_width: config.headWidth, position: position, window: config.windows[layer] ?? 0,
        scale: 1 / Float(config.headWidth).squareRoot())
    }

    /// Threads take pieces from one list until it is empty. Each looks once too often, so that a layer's numbers begin
    /// where those of the layer before ended.
    private func attend(_ thread: Int, _ threads: Int, _ layer: Int) {
      let config = model.config
      let (start, group) = (layer * (pieces.count + threads), config.heads / config.keyValueHeads)
      while true {
        let taken = next.add(1, ordering: .relaxed).oldValue - start
        guard taken < pieces.count else { return }
        let piece = pieces[taken]
        let part = parts[piece.part]
        var cache = cache(layer, part.pages, position: part.position + piece.tokens.lowerBound)
        let (row, column) = (part.first + piece.tokens.lowerBound, piece.head * group * config.headWidth)
        let query = a.queryKeyValue.pointer + row * rowWidth + column
        let out = a.mixed.pointer + row * config.queryWidth + column
        let scratch = a.attention[thread].pointer
        if model.precision == .fp32 {
          cb_cache_attention(
            query, rowWidth, piece.tokens.count, group, piece.head, &cache, scratch, out, config.queryWidth)
        } else {
          cb_cache_attention_bf16(
            query, rowWidth, piece.tokens.count, group, piece.head, &cache, scratch, out, config.queryWidth)
        }
      }
    }

    /// x = x + W₃·(silu(W₁·x) · W₂·x)
    private func feedForward(
      _ layer: DecoderWeights.Layer, _ mine: Share, _ some: Range<Int>, _ barrier: StepBarrier
    ) {
      let (hidden, width) = (model.config.hiddenSize, model.config.intermediateSize)
      for (map, column) in [(layer.gate, 0), (layer.up, width)] {
        map.multiply(
          prepared: a.normed.pointer, count: rows, outputs: mine.ofPanels(width), CB_BIAS,
          to: a.gateUp.pointer + column,
          stride: 2 * width, using: a.products)
      }
      barrier.wait()
      cb_silu_multiply(
        a.gateUp.pointer + some.lowerBound * 2 * width, some.count, width, a.inner.pointer + some.lowerBound * width)
      layer.down.prepare(a.inner.pointer, rows: some, using: a.products)
      barrier.wait()
      layer.down.multiply(
        prepared: a.inner.pointer, count: rows, outputs: mine.ofPanels(hidden), CB_ADD, to: a.hidden.pointer,
        stride: hidden, using: a.products)
    }

    private func finish(_ mine: Share, _ barrier: StepBarrier) {
      let (config, weights) = (model.config, model.weights)
      let some = mine.of(wanted.count)
      for index in some {
        cb_rmsnorm(
          a.hidden.pointer + wanted[index] * config.hiddenSize, 1, config.hiddenSize, weights.outputNorm.pointer,
          config.normEpsilon, a.normed.pointer + index * config.hiddenSize)
      }
      weights.head.prepare(a.normed.pointer, rows: some, using: a.products)
      barrier.wait()
      weights.head.multiply(
        prepared: a.normed.pointer, count: wanted.count, outputs: mine.ofPanels(weights.head.width), CB_BIAS,
        to: a.logits.pointer, stride: weights.head.width, using: a.products)
    }
  }
}

/// One thread's share of what is divided among several.
private struct Share {
  let thread: Int
  let threads: Int

  func of(_ count: Int) -> Range<Int> { count * thread / threads..<count * (thread + 1) / threads }

  /// Of outputs, in whole panels.
  func ofPanels(_ outputs: Int) -> Range<Int> {
    let panels = of(outputs / Int(CB_LANES))
    return panels.lowerBound * Int(CB_LANES)..<panels.upperBound * Int(CB_LANES)
  }
}
