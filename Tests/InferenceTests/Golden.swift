import FoundationEssentials
import TestSupport
import Testing

@testable import Inference

/// The reference data of Tests/Vectors/inference (made by scripts/golden/reference.py) and the real model.
enum Golden {
  private static let vectors = Checkout.root.appending(path: "Tests/Vectors/inference")

  static let hasModel = Need.model.isMet
  static let skip = Comment(rawValue: Need.model.comment)

  /// The model's clear files.
  static func files() throws -> ModelFiles {
    let directory = try Need.model.require()
    var contents: [String: [UInt8]] = [:]
    for name in [
      "config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "modules.json",
      "sentence_bert_config.json", "1_Pooling/config.json",
    ] {
      contents[name] = Array(try Data(contentsOf: directory.appending(path: name)))
    }
    return ModelFiles(contents)
  }

  static func weights() throws -> [UInt8] {
    Array(try Data(contentsOf: try Need.model.require().appending(path: "model.safetensors")))
  }

  /// The model, loaded once for all suites.
  static let model = Result { try EmbeddingModel.load(files: files(), weights: weights(), threads: 2) }

  /// The same, in bf16.
  static let bf16 = Result { try EmbeddingModel.load(files: files(), weights: weights(), precision: .bf16, threads: 2) }

  /// The same, in int8.
  static let int8 = Result { try EmbeddingModel.load(files: files(), weights: weights(), precision: .int8, threads: 2) }

  static func model(_ precision: Precision) throws -> EmbeddingModel {
    switch precision {
    case .fp32: try model.get()
    case .bf16: try bf16.get()
    case .int8: try int8.get()
    }
  }

  static let texts: [String] = {
    guard let lines = try? Data(contentsOf: vectors.appending(path: "corpus.jsonl")) else { return [] }
    return lines.split(separator: UInt8(ascii: "\n")).compactMap { line in
      (try? JSONValue(parsing: line, limits: JSONLimits(bytes: 1 << 20, values: 1)))?.string
    }
  }()

  /// What Hugging Face's tokenizers gives for each text.
  static let inputs: [TokenizedInput] = {
    let words = littleEndianWords("ids.bin")
    var inputs: [TokenizedInput] = []
    var place = 0
    while place < words.count {
      let count = Int(words[place] & 0x7fff)
      let ids = words[(place + 1)...].prefix(count).map(Int32.init)
      inputs.append(TokenizedInput(ids: ids, truncated: words[place] & 0x8000 != 0))
      place += 1 + count
    }
    return inputs
  }()

  /// PyTorch's embedding of every fifth text.
  static let embeddings: [[Float]] = {
    let floats = littleEndianWords("embeddings.f16").map(Weights.float(half:))
    return stride(from: 0, to: floats.count, by: 384).map { Array(floats[$0..<min($0 + 384, floats.count)]) }
  }()

  private static func littleEndianWords(_ name: String) -> [UInt16] {
    let bytes = (try? Data(contentsOf: vectors.appending(path: name))).map(Array.init) ?? []
    return stride(from: 0, to: bytes.count - 1, by: 2).map { UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8 }
  }

  static func cosine(_ a: [Float], _ b: [Float]) -> Double {
    var (dot, aa, bb) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
      dot += Double(x) * Double(y)
      aa += Double(x) * Double(x)
      bb += Double(y) * Double(y)
    }
    return dot / (aa * bb).squareRoot()
  }
}
