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
    guard config.decoder == nil else {
      throw ModelError(ModelConfig.file, "is of a decoder, which is computed in fp32 or bf16, not in int8")
    }
    tokenizer = try ItemTokenizer(files: files, config: config)
  }

  /// What the model reads of texts: each by itself. A model with a head reads both sides of a tab as a pair; a
  /// cross-encoder, which reads nothing else, makes three pairs of a text without one: with itself, of its halves, and with
  /// the next text, so that its scores are high, low and between.
  func inputs(_ texts: [String]) -> [TokenizedInput] {
    let operation = config.output.operation
    guard operation != .embed else { return texts.map { tokenizer.tokenize($0) } }
    return texts.enumerated().flatMap { index, text in
      if let tab = text.firstIndex(of: "\t") {
        return [tokenizer.tokenize(String(text[..<tab]), pair: String(text[text.index(after: tab)...]))]
      }
      guard operation == .score else { return [tokenizer.tokenize(text)] }
      let scalars = text.unicodeScalars
      let half = scalars.index(scalars.startIndex, offsetBy: scalars.count / 2)
      return [
        (text, text), (String(scalars[..<half]), String(scalars[half...])), (text, texts[(index + 1) % texts.count]),
      ].map { tokenizer.tokenize($0.0, pair: $0.1) }
    }
  }

  /// The scales for these texts: the same bytes for the same model and texts, on every machine and instruction set.
  /// An input that the model gives no finite numbers for is left out.
  /// Throws `ModelError` where the weights cannot be loaded.
  package func scales(_ texts: [String]) throws(ModelError) -> Int8Scales {
    let observer = CalibrationObserver()
    let loaded = try ModelWeights(weights, clear: files, config: config)
    // One thread and one text after the other: the sums must not depend on who came first.
    let encoder = try SequenceEncoder(
      loaded, config: config, precision: .fp32, threads: 1, calibration: .observing(observer))
    for input in inputs(texts) { _ = try? encoder.compute([input]) }
    return Int8Scales(observer.products.map { ($0.product, $0.scales()) })
  }

  /// How near the results of a precision come to those of fp32, `exact`, over these texts.
  package func accuracy(
    of precision: Precision, scales: Int8Scales?, exact: [[Float]], _ texts: [String], threads: Int = 0
  ) throws -> PrecisionAccuracy {
    let results = try results(precision, scales: scales, texts, threads: threads)
    return switch config.output {
    case .embedding:
      PrecisionAccuracy(precision, zip(results, exact).map { PrecisionAccuracy.cosine($0, $1) })
    case .classification(let head):
      PrecisionAccuracy(
        precision, PrecisionAccuracy.agreements(results, exact, ignoringShift: head.function == .softmax))
    }
  }

  /// What the model makes of texts in one precision: embeddings, or the logits of each input.
  /// Throws `ModelError` and `EmbeddingModel.Failure`.
  package func results(
    _ precision: Precision, scales: Int8Scales? = nil, _ texts: [String], threads: Int = 0
  ) throws -> [[Float]] {
    let loaded = try ModelWeights(weights, clear: files, config: config)
    let encoder = try SequenceEncoder(
      loaded, config: config.givingLogits, precision: precision, threads: threads,
      calibration: scales.map { .scales($0) } ?? .none)
    return try encoder.compute(inputs(texts))
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
