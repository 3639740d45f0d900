/// Makes a model that continues texts from its files as their bytes arrive: weight file after weight file, each tensor
/// straight into its packed place.
///
/// Peak memory is the packed weights and little more (docs/decoders.md). What is made counts once every file was what its
/// publisher signed; the caller sees to that.
package final class DecoderLoader {
  /// What a model of this memory may do: throw, where there is no room for it. Called before the first allocation.
  package typealias Admission = (DecoderFootprint) throws(ModelError) -> Void

  enum Source {
    case safetensors(DecoderShards, ModelFiles, Precision)
    case gguf(GGUFWeights)
  }

  /// The weight files, in the order in which they may be streamed.
  package let weightFiles: [String]
  private let contextLength: Int?
  private(set) var source: Source?

  /// Of safetensors files.
  ///
  /// - Parameters:
  ///   - files: config.json, the tokenizer's and the index, which are read already.
  ///   - precision: fp32 or bf16.
  ///   - weightFiles: their names, which must be exactly the model's.
  ///   - contextLength: tokens of one sequence at most, where it is less than the model's own.
  /// - Throws: `ModelError`.
  package init(
    files: ModelFiles, precision: Precision, weightFiles: [String], contextLength: Int? = nil,
    admission: Admission = { _ throws(ModelError) in }
  ) throws(ModelError) {
    guard precision != .int8 else {
      throw ModelError(ModelConfig.file, "is of a decoder, which is computed in fp32 or bf16, not in int8")
    }
    let config = try DecoderConfig(files: files).limited(to: contextLength, file: ModelConfig.file)
    let index = try ShardIndex(files: files, unless: weightFiles.contains(WeightsFile.name))
    let names = index?.shards ?? [WeightsFile.name]
    guard weightFiles.sorted() == names else {
      throw ModelError(names[0], "and the model's other weight files must be given, and no others")
    }
    try admission(DecoderFootprint(config, precision: precision))
    (self.weightFiles, self.contextLength) = (names, contextLength)
    source = .safetensors(DecoderShards(config: config, precision: precision, index: index), files, precision)
  }

  /// Of a GGUF file, which says everything else, too.
  ///
  /// - Parameters: as of the other initializer. The admission is asked when the header has arrived.
  package init(ggufFile name: String, contextLength: Int? = nil, admission: @escaping Admission = { _ in }) {
    (weightFiles, self.contextLength) = ([name], contextLength)
    source = .gguf(
      GGUFWeights { header throws(ModelError) in
        let config = try DecoderConfig(header).limited(to: contextLength, file: header.file)
        _ = try DecoderTensors(checking: header, config: config)
        try admission(DecoderFootprint(config, header))
      })
  }

  /// What takes the bytes of one of the weight files. Files come one after another.
  ///
  /// - Throws: `ModelError` after ``abandon()``.
  package func stream(_ name: String, size: Int) throws(ModelError) -> any WeightStream {
    switch source {
    case .safetensors(let shards, _, _): return SafetensorsStream(file: name, fileSize: size, receiver: shards)
    case .gguf(let weights): return GGUFStream(file: name, fileSize: size, receiver: weights)
    case nil: throw ModelError(name, "is of a model that was given up")
    }
  }

  /// Frees what was made so far.
  package func abandon() { source = nil }

  /// The model, once every file has ended. Throws `ModelError` with the file, the part of it and the reason.
  package func finish() throws(ModelError) -> GenerationModel {
    defer { source = nil }
    switch source {
    case .safetensors(let shards, let files, let precision):
      return try GenerationModel(files: files, shards, precision: precision)
    case .gguf(let weights): return try GenerationModel(weights, contextLength: contextLength)
    case nil: throw ModelError(weightFiles[0], "is of a model that was given up")
    }
  }
}

extension DecoderConfig {
  /// The same with a shorter context; throws where the model has no context so long.
  func limited(to contextLength: Int?, file: String) throws(ModelError) -> DecoderConfig {
    guard let contextLength else { return self }
    guard (8...self.contextLength).contains(contextLength) else {
      throw ModelError(file, "allows contexts of 8 to \(self.contextLength) tokens, not of \(contextLength)")
    }
    var config = self
    config.contextLength = contextLength
    return config
  }
}
