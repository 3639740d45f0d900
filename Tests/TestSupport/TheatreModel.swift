import Foundation

/// A BERT of one layer and 32 floats in a folder as Hugging Face lays it out: a job with it takes milliseconds, and every
/// step of loading, authorising and computing is the real one.
package enum TheatreModel {
  private static let width = 32
  private static let inner = 64
  private static let positions = 24
  private static let words =
    [
      "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a", "of", "##s", "report", "memo", "note", "bridge",
      "river", ".",
    ]

  private static let config =
    #"{"model_type":"bert","hidden_act":"gelu","hidden_size":32,"num_hidden_layers":1,"num_attention_heads":2,"#
    + #""intermediate_size":64,"vocab_size":16,"max_position_embeddings":24,"type_vocab_size":2}"#

  private static var tokenizer: String {
    #"{"added_tokens":[{"id":2,"content":"[CLS]","special":true},{"id":3,"content":"[SEP]","special":true}],"#
      + #""normalizer":{"type":"BertNormalizer","strip_accents":null,"lowercase":true},"#
      + #""pre_tokenizer":{"type":"BertPreTokenizer"},"#
      + #""post_processor":{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]},"#
      + #""model":{"type":"WordPiece","unk_token":"[UNK]","vocab":{"#
      + words.enumerated().map { "\"\($1)\":\($0)" }.joined(separator: ",") + "}}}"
  }

  private static var shapes: [(String, [Int])] {
    let attention = ["self.query", "self.key", "self.value", "output.dense"].flatMap { name in
      [
        ("encoder.layer.0.attention.\(name).weight", [width, width]),
        ("encoder.layer.0.attention.\(name).bias", [width]),
      ]
    }
    let norms = [
      "embeddings.LayerNorm", "encoder.layer.0.attention.output.LayerNorm", "encoder.layer.0.output.LayerNorm",
    ]
    return [
      ("embeddings.word_embeddings.weight", [16, width]),
      ("embeddings.position_embeddings.weight", [positions, width]),
      ("embeddings.token_type_embeddings.weight", [2, width]),
      ("encoder.layer.0.intermediate.dense.weight", [inner, width]),
      ("encoder.layer.0.intermediate.dense.bias", [inner]),
      ("encoder.layer.0.output.dense.weight", [width, inner]), ("encoder.layer.0.output.dense.bias", [width]),
    ] + attention + norms.flatMap { [("\($0).weight", [width]), ("\($0).bias", [width])] }
  }

  /// Writes the folder.
  ///
  /// - Parameter seed: another seed gives other weights of the same shape.
  package static func write(to folder: String, seed: UInt32) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    var header: [String] = []
    var data = Data()
    for (name, shape) in shapes {
      let start = data.count
      for index in 0..<shape.reduce(1, *) {
        let hash = name.utf8.reduce(seed &+ UInt32(index) &* 2_654_435_761) { ($0 ^ UInt32($1)) &* 16_777_619 }
        let small = Float(Int(hash >> 16 & 63) - 32) / 128
        let value = name.hasSuffix("LayerNorm.weight") ? 1 + small : small
        withUnsafeBytes(of: value.bitPattern.littleEndian) { data.append(contentsOf: $0) }
      }
      header.append("\"\(name)\":{\"dtype\":\"F32\",\"shape\":\(shape),\"data_offsets\":[\(start),\(data.count)]}")
    }
    let text = Data("{\(header.joined(separator: ","))}".utf8)
    var file = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Data($0) }
    file.append(text)
    file.append(data)
    try file.write(to: URL(filePath: folder + "/model.safetensors"))
    try config.write(toFile: folder + "/config.json", atomically: true, encoding: .utf8)
    try tokenizer.write(toFile: folder + "/tokenizer.json", atomically: true, encoding: .utf8)
  }
}
