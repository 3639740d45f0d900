/// Which tensors a BERT encoder has, so that a file can be judged by its header alone.
enum EncoderTensors {
  /// Every tensor that is needed, with its shape.
  static func shapes(_ config: ModelConfig) -> [(name: String, shape: [Int])] {
    let (hidden, inner) = (config.hiddenSize, config.intermediateSize)
    var shapes: [(name: String, shape: [Int])] = [
      ("embeddings.word_embeddings.weight", [config.vocabularySize, hidden]),
      ("embeddings.position_embeddings.weight", [config.positions, hidden]),
      ("embeddings.token_type_embeddings.weight", [config.segments, hidden]),
      ("embeddings.LayerNorm.weight", [hidden]), ("embeddings.LayerNorm.bias", [hidden]),
    ]
    for index in 0..<config.layers {
      let layer = "encoder.layer.\(index)."
      for name in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"] {
        shapes += [("\(layer)\(name).weight", [hidden, hidden]), ("\(layer)\(name).bias", [hidden])]
      }
      shapes += [
        ("\(layer)intermediate.dense.weight", [inner, hidden]), ("\(layer)intermediate.dense.bias", [inner]),
        ("\(layer)output.dense.weight", [hidden, inner]), ("\(layer)output.dense.bias", [hidden]),
      ]
      for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
        shapes += [("\(layer)\(name).weight", [hidden]), ("\(layer)\(name).bias", [hidden])]
      }
    }
    return shapes
  }

  /// Types of the tensors that are computed with, such as `F32`, sorted. Integer buffers such as position_ids are not
  /// among them.
  static func types(_ header: SafetensorsHeader, prefix: String, config: ModelConfig) -> [String] {
    Set(shapes(config).compactMap { header[prefix + $0.name]?.type.rawValue }).sorted()
  }

  /// Parts of a BERT checkpoint that an embedding does not need.
  private static let unused = ["embeddings.position_ids", "pooler.", "cls."]

  /// Checks names, shapes and types, and answers with the names' common prefix (`bert.` or none).
  ///
  /// A tensor beyond BERT's own is refused: it would be an adapter or a head that silently did nothing.
  static func check(_ header: SafetensorsHeader, config: ModelConfig) throws(ModelError) -> String {
    let prefix = header["bert.embeddings.word_embeddings.weight"] == nil ? "" : "bert."
    var known = Set<[UInt8]>()
    for (name, shape) in shapes(config) {
      guard let tensor = header[prefix + name] else { throw SafetensorsHeader.failure(prefix + name, "is missing") }
      guard tensor.shape == shape else {
        throw SafetensorsHeader.failure(prefix + name, "has shape \(tensor.shape), where \(shape) was due")
      }
      guard [.f32, .f16, .bf16].contains(tensor.type) else {
        throw SafetensorsHeader.failure(prefix + name, "is \(tensor.type.rawValue); F32, F16 and BF16 are supported")
      }
      known.insert(Array((prefix + name).utf8))
    }
    for tensor in header.tensors where !known.contains(Array(tensor.name.utf8)) {
      guard unused.contains(where: { tensor.name.hasPrefix(prefix + $0) || tensor.name.hasPrefix($0) }) else {
        throw SafetensorsHeader.failure(tensor.name, "is not part of a BERT encoder")
      }
    }
    return prefix
  }
}
