import Crypto
import SealedCrypto
import Wire

/// The three result files of a job, each sealed as it grows and streamed to the host; nothing is held whole.
final class ResultFiles {
  private let output: PaddedLines
  private let errors: PaddedLines
  private let items: SealedResult
  private let order: JobOrder
  /// Bytes of `items.cbor` so far.
  private var itemsSize: UInt64 = 0
  private var tree = MerkleTree()
  private var tokens: UInt64 = 0

  /// Items that have their record.
  private(set) var count: UInt64 = 0
  /// Items without a result.
  private(set) var failedCount: UInt64 = 0

  /// Writes the three headers and the head of `items.cbor`.
  init(_ order: JobOrder, to link: JobLink) throws {
    self.order = order
    output = PaddedLines(try SealedResult(.output, order.recipients, link))
    errors = PaddedLines(try SealedResult(.errors, order.recipients, link))
    items = try SealedResult(.items, order.recipients, link)
    try writeItem(ItemsHead(salt: order.manifest.claims.salt, manifest: order.manifest.bytes).encoded())
  }

  /// Appends the results of one window, in input order; wipes their lines in place.
  func append(_ results: inout [ItemResult]) throws {
    for place in results.indices {
      let (input, line) = (results[place].input, SHA256.digest(of: results[place].line))
      let (status, tokens) = (results[place].status, results[place].tokens)
      let record = ItemRecord(
        index: count, status: status, input: input, output: line, tokens: tokens, truncated: results[place].truncated)
      try (status == .ok ? output : errors).append(&results[place].line)
      try writeItem(record.encoded())
      let claims = order.manifest.claims
      tree.append(record.leaf(count: claims.inputItems, manifestSalt: claims.salt))
      count += 1
      self.tokens += tokens
      if status == .failed { failedCount += 1 }
    }
  }

  /// Writes the trailer, ends the files, and says what the receipt binds.
  ///
  /// - Parameter precision: what was computed in.
  func finish(fault: String?, precision: String) throws -> ReceiptJob {
    let trailer = ItemsTrailer(items: count, failedItems: failedCount, tokens: tokens, fault: fault)
    try writeItem(trailer.encoded(after: itemsSize))
    let files = [try output.finish(), try errors.finish(), try items.finish()]
    let claims = order.manifest.claims
    return ReceiptJob(
      manifest: order.manifest.digest, model: claims.model, submitter: order.manifest.signer.digest,
      stream: claims.stream.id, sequence: claims.stream.sequence, previous: claims.stream.previous, files: files,
      merkleRoot: tree.root, items: count, failedItems: failedCount, precision: precision)
  }

  private func writeItem(_ element: [UInt8]) throws {
    try items.write(element)
    itemsSize += UInt64(element.count)
  }
}

/// JSON lines, padded to the Padmé size by spaces before the last newline (protocol §3).
private final class PaddedLines {
  private let file: SealedResult
  /// Bytes so far, without the newline of the last line, which is held back.
  private var size: UInt64 = 0

  init(_ file: SealedResult) { self.file = file }

  /// Appends a line, given without its newline, and wipes it.
  func append(_ line: inout [UInt8]) throws {
    defer { SecretBytes.wipe(&line) }
    if size > 0 {
      try file.write([UInt8(ascii: "\n")])
      size += 1
    }
    try file.write(line)
    size += UInt64(line.count)
  }

  func finish() throws -> ReceiptFile {
    if size > 0 {
      var spaces = try Padme.paddedSize(size + 1) - size - 1
      while spaces > 0 {
        let piece = min(spaces, UInt64(Limits.chunkBytes))
        try file.write([UInt8](repeating: UInt8(ascii: " "), count: Int(piece)))
        spaces -= piece
      }
      try file.write([UInt8(ascii: "\n")])
    }
    return try file.finish()
  }
}

/// One result file: an age file to the manifest's recipients, on its way to the host.
private final class SealedResult {
  private let sink: HostFile
  private let encryptor: AgeEncryptor

  init(_ file: ResultFile, _ recipients: [HybridRecipient], _ link: JobLink) throws {
    sink = HostFile(file, link)
    encryptor = try AgeEncryptor(recipients: recipients, to: sink)
  }

  func write(_ bytes: [UInt8]) throws { try encryptor.write(bytes) }

  func finish() throws -> ReceiptFile {
    try encryptor.finish()
    return try sink.finish()
  }
}

/// Sends sealed bytes in whole chunks and digests them.
private final class HostFile: ByteSink {
  private let file: ResultFile
  private let link: JobLink
  private var hasher = SHA256()
  private var size: UInt64 = 0
  private var waiting: [UInt8] = []

  init(_ file: ResultFile, _ link: JobLink) {
    self.file = file
    self.link = link
  }

  func write(_ bytes: [UInt8]) throws {
    hasher.update(data: bytes)
    size += UInt64(bytes.count)
    waiting += bytes
    while waiting.count >= Limits.chunkBytes {
      try link.write(file, Array(waiting[..<Limits.chunkBytes]))
      waiting.removeFirst(Limits.chunkBytes)
    }
  }

  func finish() throws -> ReceiptFile {
    if !waiting.isEmpty { try link.write(file, waiting) }
    waiting = []
    return ReceiptFile(file: file, size: size, sha256: hasher.value())
  }
}
