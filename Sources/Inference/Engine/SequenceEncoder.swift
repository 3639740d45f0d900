import CBlas
import Synchronization

/// An encoder in memory: sequences of token ids in, a row of floats out for each. Synchronous; one call runs at a time,
/// on several threads of its own, which stay for the next. Holds the weights until it is freed, and wipes them then.
final class SequenceEncoder: Sendable {
  let config: ModelConfig
  /// Types of the weights in their files, sorted: `F32`, say.
  let elementTypes: [String]
  private let precision: Precision
  private let encoder: EncoderModel
  private let pool: ThreadPool
  private let state = Mutex(Memory())

  /// Tokens that one thread takes at once, so that activations stay in its cache.
  static let tokensPerStep = 512

  /// `threads`: at most so many; 0 takes the processors that there are.
  init(
    _ weights: ModelWeights, config: ModelConfig, precision: Precision, threads: Int, calibration: Calibration = .none
  ) throws(ModelError) {
    try EngineKernel.checkEnvironment()
    let loaded = try EncoderWeights(weights, config: config, precision: precision, calibration: calibration)
    (self.config, self.precision, elementTypes) = (config, precision, loaded.elementTypes)
    encoder = EncoderModel(config: config, weights: loaded)
    pool = ThreadPool(threads: threads > 0 ? threads : ThreadPool.processors)
  }

  /// A row of `dimensions` floats for each sequence, in their order. Each depends on its own sequence alone, bit for bit.
  func compute(_ batch: [TokenizedInput]) throws(EmbeddingModel.Failure) -> [[Float]] {
    for (index, input) in batch.enumerated() where !isReadable(input) { throw .badInput(index: index) }
    guard !batch.isEmpty else { return [] }
    let dimensions = config.dimensions
    let out = FloatBuffer(count: batch.count * dimensions)
    compute(batch, into: out)
    for index in batch.indices where !cb_all_finite(out.pointer + index * dimensions, dimensions) {
      throw .notFinite(index: index)
    }
    return batch.indices.map {
      Array(UnsafeBufferPointer(start: out.pointer + $0 * dimensions, count: dimensions))
    }
  }

  /// Whether every table has a row for each of its tokens.
  private func isReadable(_ input: TokenizedInput) -> Bool {
    (1...config.maximumTokens).contains(input.ids.count)
      && input.ids.allSatisfy { (0..<config.vocabularySize).contains(Int($0)) }
      && (input.segments.isEmpty || input.segments.count == input.ids.count)
      && (config.segments == 0 || input.segments.allSatisfy { Int($0) < config.segments })
  }

  /// Wipes the activations: call it between jobs.
  func wipe() {
    state.withLock { memory in
      for activations in memory.activations { activations.wipe() }
      for scratch in memory.scratch { scratch.wipe() }
      memory = Memory()
    }
  }

  /// What passes write, kept from call to call.
  private struct Memory {
    /// One for each pass at a time.
    var activations: [EncoderModel.Activations] = []
    /// One for each thread.
    var scratch: [FloatBuffer] = []
  }

  /// Each thread takes steps from one list until it is empty. Of fewer steps than threads, all compute one after the other.
  private func compute(_ batch: [TokenizedInput], into out: FloatBuffer) {
    let (steps, dimensions, encoder) = (steps(batch), config.dimensions, encoder)
    let isShared = steps.count < pool.threads
    state.withLock { memory in
      grow(&memory, passes: isShared ? 1 : pool.threads)
      let (activations, scratch) = (memory.activations, memory.scratch)
      @Sendable func compute(_ step: Range<Int>, by team: Team, thread: Int) {
        encoder.compute(
          batch[step], by: team, using: activations[thread], into: out.pointer + step.lowerBound * dimensions)
      }
      if isShared {
        for step in steps { compute(step, by: Team(pool: pool, scratch: scratch), thread: 0) }
      } else {
        pool.run(steps.count) { step, thread in
          compute(steps[step], by: Team(pool: nil, scratch: [scratch[thread]]), thread: thread)
        }
      }
    }
  }

  private func grow(_ memory: inout Memory, passes: Int) {
    while memory.scratch.count < pool.threads { memory.scratch.append(FloatBuffer(count: encoder.scratchSize)) }
    while memory.activations.count < passes {
      memory.activations.append(
        .init(
          config: config, tokens: max(Self.tokensPerStep, config.maximumTokens), precision: precision,
          projectionWidth: encoder.weights.projections.map(\.width).max() ?? 0))
    }
  }

  /// Consecutive inputs whose tokens fit one step; smaller steps when there is not work enough for every thread.
  private func steps(_ batch: [TokenizedInput]) -> [Range<Int>] {
    let total = batch.reduce(0) { $0 + $1.ids.count }
    let target = max(96, min(Self.tokensPerStep, total / (2 * pool.threads)))
    var steps: [Range<Int>] = []
    var (start, tokens) = (0, 0)
    for (index, input) in batch.enumerated() {
      if index > start, tokens + input.ids.count > target {
        steps.append(start..<index)
        (start, tokens) = (index, 0)
      }
      tokens += input.ids.count
    }
    return steps + [start..<batch.count]
  }
}
