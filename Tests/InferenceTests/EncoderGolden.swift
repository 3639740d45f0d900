import FoundationEssentials
import TestSupport
import Testing

@testable import Inference

/// The small models of Tests/Vectors/encoders, made by scripts/golden/encoders.py with transformers and
/// sentence-transformers, and what these two give for a few texts.
struct EncoderGolden: Sendable, CustomTestStringConvertible {
  struct Item {
    let text: String
    let pair: String?
    let prompt: String?
    /// Absent where only the text is given.
    let input: TokenizedInput?
    let output: [Float]
  }

  let name: String
  /// The folder under Tests/Vectors.
  var set = "encoders"
  var testDescription: String { name }

  static let all = [
    "bert-mean", "bert-max", "bert-dense", "distilbert-lasttoken", "roberta-mean", "xlm-roberta-cls", "mpnet-mean",
    "bert-classify", "distilbert-classify", "roberta-multilabel", "mpnet-classify", "bert-score", "xlm-roberta-score",
  ].map { Self(name: $0) }

  /// Decoders that give embeddings, made by scripts/golden/decoder_embeddings.py.
  static let decoders = ["qwen3", "mistral", "llama"].map { Self(name: $0, set: "decoder-embeddings") }

  var folder: URL { Checkout.root.appending(path: "Tests/Vectors/\(set)/\(name)") }

  func files() throws -> ModelFiles { try ModelFolder(path: folder.path).clearFiles() }

  /// Each weight file of the folder, by its name.
  func weights() throws -> [(name: String, bytes: [UInt8])] {
    let config = try ModelConfig(files: try files())
    let isWhole = FileManager.default.fileExists(atPath: folder.appending(path: WeightsFile.name).path)
    let index = try ShardIndex(files: try files(), unless: isWhole)
    return try ModelWeights.names(index: index, config: config).map {
      ($0, Array(try Data(contentsOf: folder.appending(path: $0))))
    }
  }

  /// The encoder without its tokenizer.
  func encoder(precision: Precision = .fp32, threads: Int = 1) throws -> SequenceEncoder {
    let (files, config) = (try files(), try ModelConfig(files: try files()))
    return try Self.withFiles(try weights()) {
      try SequenceEncoder(
        try ModelWeights($0, clear: files, config: config), config: config, precision: precision, threads: threads)
    }
  }

  /// Hands over the weight files as a loader gets them.
  static func withFiles<Result>(
    _ weights: [(name: String, bytes: [UInt8])], _ body: ([WeightsFile]) throws -> Result
  ) throws -> Result {
    func next(_ files: [WeightsFile]) throws -> Result {
      guard files.count < weights.count else { return try body(files) }
      let file = weights[files.count]
      return try file.bytes.withUnsafeBytes { try next(files + [WeightsFile(name: file.name, bytes: $0)]) }
    }
    return try next([])
  }

  func items() throws -> [Item] {
    let bytes = Array(try Data(contentsOf: folder.appending(path: "golden.json")))
    let json = try JSONValue(parsing: bytes, limits: JSONLimits(bytes: 1 << 20, values: 100_000))
    return (json.object?["items"]?.array ?? []).compactMap(\.object).map { item in
      let ids = item["ids"]?.array?.compactMap(\.integer).map(Int32.init)
      return Item(
        text: item["text"]?.string ?? "", pair: item["pair"]?.string, prompt: item["prompt"]?.string,
        input: ids.map { ids in
          let second = item["second"]?.integer
          let segments = second.map { second in ids.indices.map { UInt8($0 < second ? 0 : 1) } }
          return TokenizedInput(ids: ids, truncated: false, segments: segments ?? [])
        },
        output: (item["output"]?.array ?? []).compactMap { $0.double.map(Float.init) })
    }
  }
}
