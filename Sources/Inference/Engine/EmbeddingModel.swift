import CBlas
import Synchronization

/// A model that turns texts into embeddings: tokenizer, encoder, pooling. Synchronous; one call runs at a time, on
/// several threads of its own. Holds the weights until it is freed, and wipes them then.
package final class EmbeddingModel: Sendable {
  /// Why a batch was not computed.
  package enum Failure: Error, Equatable {
    /// An input has no tokens, more than `maximumTokens`, or an id outside the vocabulary; counted from 0.
    case badInput(index: Int)
    /// The numbers ran over: an embedding is infinite or not a number.
    case notFinite(index: Int)
  }

  package let config: ModelConfig
  package let tokenizer: WordPieceTokenizer
  /// Types of the weights in their file, sorted: `F32`, say.
  package let elementTypes: [String]
  /// In which numbers products are computed.
  package let precision: Precision

  private let encoder: EncoderModel
  private let threads: Int
  private let state: Mutex<[EncoderModel.Activations]>

  /// Tokens that one thread takes at once, so that activations stay in its cache.
  private static let tokensPerStep = 512

  /// Floats of an embedding.
  package var dimensions: Int { config.hiddenSize }
  /// Tokens of one input at most, [CLS] and [SEP] included.
  package var maximumTokens: Int { config.maximumTokens }
  /// Such as `bert`.
  package var architecture: String { ModelConfig.architecture }
  /// The instruction set in use: `avx512`, `avx2` or `portable`. All give the same bits.
  package static var kernelName: String { String(cString: cb_kernel_name()) }

  /// Reads a model. `weights` is the whole safetensors file; it is copied, and free again when this returns.
  /// `threads`: at most so many; 0 takes the processors that there are.
  /// Throws `ModelError` with the file, the part of it and the reason.
  package init(
    files: ModelFiles, weights: UnsafeRawBufferPointer, precision: Precision = .fp32, threads: Int = 0
  ) throws(ModelError) {
    self.precision = precision
    config = try ModelConfig(files: files)
    tokenizer = try WordPieceTokenizer(files: files, config: config)
    let loaded = try EncoderWeights(try WeightsFile(weights), config: config, precision: precision)
    elementTypes = loaded.elementTypes
    encoder = EncoderModel(config: config, weights: loaded)
    self.threads = threads > 0 ? threads : Threads.processors
    state = Mutex([])
  }

  /// The same, from an array.
  package static func load(
    files: ModelFiles, weights: [UInt8], precision: Precision = .fp32, threads: Int = 0
  ) throws -> EmbeddingModel {
    try weights.withUnsafeBytes {
      try EmbeddingModel(files: files, weights: $0, precision: precision, threads: threads)
    }
  }

  /// The token ids of a text, cut to what the model reads.
  package func tokenize(_ text: String) -> TokenizedInput { tokenizer.tokenize(text) }

  /// The embeddings of a batch, in its order. Each depends on its own input alone, bit for bit.
  package func embed(_ batch: [TokenizedInput]) throws(Failure) -> [[Float]] {
    for (index, input) in batch.enumerated() {
      guard (1...maximumTokens).contains(input.ids.count),
        input.ids.allSatisfy({ (0..<config.vocabularySize).contains(Int($0)) })
      else { throw .badInput(index: index) }
    }
    guard !batch.isEmpty else { return [] }
    let out = FloatBuffer(count: batch.count * dimensions)
    compute(batch, into: out)
    for index in batch.indices where !cb_all_finite(out.pointer + index * dimensions, dimensions) {
      throw .notFinite(index: index)
    }
    return batch.indices.map {
      Array(UnsafeBufferPointer(start: out.pointer + $0 * dimensions, count: dimensions))
    }
  }

  /// Wipes the activations: call it between jobs.
  package func wipe() {
    state.withLock { activations in
      for activation in activations { activation.wipe() }
      activations = []
    }
  }

  /// Threads take steps from one list until it is empty.
  private func compute(_ batch: [TokenizedInput], into out: FloatBuffer) {
    let steps = steps(batch)
    let width = min(threads, steps.count)
    state.withLock { activations in
      while activations.count < width {
        activations.append(
          .init(config: config, tokens: max(Self.tokensPerStep, maximumTokens), precision: precision))
      }
      let (encoder, memory, dimensions) = (encoder, activations, dimensions)
      let next = NextStep()
      Threads.run(width) { thread in
        while let step = next.take(below: steps.count) {
          let range = steps[step]
          encoder.embed(batch[range], using: memory[thread], into: out.pointer + range.lowerBound * dimensions)
        }
      }
    }
  }

  /// Consecutive inputs whose tokens fit one step; smaller steps when there is not work enough for every thread.
  private func steps(_ batch: [TokenizedInput]) -> [Range<Int>] {
    let total = batch.reduce(0) { $0 + $1.ids.count }
    let target = max(96, min(Self.tokensPerStep, total / (2 * threads)))
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

/// Deals out the numbers from 0, each once.
private final class NextStep: Sendable {
  private let next = Atomic<Int>(0)

  func take(below count: Int) -> Int? {
    let step = next.add(1, ordering: .relaxed).oldValue
    return step < count ? step : nil
  }
}
