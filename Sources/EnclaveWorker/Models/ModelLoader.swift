import CPlatform
import Crypto
import Inference
import SealedCrypto
import Wire

/// Brings one model into memory: the manifest first, then exactly the files that it lists.
struct ModelLoader {
  let settings: Settings
  let enclave: Enclave
  let link: JobLink

  /// The file that is decrypted straight into its own buffer.
  private static let weightsName = "model.safetensors"

  /// - Throws: ``WorkerFault``, ``HostLost``.
  func load(for order: JobOrder) throws -> LoadedModel {
    let digest = order.manifest.claims.model
    let bytes = try WorkerFault.failing("model manifest") {
      try HostStream(.model(digest, name: "manifest.cose"), from: link)
        .readAll(limit: Limits.smallObjectBytes, "model manifest")
    }
    guard SHA256.digest(of: bytes) == digest else {
      throw WorkerFault.failed("the host gave another model manifest than the one asked for")
    }
    let permit = try ModelPermit(manifest: bytes, for: order, under: settings.policy.claims)
    return try WorkerFault.failing("model") { try load(permit) }
  }

  private func load(_ permit: ModelPermit) throws -> LoadedModel {
    let claims = permit.manifest.claims
    guard let weightsFile = claims.files.first(where: { $0.name == Self.weightsName }) else {
      throw WorkerFault.failed("the manifest lists no \(Self.weightsName)")
    }
    var small: [String: [UInt8]] = [:]
    for file in claims.files where file != weightsFile {
      guard file.size <= UInt64(Limits.clearModelFileBytes) else {
        throw WireError.tooLarge(file.name, limit: Limits.clearModelFileBytes)
      }
      let buffer = try read(file, of: permit)
      small[file.name] = buffer.withBytes { Array($0) }
    }
    let weights = try read(weightsFile, of: permit)
    let embedding = try weights.withBytes { try EmbeddingModel(files: ModelFiles(small), weights: $0) }
    guard UInt64(embedding.dimensions) == claims.dimensions, UInt64(embedding.maximumTokens) == claims.maximumTokens
    else {
      throw WorkerFault.failed("dimensions or maximum tokens are not the manifest's")
    }
    return LoadedModel(manifest: permit.manifest, embedding: embedding)
  }

  /// One file, whole: its size and digest are the manifest's before anybody reads it.
  private func read(_ file: ModelFile, of permit: ModelPermit) throws -> FileBuffer {
    let object = HostStream(.model(permit.manifest.digest, name: file.objectName), from: link)
    let source: any ByteSource = file.isSealed ? try open(object, of: permit) : object
    let buffer = try FileBuffer(count: file.size)
    var hasher = SHA256()
    while true {
      var piece = try source.read(upTo: Limits.chunkBytes)
      defer { SecretBytes.wipe(&piece) }
      if piece.isEmpty { break }
      hasher.update(data: piece)
      try buffer.append(piece)
    }
    guard buffer.isFull, hasher.value() == file.sha256 else {
      throw WorkerFault.failed("\(file.name) is not the manifest's")
    }
    return buffer
  }

  private func open(_ object: HostStream, of permit: ModelPermit) throws -> AgeDecryptor {
    let keyARN = try KMSKeyARN(permit.publisher.modelKey)
    let identity = KMSStanzaIdentity(expectedKeyARN: keyARN.text) { blob in
      try enclave.kms.decrypt(
        blob, under: keyARN, context: .model(manifest: permit.manifest.digest), access: settings.access)
    }
    return try AgeDecryptor(identities: [identity], from: object, role: .modelFile)
  }
}

/// A file's bytes, allocated once at the size that its signed manifest says, wiped when freed.
private final class FileBuffer {
  private let memory: UnsafeMutableRawBufferPointer
  private var filled = 0

  init(count: UInt64) throws {
    guard count <= Limits.weightBytes, let count = Int(exactly: count) else {
      throw WireError.malformed("a file size over the limit")
    }
    memory = .allocate(byteCount: max(count, 1), alignment: 64)
    size = count
  }

  private let size: Int
  var isFull: Bool { filled == size }

  func append(_ bytes: [UInt8]) throws {
    guard bytes.count <= size - filled else { throw WireError.malformed("a file longer than its manifest says") }
    UnsafeMutableRawBufferPointer(rebasing: memory[filled..<filled + bytes.count]).copyBytes(from: bytes)
    filled += bytes.count
  }

  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try body(UnsafeRawBufferPointer(rebasing: memory[..<filled]))
  }

  deinit {
    cplatform_wipe(memory.baseAddress, memory.count)
    memory.deallocate()
  }
}
