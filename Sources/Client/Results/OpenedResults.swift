import Attestation
import Crypto
import SealedCrypto
import Wire

/// Sealed result files on this machine, each whole and with the digest that the receipt names.
struct DownloadedFiles {
  /// Files without a name, still sealed.
  let files: [ResultFile: OpenedFile]
  /// Size and digest of each as it was downloaded.
  let found: [ReceiptFile]

  /// Opens a file from its beginning.
  func open(_ file: ResultFile, _ identities: [HybridIdentity], recipients: Int?) throws -> AgeDecryptor? {
    guard let sealed = files[file] else { return nil }
    try sealed.rewind()
    return try AgeDecryptor(identities: identities, from: sealed, role: .result(recipientCount: recipients))
  }
}

/// Result files that were opened once from beginning to end, and whose every line is the one that the receipt's Merkle
/// root binds. Nothing is written before this exists.
package struct OpenedResults {
  /// How the job ended, as the receipt says.
  package let outcome: JobOutcome
  /// The job's manifest, a copy of which lies in the sealed results; its signature verified.
  package let manifest: Signed<JobManifestClaims>
  /// Totals, and why a job failed as a whole.
  package let trailer: ItemsTrailer
  /// Items whose end was cut off.
  package let truncated: UInt64
  /// What goes into the receipt's comparison.
  package let recomputed: RecomputedItems
  private let downloaded: DownloadedFiles
  private let identities: [HybridIdentity]

  /// Opens and verifies everything against the receipt.
  ///
  /// - Parameter submitters: keys of which one signed the manifest.
  /// - Throws: ``ClientError`` of kind `invalid`.
  init(
    _ downloaded: DownloadedFiles, _ claims: ReceiptClaims, identities: [HybridIdentity], submitters: [VerifyingKey]
  ) throws {
    guard let receipt = claims.job else { throw Self.invalid("the receipt names no results") }
    outcome = claims.outcome
    self.downloaded = downloaded
    self.identities = identities
    guard let items = try downloaded.open(.items, identities, recipients: nil) else {
      throw Self.invalid("items.cbor is missing")
    }
    let reader = ItemsReader(items)
    guard let first = try reader.next() else { throw Self.invalid("items.cbor is empty") }
    let head = try ItemsHead(first)
    let manifest = try UnverifiedStatement<JobManifestClaims>(head.manifest).verified(byOneOf: submitters)
    guard manifest.digest == receipt.manifest, manifest.signer.digest == receipt.submitter,
      manifest.claims.salt == head.salt
    else { throw Self.invalid("the manifest in the results is another job's") }
    try Self.compare(receipt, manifest.claims, isComputed: claims.outcome == .completed || claims.outcome == .partial)
    let recipients = manifest.claims.recipients.count
    guard items.header.stanzas.count == recipients else { throw Self.invalid("items.cbor has other recipients") }
    self.manifest = manifest

    let outputs = try downloaded.open(.output, identities, recipients: recipients).map {
      ResultLines($0, name: "output.jsonl")
    }
    let errors = try downloaded.open(.errors, identities, recipients: recipients).map {
      ResultLines($0, name: "errors.jsonl")
    }
    var tree = MerkleTree()
    var failed: UInt64 = 0
    var truncated: UInt64 = 0
    var end: ItemsTrailer?
    while let item = try reader.next() {
      guard end == nil else { throw Self.invalid("items.cbor goes on behind its end") }
      if ItemsTrailer.isTrailer(item) {
        end = try ItemsTrailer(item)
        continue
      }
      let record = try ItemRecord(item)
      guard record.index == tree.count, record.index < manifest.claims.inputItems else {
        throw Self.invalid("item \(record.index) stands at place \(tree.count)")
      }
      let line = record.status == .ok ? try outputs?.next() : try errors?.next()
      guard let line, SHA256.digest(of: line) == record.output else {
        throw Self.invalid("the line of item \(record.index) is missing or another")
      }
      if record.status == .failed { failed += 1 }
      if record.truncated { truncated += 1 }
      tree.append(record.leaf(count: manifest.claims.inputItems, manifestSalt: manifest.claims.salt))
    }
    guard let end else { throw Self.invalid("items.cbor has no end") }
    guard try outputs?.next() == nil, try errors?.next() == nil else {
      throw Self.invalid("there are lines that belong to no item")
    }
    guard end.items == tree.count, end.failedItems == failed else { throw Self.invalid("items.cbor miscounts") }
    try Self.compare(claims.outcome, end, inputItems: manifest.claims.inputItems)
    trailer = end
    self.truncated = truncated
    recomputed = RecomputedItems(merkleRoot: tree.root, count: tree.count, failed: failed)
  }

  /// What the receipt repeats of the manifest is what the manifest says.
  /// Where the manifest leaves the precision to the worker, the receipt of a computed job says which it was.
  private static func compare(_ receipt: ReceiptJob, _ manifest: JobManifestClaims, isComputed: Bool) throws {
    let isResolved = JobPrecision.computed.contains(receipt.precision)
    let isAsked =
      manifest.precision == JobPrecision.automatic
      ? isResolved || (!isComputed && receipt.precision == manifest.precision)
      : receipt.precision == manifest.precision
    guard receipt.model == manifest.model, isAsked else {
      throw invalid("the receipt names another model or precision than the manifest")
    }
    guard receipt.stream == manifest.stream.id, receipt.sequence == manifest.stream.sequence,
      receipt.previous == manifest.stream.previous
    else { throw invalid("the receipt names another place in the stream than the manifest") }
  }

  /// The outcome is what the items add up to.
  private static func compare(_ outcome: JobOutcome, _ end: ItemsTrailer, inputItems: UInt64) throws {
    let isWhole = end.fault == nil && end.items == inputItems
    switch outcome {
    case .completed:
      guard isWhole, end.failedItems == 0 else { throw invalid("the receipt says completed, the items say otherwise") }
    case .partial:
      guard isWhole, end.failedItems > 0, end.failedItems < end.items else {
        throw invalid("the receipt says partial, the items say otherwise")
      }
    case .failed, .refused: break
    }
  }

  /// Calls `body` with every line of a file, in input order, without padding.
  package func forEachLine(_ file: ResultFile, _ body: ([UInt8]) throws -> Void) throws {
    guard file != .items,
      let opened = try downloaded.open(file, identities, recipients: manifest.claims.recipients.count)
    else { return }
    let lines = ResultLines(opened, name: file.name)
    while let line = try lines.next() { try body(line) }
  }

  /// The items from the first one on.
  func openItems() throws -> OpenedItems {
    let recipients = manifest.claims.recipients.count
    guard let items = try downloaded.open(.items, identities, recipients: recipients) else {
      throw Self.invalid("items.cbor is missing")
    }
    return try OpenedItems(
      items, output: try downloaded.open(.output, identities, recipients: recipients),
      errors: try downloaded.open(.errors, identities, recipients: recipients))
  }

  /// Calls `body` with every item and its output or error line, in input order.
  func forEachItem(_ body: (ItemRecord, [UInt8]) throws -> Void) throws {
    let items = try openItems()
    while let item = try items.next() { try body(item.record, item.line) }
  }

  /// Copies an opened file to `sink` as the enclave wrote it, padding and all.
  package func copy(_ file: ResultFile, to sink: any ByteSink) throws {
    try downloaded.open(file, identities, recipients: manifest.claims.recipients.count)?.copy(to: sink)
  }

  static func invalid(_ reason: String) -> ClientError {
    ClientError(
      .invalid, "the results do not verify: \(reason)",
      remedy: "fetch them again; if it stays so, keep the receipt and ask",
      by: .operator_)
  }
}
