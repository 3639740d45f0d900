/// What a model folder holds, as `models publish` needs it.
package struct ModelDescription: Sendable, Equatable {
  /// One file that the model needs.
  package struct Part: Sendable, Equatable {
    package enum Role: Sendable {
      /// Sealed under the model key.
      case weights
      /// Stands in clear beside the manifest, so that clients can count tokens.
      case clear
    }

    /// The name within the folder, such as `1_Pooling/config.json`.
    package let name: String
    package let role: Role
    /// Bytes.
    package let size: Int
  }

  /// Such as `bert`.
  package let architecture: String
  /// `safetensors` or `gguf`.
  package let format: String
  /// Types of the weights, sorted: `F32`, say.
  package let elementTypes: [String]
  /// Such as `embed`.
  package let operations: [String]
  package let dimensions: Int
  package let maximumTokens: Int
  package let layers: Int
  /// Weights in all.
  package let parameters: Int
  /// Sorted by name. Files of the folder that are not listed are not needed.
  package let parts: [Part]
}

/// A model on disk, before it is published. Every byte of it is checked: it may be anybody's.
package struct ModelFolder: Sendable {
  let path: String

  /// The clear files that are taken when they are there; those of the modules come on top.
  private static let optional = [
    ModelConfig.tokenizerSettingsFile, ModelConfig.sentenceFile, ModelOutput.modulesFile, Prompts.file,
  ]

  package init(path: String) { self.path = path }

  /// The path of one of its files.
  package func path(of name: String) -> String { path + "/" + name }

  /// Says what the model is. Throws `ModelError` with the file and the reason when it is none that we can compute.
  ///
  /// The weights are judged by their header alone; that they are finite numbers is seen when the model is loaded.
  package func describe() throws(ModelError) -> ModelDescription {
    if let decoder = try decoder() { return try decoder.description() }
    let files = try clearFiles()
    let config = try ModelConfig(files: files)
    _ = try Tokenizer(files: files, config: config)
    let index = try ShardIndex(
      files: files, unless: try ReadOnlyFile(path(of: WeightsFile.name), name: WeightsFile.name) != nil)
    let encoder = try weights(index?.shards ?? [WeightsFile.name])
    let directory = try TensorDirectory(encoder.map(\.header), index: index)
    var (types, parameters, sealed): (Set<String>, Int, [(header: SafetensorsHeader, size: Int)])
    sealed = encoder
    if let decoder = config.decoder {
      let tensors = try DecoderTensors(checking: directory, config: decoder)
      (types, parameters) = (Set(tensors.types(directory)), tensors.parameters)
    } else {
      let tensors = try EncoderTensors(checking: directory, config: config)
      (types, parameters) = (Set(tensors.types(directory)), tensors.parameters)
    }
    if let module = config.dense {
      let file = try weights([module.weightsFile])
      let directory = try TensorDirectory(file.map(\.header))
      try module.check(directory, inputs: config.hiddenSize)
      types.formUnion(directory.headers.flatMap(\.tensors).map(\.type.rawValue))
      parameters += module.shapes(inputs: config.hiddenSize).reduce(0) { $0 + $1.shape.reduce(1, *) }
      sealed += file
    }
    var parts = files.names.map { ModelDescription.Part(name: $0, role: .clear, size: files[$0]?.count ?? 0) }
    parts += sealed.map { .init(name: $0.header.file, role: .weights, size: $0.size) }
    return ModelDescription(
      architecture: config.architectureName, format: "safetensors", elementTypes: types.sorted(),
      operations: [config.output.operation.rawValue], dimensions: config.dimensions,
      maximumTokens: config.maximumTokens, layers: config.layers, parameters: parameters,
      parts: parts.sorted { $0.name < $1.name })
  }

  /// The shape of an encoder and what it gives. Throws as ``describe()``.
  package func config() throws(ModelError) -> ModelConfig { try ModelConfig(files: try clearFiles()) }

  /// Reads an encoder, the weights too, which must all be finite numbers. Throws as ``describe()``.
  ///
  /// - Parameters:
  ///   - precisions: the model is made in one after another.
  ///   - body: what to do with each.
  package func load<Value>(
    in precisions: [Precision], _ body: (EmbeddingModel) throws(ModelError) -> Value
  ) throws(ModelError) -> [Value] {
    let (files, parts) = (try clearFiles(), try describe().parts.filter { $0.role == .weights })
    var weights: [(name: String, bytes: [UInt8])] = []
    for part in parts {
      guard let file = try ReadOnlyFile(path(of: part.name), name: part.name), file.size == part.size else {
        throw ModelError(part.name, "changed while it was read")
      }
      weights.append((part.name, try file.read(file.size)))
    }
    return try WeightsFile.withAll(weights) { (weights) throws(ModelError) in
      var results: [Value] = []
      for precision in precisions {
        results.append(try body(try EmbeddingModel(files: files, weights: weights, precision: precision)))
      }
      return results
    }
  }

  /// The files of an encoder that stand in clear.
  package func clearFiles() throws(ModelError) -> ModelFiles {
    var contents: [String: [UInt8]] = [:]
    guard let config = try read(ModelConfig.file) else { throw ModelError(ModelConfig.file, "is missing in \(path)") }
    contents[ModelConfig.file] = config
    if let tokenizer = try read(TokenizerSettings.file) {
      contents[TokenizerSettings.file] = tokenizer
    } else if let vocabulary = try read(TokenizerSettings.vocabularyFile) {
      contents[TokenizerSettings.vocabularyFile] = vocabulary
    }
    for name in Self.optional {
      if let bytes = try read(name) { contents[name] = bytes }
    }
    if try ReadOnlyFile(path(of: WeightsFile.name), name: WeightsFile.name) == nil,
      let index = try read(ShardIndex.file)
    {
      contents[ShardIndex.file] = index
    }
    for name in try ModelOutput.moduleFiles(ModelFiles(contents)) {
      if let bytes = try read(name) { contents[name] = bytes }
    }
    return ModelFiles(contents)
  }

  /// The checked headers of these weight files, and the files' sizes.
  func weights(_ names: [String]) throws(ModelError) -> [(header: SafetensorsHeader, size: Int)] {
    var weights: [(header: SafetensorsHeader, size: Int)] = []
    for name in names {
      guard let file = try ReadOnlyFile(path(of: name), name: name) else {
        throw ModelError(name, "is missing; pickled weights (.bin) are never opened: convert them")
      }
      let prefix = try file.read(SafetensorsHeader.prefixLength)
      let total = try SafetensorsHeader.totalLength(prefix: prefix, file: name)
      let header = prefix + (try file.read(total - prefix.count))
      weights.append((try SafetensorsHeader(parsing: header, fileSize: file.size, file: name), file.size))
    }
    return weights
  }

  func read(_ name: String) throws(ModelError) -> [UInt8]? {
    guard let file = try ReadOnlyFile(path(of: name), name: name) else { return nil }
    guard file.size <= ModelFiles.clearFileLimit else {
      throw ModelError(name, "is larger than \(ModelFiles.clearFileLimit) bytes")
    }
    return try file.read(file.size)
  }
}
