/// The weight files of a model, by what they are for.
struct ModelWeights {
  let encoder: Weights
  let dense: Weights?

  /// Takes exactly the files that the configuration and the index ask for.
  init(_ files: [WeightsFile], clear: ModelFiles, config: ModelConfig) throws(ModelError) {
    let index = try ShardIndex(files: clear, unless: files.contains { $0.name == WeightsFile.name })
    let names = try Self.names(index: index, config: config)
    func file(_ name: String) throws(ModelError) -> WeightsFile {
      guard let file = files.first(where: { $0.name == name }) else { throw ModelError(name, "is missing") }
      return file
    }
    if let other = files.first(where: { !names.contains($0.name) }) {
      throw ModelError(other.name, "is not one of the model's weight files")
    }
    var encoder: [WeightsFile] = []
    for name in index?.shards ?? [WeightsFile.name] { encoder.append(try file(name)) }
    self.encoder = try Weights(encoder, index: index)
    if let module = config.dense {
      dense = try Weights([try file(module.weightsFile)])
      try dense.map { (dense) throws(ModelError) in try module.check(dense.tensors, inputs: config.hiddenSize) }
    } else {
      dense = nil
    }
  }

  /// All weight files of a model.
  static func names(index: ShardIndex?, config: ModelConfig) throws(ModelError) -> [String] {
    (index?.shards ?? [WeightsFile.name]) + (config.dense.map { [$0.weightsFile] } ?? [])
  }
}
