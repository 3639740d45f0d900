import Foundation
import TestSupport

@testable import SealedCrypto

/// The files of a model that continues texts, and what its manifest says of them.
struct TestDecoder {
  var files: [(name: String, bytes: [UInt8], isSealed: Bool)]
  let format: String
  let dtypes: [String]
  let maximumTokens: UInt64

  /// The file of the weights.
  var weights: String { files.first { $0.isSealed }?.name ?? "" }

  func describe(in claims: inout ModelManifestClaims) {
    (claims.architecture, claims.format, claims.dtypes) = ("llama", format, dtypes)
    claims.maximumTokens = maximumTokens
  }

  /// In BF16, with a tokenizer and a chat template.
  static func safetensors() -> TestDecoder {
    let tiny = TinyDecoder()
    return TestDecoder(
      files: tiny.clearFiles.map { ($0.key, $0.value, false) } + [("model.safetensors", tiny.weights(), true)],
      format: "safetensors", dtypes: ["BF16"], maximumTokens: UInt64(TinyDecoder.contextLength))
  }

  /// In Q8_0.
  static func gguf() throws -> TestDecoder {
    let file = Checkout.root.appending(path: "Tests/Vectors/decoders/llama-q8_0/model.gguf")
    return TestDecoder(
      files: [("tiny.gguf", Array(try Data(contentsOf: file)), true)], format: "gguf", dtypes: ["F32", "Q8_0"],
      maximumTokens: 256)
  }
}
