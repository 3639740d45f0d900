/// Makes a model's int8 scales from what its fp32 products see in a set of texts, and holds a precision to fp32.
package struct Calibrator {
  private let files: ModelFiles
  private let weights: [WeightsFile]
  private let config: ModelConfig
  private let tokenizer: ItemTokenizer

  /// - Parameters:
  ///   - files: the model's clear files.
  ///   - weights: its weight files, which must outlive this value.
  /// Throws `ModelError`, as loading the model does.
  package init(files: ModelFiles, weights: [WeightsFile]) throws(ModelError) {
    self.files = files
    self.weights = weights
    config = try ModelConfig(files: files)
    tokenizer = try ItemTokenizer(files: files, config: config)
  }

  /// The scales for these texts: the same bytes for the same model and texts, on every machine and instruction set.
  /// A text that the model gives no finite numbers for is left out.
  /// Throws `ModelError` where the weights cannot be loaded.
  package func scales(_ texts: [String]) throws(ModelError) -> Int8Scales {
    let observer = CalibrationObserver()
    let loaded = try ModelWeights(weights, clear: files, config: config)
    // One thread and one text after the other: the sums must not depend on who came first.
    let encoder = try SequenceEncoder(
      loaded, config: config, precision: .fp32, threads: 1, calibration: .observing(observer))
    for text in texts { _ = try? encoder.compute([tokenizer.tokenize(text)]) }
    return Int8Scales(observer.products.map { ($0.product, $0.scales()) })
  }

  /// How near the results of a precision come to those of fp32 over these texts.
  package func accuracy(
    of precision: Precision, scales: Int8Scales?, exact: [[Float]], _ texts: [String], threads: Int = 0
  ) throws -> PrecisionAccuracy {
    let results = try results(precision, scales: scales, texts, threads: threads)
    return PrecisionAccuracy(
      precision: precision, cosines: zip(results, exact).map { PrecisionAccuracy.cosine($0, $1) })
  }

  /// What the model makes of texts, in one precision. Throws `ModelError` and `EmbeddingModel.Failure`.
  package func results(
    _ precision: Precision, scales: Int8Scales? = nil, _ texts: [String], threads: Int = 0
  ) throws -> [[Float]] {
    let loaded = try ModelWeights(weights, clear: files, config: config)
    let encoder = try SequenceEncoder(
      loaded, config: config, precision: precision, threads: threads, calibration: scales.map { .scales($0) } ?? .none)
    return try encoder.compute(texts.map { tokenizer.tokenize($0) })
  }
}

/// What a loader does about each product of a model beside packing its weights.
enum Calibration: Sendable {
  case none
  /// int8 uses these.
  case scales(Int8Scales)
  /// Each product's input is recorded.
  case observing(CalibrationObserver)
}
