/// How a job ended, as its receipt says (protocol §6).
package enum JobOutcome: String, Sendable, CaseIterable {
  /// Every item was computed.
  case completed
  /// Some items failed; `errors.jsonl` says which.
  case partial
  /// Nothing was computed, or the input was not what the manifest says.
  case failed
  /// Not permitted.
  case refused

  /// The one code that the host is told with it.
  package var code: OutwardCode {
    switch self {
    case .completed, .partial: .ok
    case .failed: .failed
    case .refused: .refused
    }
  }
}

/// What `jobs/<name>/commit.json` says: which attempt counts. The host's word, unsigned; the receipt that it names is
/// what a client verifies.
package struct JobCommit: Hashable, Sendable {
  /// The attempt whose files are the job's result.
  package let attempt: Int64
  /// What the receipt says, repeated by the host.
  package let outcome: JobOutcome
  /// SHA-256 of that attempt's `receipt.cose`.
  package let receipt: ContentDigest

  package init(attempt: Int64, outcome: JobOutcome, receipt: ContentDigest) {
    self.attempt = attempt
    self.outcome = outcome
    self.receipt = receipt
  }
}
