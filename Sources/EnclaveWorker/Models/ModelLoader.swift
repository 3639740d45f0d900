import Crypto
import Inference
import SealedCrypto
import Wire

/// Brings one model into memory: the manifest first, then exactly the files that it lists.
///
/// Until a file has the digest that the publisher signed, its bytes are only what the host gave: whatever is wrong with
/// them (absent, swapped, altered, sealed to a key that KMS does not release to the host's credentials) decides nothing
/// about the job, and the answer is `retry`. From there on the signed bytes decide.
///
/// A decoder's weight files are packed as they arrive, and so read before their digest is known. What the reading finds
/// wrong is kept back until then, and the file is read to its end all the same: neither the answer nor what the host is
/// asked for tells whether bytes of its choice were read as a model. They cannot have memory taken beyond what was found
/// free: sizes are those of the signed configuration, or, of a GGUF file, are admitted before the first allocation.
struct ModelLoader {
  let settings: Settings
  let enclave: Enclave
  let link: JobLink
  /// Makes room for so many bytes as far as it can, and says how many the model may take: it and, of a decoder, one
  /// sequence of its whole context.
  let room: (_ neededBytes: UInt64) throws -> UInt64

  /// The files whose names say that they are weights.
  private static func isWeights(_ file: ModelFile) -> Bool {
    file.name.hasSuffix(".safetensors") || file.name.hasSuffix(gguf)
  }

  private static let gguf = ".gguf"

  /// - Throws: ``WorkerFault``, ``MemoryShortage``, ``HostLost``.
  func load(for order: JobOrder) throws -> LoadedModel {
    let digest = order.manifest.claims.model
    let bytes = try WorkerFault.retrying("model manifest") {
      try HostStream(.model(digest, name: "manifest.cose"), from: link)
        .readAll(limit: Limits.smallObjectBytes, "model manifest")
    }
    guard SHA256.digest(of: bytes) == digest else {
      throw WorkerFault.retry("the host gave another model manifest than the one asked for")
    }
    let permit = try ModelPermit(manifest: bytes, for: order, under: settings.policy.claims)
    return try WorkerFault.failing("model") { try load(permit) }
  }

  private func load(_ permit: ModelPermit) throws -> LoadedModel {
    let claims = permit.manifest.claims
    let weightFiles = claims.files.filter(Self.isWeights)
    guard !weightFiles.isEmpty else { throw WorkerFault.failed("the manifest lists no weights") }
    let isGGUF = weightFiles.contains { $0.name.hasSuffix(Self.gguf) }
    guard claims.format == (isGGUF ? "gguf" : "safetensors") else {
      throw WorkerFault.failed("the format is not the manifest's")
    }
    var small: [String: [UInt8]] = [:]
    // Sealed, and so not asked of KMS for a precision that has no use for it.
    let unused = permit.precision == .int8 ? nil : Int8Scales.file
    for file in claims.files where !Self.isWeights(file) && file.name != unused {
      guard file.size <= UInt64(Limits.clearModelFileBytes) else {
        throw WireError.tooLarge(file.name, limit: Limits.clearModelFileBytes)
      }
      let buffer = try read(file, of: permit)
      small[file.name] = buffer.withBytes { Array($0) }
    }
    let files = ModelFiles(small)
    let model =
      try isGGUF || DecoderConfig.isDecoder(files)
      ? decoder(files, weightFiles, of: permit) : encoder(files, weightFiles, of: permit)
    try Self.check(model, against: claims)
    return LoadedModel(manifest: permit.manifest, model: model)
  }

  private func encoder(_ files: ModelFiles, _ weightFiles: [ModelFile], of permit: ModelPermit) throws -> JobModel {
    let footprint = ModelFootprint(try ModelConfig(files: files), precision: permit.precision)
    let needed = try FileBuffer.neededBytes(for: weightFiles.map(\.size), packedBytes: footprint.weightBytes)
    let available = try room(needed)
    guard needed <= available else { throw MemoryShortage(neededBytes: needed, availableBytes: available) }
    let weights = try weightFiles.map { (name: $0.name, buffer: try read($0, of: permit)) }
    return try Self.withBytes(of: weights[...]) {
      .encoder(try EmbeddingModel(files: files, weights: $0, precision: permit.precision))
    }
  }

  /// Hands over the bytes of all buffers at once.
  private static func withBytes<Result>(
    of files: ArraySlice<(name: String, buffer: FileBuffer)>, before: [WeightsFile] = [],
    _ body: ([WeightsFile]) throws -> Result
  ) throws -> Result {
    guard let file = files.first else { return try body(before) }
    return try file.buffer.withBytes {
      try withBytes(of: files.dropFirst(), before: before + [WeightsFile(name: file.name, bytes: $0)], body)
    }
  }

  /// Holds the model itself to what the manifest claims of it: the policy was applied to the claims alone.
  private static func check(_ model: JobModel, against claims: ModelManifestClaims) throws {
    guard UInt64(model.dimensions) == claims.dimensions, UInt64(model.maximumTokens) == claims.maximumTokens else {
      throw WorkerFault.failed("dimensions or maximum tokens are not the manifest's")
    }
    guard claims.operations == [model.operation.rawValue] else {
      throw WorkerFault.failed("the operations are not the manifest's")
    }
    guard model.architecture == claims.architecture, Set(model.elementTypes).isSubset(of: claims.dtypes) else {
      throw WorkerFault.failed("architecture or weight types are not the manifest's")
    }
  }

  /// One file, whole: its size and digest are the manifest's before anybody reads it.
  private func read(_ file: ModelFile, of permit: ModelPermit) throws -> FileBuffer {
    let buffer = try FileBuffer(count: file.size, availableBytes: ModelMemory.kernels())
    try WorkerFault.retrying(file.name) { try fill(buffer, with: file, of: permit) }
    return buffer
  }

  private func fill(_ buffer: FileBuffer, with file: ModelFile, of permit: ModelPermit) throws {
    let source = try source(file, of: permit)
    var hasher = SHA256()
    while true {
      var piece = try source.read(upTo: Limits.chunkBytes)
      defer { SecretBytes.wipe(&piece) }
      if piece.isEmpty { break }
      hasher.update(data: piece)
      try buffer.append(piece)
    }
    guard buffer.isFull, hasher.value() == file.sha256 else {
      throw WorkerFault.retry("\(file.name) is not the manifest's")
    }
  }

  /// The file's plaintext.
  func source(_ file: ModelFile, of permit: ModelPermit) throws -> any ByteSource {
    let object = HostStream(.model(permit.manifest.digest, name: file.objectName), from: link)
    return file.isSealed ? try open(object, of: permit) : object
  }

  private func open(_ object: HostStream, of permit: ModelPermit) throws -> AgeDecryptor {
    let keyARN = try KMSKeyARN(permit.publisher.modelKey)
    let identity = KMSStanzaIdentity(expectedKeyARN: keyARN.text) { blob in
      do {
        return try enclave.kms.decrypt(
          blob, under: keyARN, context: .model(manifest: permit.manifest.digest), access: settings.access)
      } catch let fault as KMSFault {
        // The host chose the credentials and the blob: a denial or a rejection may be their fault alone.
        throw WorkerFault.retry("\(fault)")
      }
    }
    return try AgeDecryptor(identities: [identity], from: object, role: .modelFile)
  }
}
