/// A model that turns texts into embeddings, or with a classification head into scores: tokenizer, encoder or decoder,
/// pooling.
/// Synchronous; one call runs at a time, on several threads of its own. Holds the weights until it is freed, and wipes
/// them then.
package final class EmbeddingModel: Sendable {
  /// Why a batch was not computed.
  package enum Failure: Error, Equatable {
    /// An input has no tokens, more than `maximumTokens`, or an id or a segment without a row; counted from 0.
    case badInput(index: Int)
    /// The numbers ran over: a result is infinite or not a number.
    case notFinite(index: Int)
  }

  package let config: ModelConfig
  package let tokenizer: ItemTokenizer
  /// In which numbers products are computed.
  package let precision: Precision
  /// Whether int8 uses scales that were made when the model was published.
  package let isCalibrated: Bool

  private enum Engine: Sendable {
    case encoder(SequenceEncoder)
    case decoder(SequenceDecoder)
  }

  private let engine: Engine

  /// Floats of a result: of an embedding, or one for each label.
  package var dimensions: Int { config.dimensions }
  /// Tokens of one input at most, [CLS] and [SEP] included.
  package var maximumTokens: Int { config.maximumTokens }
  /// Such as `bert`.
  package var architecture: String { config.architectureName }
  /// What can be asked of it.
  package var operation: ModelOperation { config.output.operation }
  /// Names of the scores, in their order; none for embeddings.
  package var labels: [String] {
    if case .classification(let head) = config.output { head.labels } else { [] }
  }
  /// Types of the weights in their files, sorted: `F32`, say.
  package var elementTypes: [String] {
    switch engine {
    case .encoder(let encoder): encoder.elementTypes
    case .decoder(let decoder): decoder.elementTypes
    }
  }

  /// Reads a model. `weights` are its safetensors files, whole; they are copied, and free again when this returns.
  /// `threads`: at most so many; 0 takes the processors that there are.
  /// Throws `ModelError` with the file, the part of it and the reason.
  package init(
    files: ModelFiles, weights: [WeightsFile], precision: Precision = .fp32, threads: Int = 0
  ) throws(ModelError) {
    self.precision = precision
    config = try ModelConfig(files: files)
    tokenizer = try ItemTokenizer(files: files, config: config)
    let weights = try ModelWeights(weights, clear: files, config: config)
    if let decoder = config.decoder {
      isCalibrated = false
      engine = .decoder(
        try SequenceDecoder(weights, config: config, decoder: decoder, precision: precision, threads: threads))
      return
    }
    let scales = precision == .int8 ? try Int8Scales(files: files) : nil
    isCalibrated = scales != nil
    engine = .encoder(
      try SequenceEncoder(
        weights, config: config, precision: precision, threads: threads,
        calibration: scales.map { .scales($0) } ?? .none))
  }

  /// The same, of a model whose weights are one file.
  package convenience init(
    files: ModelFiles, weights: UnsafeRawBufferPointer, precision: Precision = .fp32, threads: Int = 0
  ) throws(ModelError) {
    try self.init(files: files, weights: [WeightsFile(bytes: weights)], precision: precision, threads: threads)
  }

  /// The same, from an array.
  package static func load(
    files: ModelFiles, weights: [UInt8], precision: Precision = .fp32, threads: Int = 0
  ) throws -> EmbeddingModel {
    try weights.withUnsafeBytes {
      try EmbeddingModel(files: files, weights: $0, precision: precision, threads: threads)
    }
  }

  /// The token ids of a text or a pair behind a prompt of the model's, cut to what the model reads.
  package func tokenize(_ text: String, pair: String? = nil, prompt: String? = nil) -> TokenizedInput {
    tokenizer.tokenize(text, pair: pair, prompt: prompt)
  }

  /// The results of a batch, in its order: embeddings, or the scores of the labels. Each depends on its own input alone,
  /// bit for bit.
  package func embed(_ batch: [TokenizedInput]) throws(Failure) -> [[Float]] {
    switch engine {
    case .encoder(let encoder): try encoder.compute(batch)
    case .decoder(let decoder): try decoder.compute(batch)
    }
  }

  /// Wipes the activations: call it between jobs.
  package func wipe() {
    switch engine {
    case .encoder(let encoder): encoder.wipe()
    case .decoder(let decoder): decoder.wipe()
    }
  }
}
