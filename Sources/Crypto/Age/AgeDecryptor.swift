import Wire

/// Opens an age file as a stream of plaintext.
///
/// Invariants:
/// - no byte of a chunk is given out before its tag verified, and none of any chunk before the header's MAC did;
/// - the stream ends (an empty read) only after the last chunk verified as the last **and** the source ended right
///   behind it; truncation and trailing bytes throw;
/// - whoever reads must therefore treat everything as provisional until the empty read;
/// - after a throw, every further read throws the same.
///
/// Memory: one sealed and one opened chunk. Used from one thread at a time.
package final class AgeDecryptor: ByteSource {
  /// The header, whose MAC verified.
  package let header: AgeHeader
  /// Plaintext bytes given out so far.
  package private(set) var openedBytes: UInt64 = 0

  private let input: AgeSourceBuffer
  private var cipher: PayloadCipher
  private var state = State.reading
  /// The opened chunk; the bytes at `position...` have not been given out.
  private var chunk: [UInt8] = []
  private var position = 0

  private enum State {
    /// More chunks follow. Exits: `lastChunkOpened`, `failed`.
    case reading
    /// The source has ended; what is in `chunk` is the rest. No exit.
    case lastChunkOpened
    /// No exit.
    case failed(any Error)
  }

  /// Reads the header, checks the recipients against `role`, unwraps the file key by the first identity that can,
  /// verifies the header's MAC, and reads the payload's nonce.
  ///
  /// - Parameter role: checked before any key is used; nil reads any age file that the specification allows.
  /// - Throws: ``AgeError`` of kind `header`, `role`, `noMatch` or `headerMAC`; what an identity's key service or the
  ///   source throws.
  package init(identities: [any AgeIdentity], from source: any ByteSource, role: ContainerRole? = nil) throws {
    input = AgeSourceBuffer(source)
    header = try AgeHeaderParser.parse(nextByte: input.nextByte)
    try role?.check(header)
    let fileKey = try Self.unwrap(header.stanzas, identities)
    guard fileKey.isHeaderMAC(header.mac, of: header.authenticated) else {
      throw AgeError(.headerMAC, "the header was altered", at: "MAC line")
    }
    var nonce: [UInt8] = []
    while nonce.count < AgeFormat.nonceBytes, let byte = try input.nextByte() { nonce.append(byte) }
    guard nonce.count == AgeFormat.nonceBytes else {
      throw AgeError(.header, "the file ends after \(nonce.count) of \(AgeFormat.nonceBytes) bytes", at: "nonce")
    }
    cipher = PayloadCipher(key: fileKey.payloadKey(nonce: nonce))
  }

  deinit { SecretBytes.wipe(&chunk) }

  /// Between one and `count` bytes of plaintext; empty at the verified end.
  ///
  /// - Throws: ``AgeError`` of kind `payload`; what the source throws.
  package func read(upTo count: Int) throws -> [UInt8] {
    guard count > 0 else { return [] }
    while position == chunk.count {
      switch state {
      case .reading: try openNextChunk()
      case .lastChunkOpened: return []
      case .failed(let error): throw error
      }
    }
    return give(count)
  }

  private func give(_ count: Int) -> [UInt8] {
    let end = position + min(count, chunk.count - position)
    openedBytes += UInt64(end - position)
    if position == 0, end == chunk.count {
      let whole = chunk
      chunk = []
      return whole
    }
    let piece = Array(chunk[position..<end])
    position = end
    if position == chunk.count { SecretBytes.wipe(&chunk) }
    return piece
  }

  private func openNextChunk() throws {
    do {
      let place = "chunk \(cipher.nextChunk + 1)"
      let isFirst = cipher.nextChunk == 0
      chunk = try input.take(AgeFormat.chunkBytes + AgeFormat.tagBytes) { sealed, isLast in
        guard sealed.count >= AgeFormat.tagBytes else {
          throw AgeError(.payload, "the file ends inside or before this chunk", at: place)
        }
        guard isFirst || sealed.count > AgeFormat.tagBytes else {
          throw AgeError(.payload, "an empty last chunk after others", at: place)
        }
        guard let plaintext = cipher.open(sealed, isLast: isLast) else {
          throw AgeError(.payload, "altered, or the file was \(isLast ? "truncated" : "extended") after it", at: place)
        }
        if isLast { state = .lastChunkOpened }
        return plaintext
      }
      position = 0
    } catch {
      state = .failed(error)
      throw error
    }
  }

  private static func unwrap(_ stanzas: [AgeStanza], _ identities: [any AgeIdentity]) throws -> AgeFileKey {
    var reasons: [String] = []
    for identity in identities {
      switch try identity.unwrap(stanzas) {
      case .fileKey(let secret): return try AgeFileKey(unwrapped: secret)
      case .notForMe(let reason): reasons.append(reason)
      }
    }
    throw AgeError(.noMatch, reasons.isEmpty ? "no identities were given" : reasons.joined(separator: "; "))
  }
}
