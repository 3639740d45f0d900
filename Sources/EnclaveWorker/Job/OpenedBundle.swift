import SealedCrypto
import Wire

/// A bundle whose header opened under one of this worker's sealing keys. Its plaintext (protocol §3):
///
///     u32 length ‖ job manifest ‖ u64 length ‖ input ‖ zero bytes up to the Padmé size
///
/// Every byte is provisional until ``finish()``: only then has the file's end verified.
final class OpenedBundle {
  /// The sealing key that opened it.
  let epoch: Epoch
  /// The job manifest's COSE bytes.
  let manifest: [UInt8]
  /// Bytes of the input, as the bundle says.
  let inputBytes: UInt64
  private let plaintext: AgeDecryptor
  private var inputLeft: UInt64

  /// Opens the header, then reads as far as the input.
  ///
  /// - Throws: ``WorkerFault`` with `refused` for a bundle of another form, with `retry` where no key that this worker
  ///   holds opens it: which epochs are loaded is the host's doing, and decides nothing about a job.
  init(_ sealed: SealedBundle, epochs: [Epoch]) throws {
    guard !epochs.isEmpty else { throw WorkerFault.retry("no epoch is loaded") }
    let matched = MatchedEpoch()
    let identities = epochs.map { EpochIdentity(epoch: $0, matched: matched) }
    (plaintext, manifest, inputBytes) = try WorkerFault.refusing("bundle") {
      let plaintext = try Self.opened(sealed, identities)
      let length = Self.number(try plaintext.readExactly(4, "bundle: manifest length"))
      guard length <= UInt64(Limits.smallObjectBytes) else {
        throw WireError.tooLarge("bundle: manifest", limit: Limits.smallObjectBytes)
      }
      let manifest = try plaintext.readExactly(Int(length), "bundle: manifest")
      let inputBytes = Self.number(try plaintext.readExactly(8, "bundle: input length"))
      guard inputBytes <= Limits.inputBytes else { throw WireError.malformed("bundle: input length") }
      return (plaintext, manifest, inputBytes)
    }
    guard let epoch = matched.epoch else { throw WorkerFault.refused("bundle: no sealing key") }
    self.epoch = epoch
    inputLeft = inputBytes
  }

  private static func opened(_ sealed: SealedBundle, _ identities: [EpochIdentity]) throws -> AgeDecryptor {
    do {
      return try AgeDecryptor(identities: identities, from: sealed, role: .bundle)
    } catch let error as AgeError where error.kind == .noMatch {
      throw WorkerFault.retry("no epoch that is loaded opens the bundle")
    }
  }

  /// The next bytes of the input; empty at its end.
  ///
  /// - Throws: ``WorkerFault`` with `failed` for an altered or truncated bundle.
  func readInput() throws -> [UInt8] {
    guard inputLeft > 0 else { return [] }
    return try WorkerFault.failing("bundle") {
      let bytes = try plaintext.read(upTo: Int(min(inputLeft, UInt64(Limits.chunkBytes))))
      guard !bytes.isEmpty else { throw WireError.truncated("input") }
      inputLeft -= UInt64(bytes.count)
      return bytes
    }
  }

  /// Checks the padding and the verified end.
  ///
  /// - Throws: ``WorkerFault`` with `failed`.
  func finish() throws {
    try WorkerFault.failing("bundle") {
      guard inputLeft == 0 else { throw WireError.malformed("the input was not read") }
      let size = 4 + UInt64(manifest.count) + 8 + inputBytes
      var padding = try Padme.paddedSize(size) - size
      while true {
        let bytes = try plaintext.read(upTo: Limits.chunkBytes)
        if bytes.isEmpty { break }
        guard UInt64(bytes.count) <= padding, bytes.allSatisfy({ $0 == 0 }) else {
          throw WireError.malformed("padding that is not zeros up to the Padmé size")
        }
        padding -= UInt64(bytes.count)
      }
      guard padding == 0 else { throw WireError.truncated("padding") }
    }
  }

  private static func number(_ bytes: [UInt8]) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}

/// Notes which epoch's key opened the bundle.
private final class MatchedEpoch {
  var epoch: Epoch?
}

private struct EpochIdentity: AgeIdentity {
  let epoch: Epoch
  let matched: MatchedEpoch

  func unwrap(_ stanzas: [AgeStanza]) throws -> AgeUnwrapping {
    let unwrapping = try epoch.identity.unwrap(stanzas)
    if case .fileKey = unwrapping { matched.epoch = epoch }
    return unwrapping
  }
}
