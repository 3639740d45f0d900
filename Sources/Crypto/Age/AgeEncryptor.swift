import Wire

/// Seals a stream into an age file.
///
/// Memory: one chunk of plaintext, one sealed chunk, and what the caller hands over. A file is whole only after
/// ``finish()``; one that was not finished is refused by every reader as truncated. Used from one thread at a time.
package final class AgeEncryptor: ByteSink {
  /// The header that was written.
  package let header: AgeHeader
  /// Bytes written to the sink so far.
  package private(set) var sealedBytes: UInt64 = 0

  private let sink: any ByteSink
  private var cipher: PayloadCipher
  /// Plaintext that waits: at most one chunk, since only the end tells whether a full chunk is the last.
  private var pending: [UInt8] = []
  private var isOpen = true

  /// Makes a file key, wraps it for each recipient, and writes the header and the payload's nonce.
  ///
  /// - Throws: ``AgeError`` of kind `sealing` or `key`; ``SecretMemoryError``; what the sink throws.
  package init(recipients: [any AgeRecipient], to sink: any ByteSink) throws {
    let fileKey = try AgeFileKey()
    header = try AgeHeader(wrapping: fileKey, for: recipients)
    var nonce = [UInt8](repeating: 0, count: AgeFormat.nonceBytes)
    for index in nonce.indices { nonce[index] = .random(in: 0...255) }
    cipher = PayloadCipher(key: fileKey.payloadKey(nonce: nonce))
    self.sink = sink
    pending.reserveCapacity(AgeFormat.chunkBytes)
    try emit(header.encoded + nonce)
  }

  deinit { SecretBytes.wipe(&pending) }

  /// Seals `bytes`; full chunks go to the sink before it returns.
  ///
  /// - Throws: ``AgeError`` of kind `sealing` after ``finish()`` or an earlier failure; what the sink throws.
  package func write(_ bytes: [UInt8]) throws {
    guard isOpen else { throw AgeError(.sealing, "written after the end or after a failure") }
    try bytes.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        if pending.isEmpty, rest.count > AgeFormat.chunkBytes {
          try sealChunk(UnsafeRawBufferPointer(rebasing: rest.prefix(AgeFormat.chunkBytes)), isLast: false)
          rest = rest.dropFirst(AgeFormat.chunkBytes)
          continue
        }
        if pending.count == AgeFormat.chunkBytes { try sealPending(isLast: false) }
        let taken = rest.prefix(AgeFormat.chunkBytes - pending.count)
        pending += taken
        rest = rest.dropFirst(taken.count)
      }
    }
  }

  /// Seals the last chunk, which is empty only when the whole file is. The sink itself stays open.
  ///
  /// - Throws: ``AgeError`` of kind `sealing` when called twice or after a failure; what the sink throws.
  package func finish() throws {
    guard isOpen else { throw AgeError(.sealing, "finished twice or after a failure") }
    try sealPending(isLast: true)
    isOpen = false
  }

  private func sealPending(isLast: Bool) throws {
    defer {
      SecretBytes.wipe(&pending)
      pending.removeAll(keepingCapacity: true)
    }
    try pending.withUnsafeBytes { try sealChunk($0, isLast: isLast) }
  }

  private func sealChunk(_ plaintext: UnsafeRawBufferPointer, isLast: Bool) throws {
    try emit(try cipher.seal(plaintext, isLast: isLast))
  }

  private func emit(_ bytes: [UInt8]) throws {
    do {
      try sink.write(bytes)
    } catch {
      isOpen = false
      throw error
    }
    sealedBytes += UInt64(bytes.count)
  }
}
