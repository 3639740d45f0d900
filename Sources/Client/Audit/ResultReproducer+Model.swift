import Crypto
import Inference
import SealedCrypto
import Wire

extension ResultReproducer {
  /// Loads the model in the receipt's precision from a folder whose every file is the one that the published manifest
  /// lists. The scales of int8 are made again, as they were when it was published.
  ///
  /// - Parameter texts: those that the publisher calibrated with beside the built-in ones.
  /// - Throws: ``ClientError`` of kind `input` for other files or scales than the published ones, `notFound` for a file
  ///   that is not there.
  package func model(_ published: PublishedModel, folder path: String, texts: [String]) throws -> JobModel {
    let folder = ModelFolder(path: path)
    if published.claims.operations == [ModelOperation.generate.rawValue] {
      do {
        return .decoder(try decoder(published.claims, folder))
      } catch let error as ModelError {
        throw ClientError(.input, "\(path) cannot be computed with: \(error)", remedy: "mend the folder")
      }
    }
    var clear: [String: [UInt8]] = [:]
    var weights: [(name: String, bytes: [UInt8])] = []
    for file in published.claims.files where file.name != ModelManifestClaims.int8Scales {
      let bytes = try Self.read(file, folder)
      if file.name.hasSuffix(".safetensors") { weights.append((file.name, bytes)) } else { clear[file.name] = bytes }
    }
    do {
      return try WeightsFile.withAll(weights) { weights in
        if precision == .int8,
          let file = published.claims.files.first(where: { $0.name == ModelManifestClaims.int8Scales })
        {
          clear[file.name] = try Self.scales(file, ModelFiles(clear), weights, texts)
        }
        return .encoder(try EmbeddingModel(files: ModelFiles(clear), weights: weights, precision: precision))
      }
    } catch let error as ModelError {
      throw ClientError(.input, "\(path) cannot be computed with: \(error)", remedy: "mend the folder")
    }
  }

  /// A model that continues texts, its weights packed as they are read.
  private func decoder(_ claims: ModelManifestClaims, _ folder: ModelFolder) throws -> GenerationModel {
    let weights = claims.files.filter { $0.name.hasSuffix(".safetensors") || $0.name.hasSuffix(".gguf") }
    let context = Int(clamping: claims.maximumTokens)
    let loader: DecoderLoader
    if let file = weights.first, file.name.hasSuffix(".gguf") {
      loader = DecoderLoader(ggufFile: file.name, contextLength: context)
    } else {
      var clear: [String: [UInt8]] = [:]
      for file in claims.files where !weights.contains(file) { clear[file.name] = try Self.read(file, folder) }
      loader = try DecoderLoader(
        files: ModelFiles(clear), precision: precision, weightFiles: weights.map(\.name), contextLength: context)
    }
    for file in weights {
      let stream = try loader.stream(file.name, size: Int(clamping: file.size))
      let source = try OpenedFile(reading: folder.path(of: file.name))
      var (hasher, count) = (SHA256(), UInt64(0))
      while true {
        let piece = try source.read(upTo: 1 << 20)
        if piece.isEmpty { break }
        count += UInt64(piece.count)
        guard count <= file.size else { throw Self.wrong(file) }
        hasher.update(data: piece)
        try piece.withUnsafeBytes { bytes in Result { () throws(ModelError) in try stream.append(bytes) } }.get()
      }
      guard count == file.size, hasher.value() == file.sha256 else { throw Self.wrong(file) }
      try stream.finish()
    }
    return try loader.finish()
  }

  private static func scales(
    _ file: ModelFile, _ clear: ModelFiles, _ weights: [WeightsFile], _ texts: [String]
  ) throws -> [UInt8] {
    let calibrator = try Calibrator(files: clear, weights: weights)
    let scales = try calibrator.scales(CalibrationTexts.calibration + texts).encoded()
    guard SHA256.digest(of: scales) == file.sha256 else {
      throw ClientError(
        .input, "the scales of int8 come out other than the publisher's",
        remedy: "name the texts of `models publish --calibrate`, and use the program's version of then")
    }
    return scales
  }

  private static func read(_ file: ModelFile, _ folder: ModelFolder) throws -> [UInt8] {
    let sink = MemorySink(limit: Int(clamping: file.size))
    do {
      try OpenedFile(reading: folder.path(of: file.name)).copy(to: sink)
    } catch is WireError {
      throw wrong(file)
    }
    guard UInt64(sink.bytes.count) == file.size, SHA256.digest(of: sink.bytes) == file.sha256 else { throw wrong(file) }
    return sink.bytes
  }

  private static func wrong(_ file: ModelFile) -> ClientError {
    ClientError(
      .input, "\(file.name) is not the published model's", remedy: "name the folder that was published, unchanged")
  }
}
