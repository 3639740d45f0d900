import FoundationEssentials
import TestSupport
import Testing

@testable import Inference

/// The small models of Tests/Vectors/decoders, made by scripts/golden/decoders.py with transformers, and what it gives
/// for a few token sequences in fp32.
struct DecoderGolden: Sendable, CustomTestStringConvertible {
  struct Item {
    let ids: [Int32]
    /// Behind the last id.
    let logits: [Float]
    /// The ids that greedy decoding goes on with, and by how much each led.
    let greedy: [Int32]
    let margins: [Float]
  }

  let name: String
  var testDescription: String { name }

  static let all = ["llama", "llama-biased", "llama3", "llama-yarn", "mistral", "qwen2", "qwen3"].map(Self.init)

  var folder: URL { Checkout.root.appending(path: "Tests/Vectors/decoders/\(name)") }

  func files() throws -> ModelFiles {
    var contents: [String: [UInt8]] = [:]
    for file in ["config.json", "model.safetensors.index.json"] {
      let path = folder.appending(path: file)
      if FileManager.default.fileExists(atPath: path.path) { contents[file] = Array(try Data(contentsOf: path)) }
    }
    return ModelFiles(contents)
  }

  func model(_ precision: Precision = .fp32) throws -> DecoderModel {
    let files = try files()
    let config = try DecoderConfig(files: files)
    let index = try ShardIndex(files: files, unless: false)
    let weights = try (index?.shards ?? [WeightsFile.name]).map {
      ($0, Array(try Data(contentsOf: folder.appending(path: $0))))
    }
    return try EncoderGolden.withFiles(weights) {
      DecoderModel(
        config: config,
        weights: try DecoderWeights(try Weights($0, index: index), config: config, precision: precision),
        precision: precision)
    }
  }

  /// The same models as GGUF files, and one in Q8_0, whose reference has the same weights.
  static let gguf = ["llama", "llama-biased", "llama3", "llama-yarn", "qwen3", "llama-q8_0"].map(Self.init)

  /// The GGUF file, read as it stands.
  func weights() throws -> GGUFWeights {
    try Array(try Data(contentsOf: folder.appending(path: "model.gguf"))).withUnsafeBytes {
      try GGUFWeights($0, file: "model.gguf", check: GenerationModel.check)
    }
  }

  /// From the GGUF file.
  func packedModel(_ precision: Precision = .fp32) throws -> DecoderModel {
    let weights = try weights()
    let config = try DecoderConfig(try weights.header())
    return DecoderModel(
      config: config, weights: try DecoderWeights(weights, config: config), precision: precision)
  }

  func items() throws -> [Item] {
    let bytes = Array(try Data(contentsOf: folder.appending(path: "golden.json")))
    let json = try JSONValue(parsing: bytes, limits: JSONLimits(bytes: 1 << 20, values: 100_000))
    func floats(_ value: JSONValue?) -> [Float] { (value?.array ?? []).compactMap { $0.double.map(Float.init) } }
    func ids(_ value: JSONValue?) -> [Int32] { (value?.array ?? []).compactMap { $0.integer.map(Int32.init) } }
    return (json.object?["items"]?.array ?? []).compactMap(\.object).map {
      Item(
        ids: ids($0["ids"]), logits: floats($0["logits"]), greedy: ids($0["greedy"]), margins: floats($0["margins"]))
    }
  }
}

/// Feeds sequences to a decoder by hand.
struct DecoderRun {
  let model: DecoderModel
  let pool: PagePool
  let activations: DecoderActivations

  init(_ model: DecoderModel, rows: Int = 128, threads: Int = 1) {
    self.model = model
    pool = PagePool(config: model.config, precision: model.precision, bytes: 1 << 26)
    activations = DecoderActivations(
      config: model.config, weights: model.weights, rows: rows, logitRows: 16, context: model.config.contextLength,
      threads: threads)
  }

  func pages(_ tokens: Int) -> [UnsafeMutableRawPointer?] { (0..<PagePool.pages(tokens)).map { _ in pool.take() } }

  /// The logits behind some tokens of one sequence.
  func logits(_ tokens: ArraySlice<Int32>, at position: Int, pages: [UnsafeMutableRawPointer?]) -> [Float] {
    let part = DecoderStep.Part(tokens: tokens, position: position, pages: pages, wantsLogits: true)
    model.compute(DecoderStep(parts: [part]), using: activations)
    return row(0)
  }

  /// One row of the latest logits.
  func row(_ index: Int) -> [Float] {
    let start = activations.logits.pointer + index * model.weights.head.width
    return Array(UnsafeBufferPointer(start: start, count: model.config.vocabularySize))
  }

  /// A vocabulary of 100 tokens, each with a letter or two.
  static let bytes = TokenBytes(
    (0..<100).map { id -> [UInt8]? in
      guard id >= 3 else { return nil }
      let letter = UInt8(97 + id % 26)
      return id < 29 ? [letter] : [letter, UInt8(48 + id / 26)]
    })
}
