import Crypto
import Inference
import SealedCrypto
import Wire

extension ModelLoader {
  /// A model that continues texts, its weights packed as they arrive.
  ///
  /// - Throws: `ModelError` for files that are the publisher's and no such model; ``MemoryShortage``; ``WorkerFault``,
  ///   ``HostLost``.
  func decoder(_ files: ModelFiles, _ weightFiles: [ModelFile], of permit: ModelPermit) throws -> JobModel {
    let context = Int(clamping: permit.manifest.claims.maximumTokens)
    let desk = AdmissionDesk(room: room)
    let loader: DecoderLoader
    if let file = weightFiles.first, file.name.hasSuffix(".gguf") {
      guard weightFiles.count == 1 else {
        throw WorkerFault.failed("the manifest lists other weights beside a GGUF file")
      }
      loader = DecoderLoader(ggufFile: file.name, contextLength: context, admission: desk.admit)
    } else {
      do {
        loader = try DecoderLoader(
          files: files, precision: permit.precision, weightFiles: weightFiles.map(\.name), contextLength: context,
          admission: desk.admit)
      } catch {
        throw desk.refusal ?? error
      }
    }
    for file in weightFiles { try stream(file, into: loader, admittedBy: desk, of: permit) }
    return .decoder(try loader.finish())
  }

  /// Reads one file to its end, whatever it holds, and says only then what was wrong with it.
  ///
  /// - Throws: ``WorkerFault`` with `retry` unless size and digest are the manifest's; then `ModelError` for what the
  ///   file holds.
  private func stream(
    _ file: ModelFile, into loader: DecoderLoader, admittedBy desk: AdmissionDesk, of permit: ModelPermit
  ) throws {
    guard let size = Int(exactly: file.size) else { throw WireError.tooLarge(file.name, limit: Int.max) }
    let stream = try loader.stream(file.name, size: size)
    var refusal: ModelError?
    try WorkerFault.retrying(file.name) {
      let source = try source(file, of: permit)
      var (hasher, count) = (SHA256(), 0)
      while true {
        var piece = try source.read(upTo: Limits.chunkBytes)
        defer { SecretBytes.wipe(&piece) }
        if piece.isEmpty { break }
        count += piece.count
        guard count <= size else { throw WorkerFault.retry("\(file.name) is longer than the manifest says") }
        hasher.update(data: piece)
        guard refusal == nil else { continue }
        do {
          try piece.withUnsafeBytes { bytes in Result { () throws(ModelError) in try stream.append(bytes) } }.get()
        } catch let error as ModelError {
          // No secret, and no reason to read on: the answer is `retry` in any case.
          if let refusal = desk.refusal { throw refusal }
          refusal = error
          loader.abandon()
        }
      }
      guard count == size, hasher.value() == file.sha256 else {
        throw WorkerFault.retry("\(file.name) is not the manifest's")
      }
    }
    if let refusal { throw refusal }
    try stream.finish()
  }
}

/// Admits a decoder to the memory that there is, and remembers why it did not.
private final class AdmissionDesk {
  private let room: (_ neededBytes: UInt64) throws -> UInt64
  private(set) var refusal: (any Error)?

  init(room: @escaping (_ neededBytes: UInt64) throws -> UInt64) { self.room = room }

  func admit(_ footprint: DecoderFootprint) throws(ModelError) {
    let needed = DecoderRoom.leastBytes(footprint)
    do {
      let available = try room(needed)
      if DecoderRoom(footprint, bytes: available) != nil { return }
      refusal = MemoryShortage(neededBytes: needed, availableBytes: available)
    } catch {
      refusal = error
    }
    throw ModelError("memory", "is not enough")
  }
}
