import SealedCrypto
import Wire

/// A pipe's content, which cannot be read twice, kept on disk in sealed form only: under a key that lives in this
/// process's guarded memory, in a file that has no name.
package final class SealedSpool: InputOrigin {
  package let name: String
  package var kind: InputKind { .jsonl }
  private let identity: HybridIdentity
  private let file: OpenedFile

  /// Takes everything that `source` has.
  ///
  /// - Parameter directory: where the sealed bytes lie for the while; its owner's alone.
  /// - Throws: ``ClientError`` of kind `input` over the limit of a job's input.
  package init(_ source: any ByteSource, name: String, directory: String) throws {
    self.name = name
    identity = try HybridIdentity.generate()
    file = try OpenedFile.nameless(in: directory)
    let encryptor = try AgeEncryptor(recipients: [identity.recipient], to: file)
    var total: UInt64 = 0
    while true {
      let piece = try source.read(upTo: 1 << 18)
      if piece.isEmpty { break }
      total += UInt64(piece.count)
      guard total <= Limits.inputBytes else {
        throw ClientError(.input, "the input has more than \(Limits.inputBytes) bytes", remedy: "split it")
      }
      try encryptor.write(piece)
    }
    try encryptor.finish()
  }

  package func forEach(_ body: (InputPiece) throws -> Void) throws -> SkippedInput {
    try file.rewind()
    try InputLines.forEach(in: try AgeDecryptor(identities: [identity], from: file), body)
    return SkippedInput()
  }
}
