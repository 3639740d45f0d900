import Glibc

/// The folder of a decoder, judged by its headers: config.json and safetensors files as transformers writes them, or one
/// GGUF file.
package struct DecoderFolder: Sendable {
  private enum Source {
    case safetensors(ModelFiles, TensorDirectory, sizes: [Int])
    case gguf(GGUFHeader, size: Int)
  }

  package let config: DecoderConfig
  /// How conversations become prompts, if they do.
  package let conversations: Conversations
  private let source: Source
  private let folder: ModelFolder

  /// The clear files that are taken when they are there.
  private static let optional = [
    DecoderConfig.generationFile, ModelConfig.tokenizerSettingsFile, ChatTemplateFiles.file,
  ]

  /// Of transformers' files.
  init(_ folder: ModelFolder, config json: [UInt8]) throws(ModelError) {
    guard let tokenizer = try folder.read(TokenizerSettings.file) else {
      throw ModelError(TokenizerSettings.file, "is missing: decoders' tokenizers are read from it alone")
    }
    var contents = [ModelConfig.file: json, TokenizerSettings.file: tokenizer]
    for name in Self.optional {
      if let bytes = try folder.read(name) { contents[name] = bytes }
    }
    let isWhole = try ReadOnlyFile(folder.path(of: WeightsFile.name), name: WeightsFile.name) != nil
    if !isWhole, let index = try folder.read(ShardIndex.file) { contents[ShardIndex.file] = index }
    let files = ModelFiles(contents)
    config = try DecoderConfig(files: files)
    let words = try Tokenizer(files: files, maximumTokens: config.contextLength, decodes: true)
    guard words.idLimit <= config.vocabularySize else {
      throw ModelError(TokenizerSettings.file, "has ids beyond config.json's `vocab_size`")
    }
    conversations = Conversations(files: files)
    let index = try ShardIndex(files: files, unless: isWhole)
    let weights = try folder.weights(index?.shards ?? [WeightsFile.name])
    let directory = try TensorDirectory(weights.map(\.header), index: index)
    _ = try DecoderTensors(checking: directory, config: config)
    source = .safetensors(files, directory, sizes: weights.map(\.size))
    self.folder = folder
  }

  /// Of one GGUF file.
  init(_ folder: ModelFolder, gguf name: String) throws(ModelError) {
    guard ShardIndex.isPlainName(name, suffix: ".gguf") else {
      throw ModelError(
        String(name.prefix(ShardIndex.nameBytes)),
        "must be called by letters, digits, `.`, `_` and `-`, at most \(ShardIndex.nameBytes) of them")
    }
    guard let file = try ReadOnlyFile(folder.path(of: name), name: name) else { throw ModelError(name, "is missing") }
    let header = try Self.header(file, name: name)
    config = try DecoderConfig(header)
    try GenerationModel.check(header)
    let words = try Tokenizer(header, maximumTokens: config.contextLength)
    guard words.idLimit <= config.vocabularySize else {
      throw ModelError(name, "`tokenizer.ggml.tokens` has more tokens than `token_embd.weight` has rows")
    }
    conversations = Conversations(header)
    source = .gguf(header, size: file.size)
    self.folder = folder
  }

  /// Reads as much of a file as its header takes.
  private static func header(_ file: ReadOnlyFile, name: String) throws(ModelError) -> GGUFHeader {
    var (bytes, next): ([UInt8], Int) = ([], 64 << 10)
    while true {
      bytes += try file.read(min(next, file.size - bytes.count))
      next = bytes.count
      let size = file.size
      let parsed = bytes.withUnsafeBytes { bytes in
        Result { () throws(ModelError) in try GGUFHeader.parse(bytes, fileSize: size, file: name) }
      }
      if let header = try parsed.get() { return header }
    }
  }

  /// The precisions that it is computed in, and what each takes.
  package var footprints: [(precision: Precision, footprint: DecoderFootprint)] {
    switch source {
    case .safetensors:
      [Precision.fp32, .bf16].map { ($0, DecoderFootprint(config, precision: $0)) }
    case .gguf(let header, _): [(.bf16, DecoderFootprint(config, header))]
    }
  }

  /// `safetensors` or `gguf`.
  package var format: String {
    switch source {
    case .safetensors: "safetensors"
    case .gguf: "gguf"
    }
  }

  func description() throws(ModelError) -> ModelDescription {
    let (types, parts, parameters): ([String], [ModelDescription.Part], Int)
    switch source {
    case .safetensors(let files, let directory, let sizes):
      let tensors = try DecoderTensors(checking: directory, config: config)
      (types, parameters) = (tensors.types(directory), tensors.parameters)
      parts =
        files.names.map { .init(name: $0, role: .clear, size: files[$0]?.count ?? 0) }
        + zip(directory.headers, sizes).map { .init(name: $0.file, role: .weights, size: $1) }
    case .gguf(let header, let size):
      types = Set(header.tensors.map(\.type.name)).sorted()
      parameters = header.tensors.reduce(0) { $0 + $1.elements }
      parts = [.init(name: header.file, role: .weights, size: size)]
    }
    return ModelDescription(
      architecture: config.architecture.name, format: format, elementTypes: types,
      operations: [ModelOperation.generate.rawValue], dimensions: 0, maximumTokens: config.contextLength,
      layers: config.layers, parameters: parameters, parts: parts.sorted { $0.name < $1.name })
  }

  /// Reads the weights, which must all be finite numbers, as a worker does: piece by piece. Throws `ModelError`.
  ///
  /// - Parameter precision: one of ``footprints``.
  package func load(_ precision: Precision) throws(ModelError) -> GenerationModel {
    let loader: DecoderLoader
    switch source {
    case .safetensors(let files, let directory, _):
      loader = try DecoderLoader(files: files, precision: precision, weightFiles: directory.headers.map(\.file))
    case .gguf(let header, _): loader = DecoderLoader(ggufFile: header.file)
    }
    for name in loader.weightFiles {
      guard let file = try ReadOnlyFile(folder.path(of: name), name: name) else {
        throw ModelError(name, "changed while it was read")
      }
      let stream = try loader.stream(name, size: file.size)
      var left = file.size
      while left > 0 {
        let piece = try file.read(min(left, 1 << 20))
        left -= piece.count
        try piece.withUnsafeBytes { bytes in Result { () throws(ModelError) in try stream.append(bytes) } }.get()
      }
      try stream.finish()
    }
    return try loader.finish()
  }
}

