import SealedCrypto
import Wire

/// What a receipt that verified says of a job, kept in its ledger entry so that it is asked for once.
package struct SettledJob: Sendable, Equatable {
  package let outcome: JobOutcome
  package let items: UInt64
  package let failedItems: UInt64
  /// SHA-256 of the receipt's COSE bytes.
  package let receipt: ContentDigest
}

extension LedgerEntry {
  private var settledPath: String { "\(path)/settled" }
  private var retriedPath: String { "\(path)/retried" }

  /// The receipt that verified here; nil when none has yet.
  ///
  /// - Throws: ``ClientError`` of kind `other` for a damaged file.
  package func settled() throws -> SettledJob? {
    guard let bytes = try PrivateFiles.readIfPresent(settledPath, limit: 1024) else { return nil }
    do {
      var fields = try CBORFields(try CBORDecoder.decode(bytes), in: "settled job")
      guard let outcome = JobOutcome(rawValue: try fields.text("outcome", limit: 32)) else {
        throw WireError.malformed("settled job: outcome")
      }
      return SettledJob(
        outcome: outcome, items: try fields.unsigned("items"), failedItems: try fields.unsigned("failed"),
        receipt: try fields.digest("receipt"))
    } catch let error as WireError {
      throw ClientError(
        .other, "\(settledPath) is damaged: \(error)", remedy: "remove it: the receipt is fetched and verified again")
    }
  }

  /// Keeps what a receipt says that verified.
  package func settle(_ job: SettledJob) throws {
    let fields = CBOR.object([
      ("outcome", .text(job.outcome.rawValue)), ("items", .unsigned(job.items)), ("failed", .unsigned(job.failedItems)),
      ("receipt", .bytes(job.receipt.bytes)),
    ])
    try PrivateFiles.write(fields.encoded(), to: settledPath)
  }

  /// Whether its documents were given to a later job, since it ended without results.
  package var isRetried: Bool { PrivateFiles.exists(retriedPath) }

  /// Notes that they were.
  package func markRetried(atMs: UInt64) throws {
    try PrivateFiles.write(CBOR.unsigned(atMs).encoded(), to: retriedPath)
  }
}
