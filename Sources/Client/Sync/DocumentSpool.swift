import SealedCrypto
import Wire

/// The documents of one bundle, each read once from the folder and kept in sealed form only: under a key that lives in
/// this process's guarded memory, in a file that has no name. So both passes see the same text, whoever writes to the
/// folder meanwhile, and no plaintext is written anywhere.
final class DocumentSpool: InputOrigin {
  let name: String
  var kind: InputKind { .textFiles }
  private let identity: HybridIdentity
  private let file: OpenedFile
  private let encryptor: AgeEncryptor
  /// Paths in the order in which they were added: positions of the survey.
  private(set) var paths: [String] = []

  /// - Parameter directory: where the sealed bytes lie for the while; its owner's alone.
  init(name: String, directory: String) throws {
    self.name = name
    identity = try HybridIdentity.generate()
    file = try OpenedFile.nameless(in: directory)
    encryptor = try AgeEncryptor(recipients: [identity.recipient], to: file)
  }

  /// Takes a document.
  func add(_ path: String, _ bytes: [UInt8]) throws {
    let head = Array(path.utf8)
    try encryptor.write(Self.length(head.count) + head + Self.length(bytes.count))
    try encryptor.write(bytes)
    paths.append(path)
  }

  /// Ends the taking; the documents can be read from now on, as often as needed.
  func finish() throws { try encryptor.finish() }

  func forEach(_ body: (InputPiece) throws -> Void) throws -> SkippedInput {
    try file.rewind()
    let source = try AgeDecryptor(identities: [identity], from: file)
    for path in paths {
      _ = try take(try length(source), source)
      try body(InputPiece(place: .file(path), bytes: try take(try length(source), source)))
    }
    return SkippedInput()
  }

  private static func length(_ count: Int) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) }
  }

  private func length(_ source: AgeDecryptor) throws -> Int {
    try take(4, source).reduce(0) { $0 << 8 | Int($1) }
  }

  private func take(_ count: Int, _ source: AgeDecryptor) throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      let piece = try source.read(upTo: count - bytes.count)
      guard !piece.isEmpty else { throw WireError.truncated("spooled documents") }
      bytes += piece
    }
    return bytes
  }
}
