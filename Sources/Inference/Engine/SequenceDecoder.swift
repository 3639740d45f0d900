import CBlas
import Synchronization

/// A decoder that gives embeddings: sequences of token ids in, a row of floats out for each, the vector of its last token
/// behind the last norm. Synchronous; one call runs at a time, on several threads of its own. Holds the weights until it
/// is freed, and wipes them then.
final class SequenceDecoder: Sendable {
  /// Types of the weights in their files, sorted: `F32`, say.
  let elementTypes: [String]
  private let config: ModelConfig
  private let normalizes: Bool
  private let model: DecoderModel
  private let threads: Int
  private let state = Mutex<Memory?>(nil)

  /// Tokens of one pass.
  static let tokensPerStep = 512
  /// Sequences that end in one pass: each holds a page at least.
  private static let sequencesPerStep = 64

  /// - Parameters:
  ///   - config: with the decoder's own configuration in it.
  ///   - threads: at most so many; 0 takes the processors that there are.
  /// - Throws: `ModelError` for int8, and with the tensor that is missing, of another shape or type, or not known.
  init(
    _ weights: ModelWeights, config: ModelConfig, decoder: DecoderConfig, precision: Precision, threads: Int
  ) throws(ModelError) {
    try EngineKernel.checkEnvironment()
    guard precision != .int8 else {
      throw ModelError(ModelConfig.file, "is of a decoder, which is computed in fp32 or bf16, not in int8")
    }
    let loaded = try DecoderWeights(weights.encoder, config: decoder, precision: precision)
    (self.config, elementTypes) = (config, loaded.elementTypes)
    if case .embedding(let embedding) = config.output { normalizes = embedding.normalizes } else { normalizes = false }
    model = DecoderModel(config: decoder, weights: loaded, precision: precision)
    self.threads = threads > 0 ? threads : ThreadPool.processors
  }

  /// Pages that one call can come to hold: of the longest sequence, and of all that begin and end in one pass.
  static func pages(maximumTokens: Int) -> Int {
    PagePool.pages(maximumTokens) + PagePool.pages(tokensPerStep) + sequencesPerStep
  }

  /// What passes write, kept from call to call.
  private struct Memory {
    let pool: PagePool
    let activations: DecoderActivations
  }

  private func makeMemory() -> Memory {
    let (config, precision) = (model.config, model.precision)
    let pages = Self.pages(maximumTokens: self.config.maximumTokens)
    return Memory(
      pool: PagePool(
        config: config, precision: precision, bytes: pages * PagePool.pageBytes(config, precision: precision)),
      activations: DecoderActivations(
        config: config, weights: model.weights, rows: Self.tokensPerStep, logitRows: 0,
        context: self.config.maximumTokens, threads: threads))
  }

  /// A row of `hiddenSize` floats for each sequence, in their order. Each depends on its own sequence alone, bit for bit.
  func compute(_ batch: [TokenizedInput]) throws(EmbeddingModel.Failure) -> [[Float]] {
    for (index, input) in batch.enumerated() where !isReadable(input) { throw .badInput(index: index) }
    guard !batch.isEmpty else { return [] }
    let width = config.hiddenSize
    let out = FloatBuffer(count: batch.count * width)
    state.withLock { memory in
      let at = memory ?? makeMemory()
      memory = at
      compute(batch, at, into: out.pointer)
    }
    for index in batch.indices {
      let row = out.pointer + index * width
      guard cb_all_finite(row, width) else { throw .notFinite(index: index) }
      if normalizes { cb_l2_normalize(row, width) }
    }
    return batch.indices.map { Array(UnsafeBufferPointer(start: out.pointer + $0 * width, count: width)) }
  }

  /// Whether every token has a row.
  private func isReadable(_ input: TokenizedInput) -> Bool {
    (1...config.maximumTokens).contains(input.ids.count)
      && input.ids.allSatisfy { (0..<config.vocabularySize).contains(Int($0)) }
  }

  /// Reads the sequences one behind the other, as many tokens in each pass as there is room for.
  private func compute(_ batch: [TokenizedInput], _ memory: Memory, into out: UnsafeMutablePointer<Float>) {
    let (pool, width) = (memory.pool, config.hiddenSize)
    var (next, stored, pages) = (0, 0, [UnsafeMutableRawPointer?]())
    while next < batch.count {
      var (parts, room) = ([DecoderStep.Part](), Self.tokensPerStep)
      var ended: [(index: Int, pages: [UnsafeMutableRawPointer?])] = []
      while next < batch.count, room > 0, ended.count < Self.sequencesPerStep {
        let ids = batch[next].ids
        let count = min(ids.count - stored, room)
        while pages.count < PagePool.pages(stored + count) { pages.append(pool.take()) }  // there is one, by ``pages``
        let isLast = stored + count == ids.count
        parts.append(
          .init(tokens: ids[stored..<stored + count], position: stored, pages: pages, wantsLogits: isLast))
        (room, stored) = (room - count, stored + count)
        guard isLast else { continue }
        ended.append((next, pages))
        (next, stored, pages) = (next + 1, 0, [])
      }
      model.compute(DecoderStep(parts: parts, givesVectors: true), using: memory.activations)
      for (row, sequence) in ended.enumerated() {
        (out + sequence.index * width).update(from: memory.activations.normed.pointer + row * width, count: width)
        for case .some(let page) in sequence.pages { pool.give(page) }
      }
    }
  }

  /// Wipes the activations, and keys and values: call it between jobs.
  func wipe() {
    state.withLock { memory in
      memory?.activations.wipe()
      memory = nil
    }
  }
}
