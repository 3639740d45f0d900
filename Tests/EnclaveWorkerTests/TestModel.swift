@testable import Inference

/// The files of a BERT of one layer and 32 floats: a model for tests of everything but the numbers.
enum TestModel {
  static let config =
    #"{"model_type":"bert","hidden_act":"gelu","hidden_size":32,"num_hidden_layers":1,"num_attention_heads":2,"#
    + #""intermediate_size":64,"vocab_size":16,"max_position_embeddings":24,"type_vocab_size":2}"#
  static let vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "##b", "##c", "d", "e", "."]

  static let prompts = #"{"prompts":{"query":"a b "}}"#

  /// - Parameter labels: of a classification head; none for embeddings.
  static func clear(_ labels: [String] = []) -> [String: [UInt8]] {
    let names = labels.enumerated().map { #""\#($0)":"\#($1)""# }.joined(separator: ",")
    let head = #","architectures":["BertForSequenceClassification"],"id2label":{\#(names)}}"#
    return [
      "config.json": Array((labels.isEmpty ? config : config.dropLast() + head).utf8),
      "config_sentence_transformers.json": Array(prompts.utf8),
      "vocab.txt": Array((vocabulary.joined(separator: "\n") + "\n").utf8),
    ]
  }

  /// The weights in files of a few tensors each, and the index over them.
  static func shards() throws -> (index: [UInt8], files: [(name: String, bytes: [UInt8])]) {
    let whole = try weights()
    let header = try SafetensorsHeader(parsing: whole, fileSize: whole.count)
    let middle = header.tensors.count / 2
    var places: [String] = []
    let files = [header.tensors[..<middle], header.tensors[middle...]].enumerated().map { number, tensors in
      let (name, first) = ("model-0000\(number + 1)-of-00002.safetensors", tensors.first?.offset ?? 0)
      let members = tensors.map { tensor in
        places.append("\"\(tensor.name)\":\"\(name)\"")
        let range = "[\(tensor.offset - first),\(tensor.offset - first + tensor.byteCount)]"
        return "\"\(tensor.name)\":{\"dtype\":\"F32\",\"shape\":\(tensor.shape),\"data_offsets\":\(range)}"
      }
      let text = Array("{\(members.joined(separator: ","))}".utf8)
      let data = whole[(header.dataStart + first)...].prefix(tensors.reduce(0) { $0 + $1.byteCount })
      return (name, (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text + data)
    }
    return (Array("{\"weight_map\":{\(places.joined(separator: ","))}}".utf8), files)
  }

  static func weights(_ labels: [String] = []) throws -> [UInt8] {
    let shapes = EncoderTensors(config: try ModelConfig(files: ModelFiles(clear(labels)))).shapes
    var header: [String] = []
    var data: [UInt8] = []
    var state: UInt32 = 1
    for (name, shape) in shapes {
      let start = data.count
      for _ in 0..<shape.reduce(1, *) {
        state = state &* 1_664_525 &+ 1_013_904_223
        let small = Float(Int(state >> 16 & 63) - 32) / 128
        let bits = (name.hasSuffix("LayerNorm.weight") ? 1 + small : small).bitPattern
        data += (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) }
      }
      header.append("\"\(name)\":{\"dtype\":\"F32\",\"shape\":\(shape),\"data_offsets\":[\(start),\(data.count)]}")
    }
    let text = Array("{\(header.joined(separator: ","))}".utf8)
    return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text + data
  }
}
