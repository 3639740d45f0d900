@testable import Inference

/// A BERT of one layer and 32 floats, made of arithmetic: for tests that need a model, but not the real one.
struct TinyModel: Sendable {
  static let words = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "##b", "##c", "un", "##able", "é", ".",
  ]

  var config =
    #"{"model_type":"bert","hidden_act":"gelu","hidden_size":32,"num_hidden_layers":1,"num_attention_heads":2,"#
    + #""intermediate_size":64,"vocab_size":16,"max_position_embeddings":24,"type_vocab_size":2}"#
  var tokenizer =
    #"{"added_tokens":[{"id":2,"content":"[CLS]","special":true},{"id":3,"content":"[SEP]","special":true}],"#
    + #""normalizer":{"type":"BertNormalizer","strip_accents":null,"lowercase":true},"#
    + #""pre_tokenizer":{"type":"BertPreTokenizer"},"#
    + #""post_processor":{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]},"#
    + #""model":{"type":"WordPiece","unk_token":"[UNK]","vocab":{"#
    + words.enumerated().map { "\"\($1)\":\($0)" }.joined(separator: ",") + "}}}"
  /// Further clear files.
  var others: [String: String] = [:]
  var prefix = ""
  var type = TensorType.f32
  /// Tensors beyond BERT's own, one float each.
  var extraTensors: [String] = []
  /// A tensor to leave out.
  var missing: String?
  /// Put into the first place of a tensor, whatever its type.
  var poison: (tensor: String, bits: UInt32)?

  var files: ModelFiles {
    var contents = ["config.json": Array(config.utf8), "tokenizer.json": Array(tokenizer.utf8)]
    for (name, text) in others { contents[name] = Array(text.utf8) }
    return ModelFiles(contents)
  }

  /// The weights as a safetensors file.
  func weights() throws -> [UInt8] {
    let shapes = EncoderTensors.shapes(try ModelConfig(files: files)) + extraTensors.map { ($0, [1]) }
    var (header, data): (String, [UInt8]) = ("", [])
    for (name, shape) in shapes where name != missing {
      let start = data.count
      for index in 0..<shape.reduce(1, *) {
        let isPoisoned = poison?.tensor == name && index == 0
        append(isPoisoned ? Float(bitPattern: poison?.bits ?? 0) : value(name, index), to: &data)
      }
      header += header.isEmpty ? "{" : ","
      header +=
        "\"\(prefix)\(name)\":{\"dtype\":\"\(type.rawValue)\",\"shape\":\(shape),\"data_offsets\":[\(start),\(data.count)]}"
    }
    return Self.safetensors(header + "}", data)
  }

  /// A file of this header and these bytes.
  static func safetensors(_ header: String, _ data: [UInt8]) -> [UInt8] {
    let text = Array(header.utf8)
    return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text + data
  }

  func load(threads: Int = 1) throws -> EmbeddingModel {
    try EmbeddingModel.load(files: files, weights: weights(), threads: threads)
  }

  /// Small numbers with few bits, so that 16-bit types hold them exactly; gains about 1.
  private func value(_ name: String, _ index: Int) -> Float {
    let hash = name.utf8.reduce(UInt32(index) &* 2_654_435_761) { ($0 ^ UInt32($1)) &* 16_777_619 }
    let small = Float(Int(hash >> 16 & 63) - 32) / 128
    return name.hasSuffix("LayerNorm.weight") ? 1 + small : small
  }

  private func append(_ value: Float, to data: inout [UInt8]) {
    let bits = value.bitPattern
    switch type {
    case .f32: data += (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) }
    case .bf16: data += [UInt8(truncatingIfNeeded: bits >> 16), UInt8(truncatingIfNeeded: bits >> 24)]
    case .f16:
      let exponent = Int(bits >> 23 & 0xff) - 112
      let half = UInt16(bits >> 16 & 0x8000) | (exponent > 0 ? UInt16(exponent) << 10 | UInt16(bits >> 13 & 0x3ff) : 0)
      data += [UInt8(truncatingIfNeeded: half), UInt8(truncatingIfNeeded: half >> 8)]
    default: data += [UInt8](repeating: 0, count: type.size)
    }
  }
}

/// A small generator with a seed, for tests that must repeat.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {  // SplitMix64
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