extension ModelFolder {
  /// The folder as a decoder's; nil where it is another model's, or none. Throws as ``describe()``.
  ///
  /// A folder with both safetensors files and a GGUF file is taken for what config.json says.
  package func decoder() throws(ModelError) -> DecoderFolder? {
    let json = try read(ModelConfig.file)
    var files: [String: [UInt8]] = [:]
    (files[ModelConfig.file], files[ModelOutput.modulesFile]) = (json, try read(ModelOutput.modulesFile))
    let isDecoder = try DecoderConfig.isDecoder(ModelFiles(files))
    let names = names()
    let ggufs = names.filter { $0.hasSuffix(".gguf") }.sorted()
    let hasWeights = names.contains(WeightsFile.name) || names.contains(ShardIndex.file)
    if let json, isDecoder, hasWeights || ggufs.isEmpty { return try DecoderFolder(self, config: json) }
    guard !hasWeights, let name = ggufs.first else { return nil }
    guard ggufs.count == 1 else {
      throw ModelError(name, "is one of \(ggufs.count) GGUF files in \(path): leave the one that is meant in a folder")
    }
    return try DecoderFolder(self, gguf: name)
  }

  /// The shape of a decoder from config.json and generation_config.json alone. Throws as ``describe()``.
  ///
  /// - Parameter contextLength: tokens of one sequence at most; what is more than the model's own is its own.
  package func decoderConfig(contextLength: Int? = nil) throws(ModelError) -> DecoderConfig {
    var contents: [String: [UInt8]] = [:]
    for name in [ModelConfig.file, DecoderConfig.generationFile] {
      if let bytes = try read(name) { contents[name] = bytes }
    }
    let config = try DecoderConfig(files: ModelFiles(contents))
    return try config.limited(to: contextLength.map { min($0, config.contextLength) }, file: ModelConfig.file)
  }

  /// Names of the folder's own files, at most 10,000 of them.
  private func names() -> [String] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while names.count < 10_000, let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { start in
        String(validatingCString: UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self))
      }
      if let name { names.append(name) }
    }
    return names
  }
}
