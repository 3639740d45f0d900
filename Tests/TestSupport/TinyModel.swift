import Foundation

/// A BERT of one layer and 32 floats, made of arithmetic: a job with it takes milliseconds, and every step of loading,
/// authorising and computing is the real one. Its parts may be bent, for tests of what a loader must refuse.
package struct TinyModel: Sendable {
  /// Types of tensors, as safetensors names them.
  package enum Element: String, Sendable {
    case f32 = "F32"
    case f16 = "F16"
    case bf16 = "BF16"
    case i32 = "I32"
  }

  /// Words of reports, for jobs.
  package static let office = ["the", "a", "of", "##s", "report", "memo", "note", "bridge", "river", "."]
  /// Letters and pieces, for the tokenizer.
  package static let letters = ["a", "b", "c", "##b", "##c", "un", "##able", "é", "."]
  private static let (width, inner, positions) = (32, 64, 24)

  package var config =
    #"{"model_type":"bert","hidden_act":"gelu","hidden_size":32,"num_hidden_layers":1,"num_attention_heads":2,"#
    + #""intermediate_size":64,"vocab_size":16,"max_position_embeddings":24,"type_vocab_size":2}"#
  package var tokenizer: String
  /// Further clear files.
  package var others: [String: String] = [:]
  /// Further files that are published sealed, as the worker opens them.
  package var sealedFiles: [String: [UInt8]] = [:]
  /// Another seed gives other weights of the same shapes.
  package var seed: UInt32
  /// Before every tensor's name.
  package var prefix = ""
  package var type: Element
  /// Tensors beyond BERT's own, one float each.
  package var extraTensors: [String]
  /// Labels of a classification head; none for embeddings.
  package let labels: [String]
  /// A tensor to leave out.
  package var missing: String?
  /// Put into the first place of a tensor, whatever its type.
  package var poison: (tensor: String, bits: UInt32)?

  package init(
    words: [String] = TinyModel.letters, seed: UInt32 = 0, type: Element = .f32, extraTensors: [String] = [],
    missing: String? = nil, poison: (tensor: String, bits: UInt32)? = nil, labels: [String] = []
  ) {
    self.labels = labels
    if !labels.isEmpty {
      let names = labels.enumerated().map { #""\#($0)":"\#($1)""# }.joined(separator: ",")
      config =
        config.dropLast() + #","architectures":["BertForSequenceClassification"],"id2label":{\#(names)}}"#
    }
    let vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + words
    tokenizer =
      #"{"added_tokens":[{"id":2,"content":"[CLS]","special":true},{"id":3,"content":"[SEP]","special":true}],"#
      + #""normalizer":{"type":"BertNormalizer","strip_accents":null,"lowercase":true},"#
      + #""pre_tokenizer":{"type":"BertPreTokenizer"},"#
      + #""post_processor":{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]},"#
      + #""model":{"type":"WordPiece","unk_token":"[UNK]","vocab":{"#
      + vocabulary.enumerated().map { "\"\($1)\":\($0)" }.joined(separator: ",") + "}}}"
    self.seed = seed
    self.type = type
    self.extraTensors = extraTensors
    self.missing = missing
    self.poison = poison
  }

  /// Every file but the weights.
  package var clearFiles: [String: [UInt8]] {
    [["config.json": config, "tokenizer.json": tokenizer], others].reduce(into: [:]) { files, some in
      for (name, text) in some { files[name] = Array(text.utf8) }
    }
  }

  /// The weights as a safetensors file.
  package func weights() -> [UInt8] {
    var header: [String] = []
    var data: [UInt8] = []
    for (name, shape) in Self.shapes + headShapes + extraTensors.map({ ($0, [1]) }) where name != missing {
      let start = data.count
      for index in 0..<shape.reduce(1, *) {
        let isPoisoned = poison?.tensor == name && index == 0
        append(isPoisoned ? Float(bitPattern: poison?.bits ?? 0) : value(name, index), to: &data)
      }
      header.append(
        "\"\(prefix)\(name)\":{\"dtype\":\"\(type.rawValue)\",\"shape\":\(shape),\"data_offsets\":[\(start),\(data.count)]}"
      )
    }
    return Self.safetensors("{\(header.joined(separator: ","))}", data)
  }

  /// A file of this header and these bytes.
  package static func safetensors(_ header: String, _ data: [UInt8]) -> [UInt8] {
    let text = Array(header.utf8)
    return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text + data
  }

  /// Writes the folder as Hugging Face lays it out.
  package func write(to folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Data(weights()).write(to: URL(filePath: folder + "/model.safetensors"))
    for (name, bytes) in clearFiles { try Data(bytes).write(to: URL(filePath: "\(folder)/\(name)")) }
  }

  /// BERT's tensors, in the order of the file.
  private static var shapes: [(String, [Int])] {
    let layer = "encoder.layer.0."
    let embeddings = ["word_embeddings": 16, "position_embeddings": positions, "token_type_embeddings": 2]
      .sorted { $0.value > $1.value }.map { ("embeddings.\($0.key).weight", [$0.value, width]) }
    let square = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]
      .flatMap { [(layer + $0 + ".weight", [width, width]), (layer + $0 + ".bias", [width])] }
    let feedForward = [
      (layer + "intermediate.dense.weight", [inner, width]), (layer + "intermediate.dense.bias", [inner]),
      (layer + "output.dense.weight", [width, inner]), (layer + "output.dense.bias", [width]),
    ]
    let norms = ["embeddings.LayerNorm", layer + "attention.output.LayerNorm", layer + "output.LayerNorm"]
      .flatMap { [($0 + ".weight", [width]), ($0 + ".bias", [width])] }
    return embeddings + square + feedForward + norms
  }

  private var headShapes: [(String, [Int])] {
    guard !labels.isEmpty else { return [] }
    return [("pooler.dense", Self.width), ("classifier", labels.count)].flatMap {
      [($0.0 + ".weight", [$0.1, Self.width]), ($0.0 + ".bias", [$0.1])]
    }
  }

  /// Small numbers with few bits, so that 16-bit types hold them exactly; gains about 1.
  private func value(_ name: String, _ index: Int) -> Float {
    let hash = name.utf8.reduce(seed &+ UInt32(index) &* 2_654_435_761) { ($0 ^ UInt32($1)) &* 16_777_619 }
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
    case .i32: data += [0, 0, 0, 0]
    }
  }
}
