import SealedCrypto
import Wire

/// What a client knows of a job, to compare its receipt with. What is nil is not compared, and its line says so.
package struct ReceiptExpectation: Sendable {
  /// The job that was asked for.
  package var job: JobName
  /// The ledger's manifest digest.
  package var manifest: ContentDigest?
  /// SHA-256 of the submitter's key.
  package var submitter: ContentDigest?
  /// The model manifest's digest.
  package var model: ContentDigest?
  /// The policy version that the job was sealed under: the enclave refuses a job that knows a newer policy than its own,
  /// so a genuine receipt names this version or a later one.
  package var minimumPolicyVersion: UInt64?
  /// Size and SHA-256 of every sealed result file as it was downloaded.
  package var files: [ReceiptFile]?
  /// What `items.cbor` adds up to, recomputed after it was opened.
  package var items: RecomputedItems?

  package init(
    job: JobName, manifest: ContentDigest? = nil, submitter: ContentDigest? = nil, model: ContentDigest? = nil,
    minimumPolicyVersion: UInt64? = nil, files: [ReceiptFile]? = nil, items: RecomputedItems? = nil
  ) {
    self.job = job
    self.manifest = manifest
    self.submitter = submitter
    self.model = model
    self.minimumPolicyVersion = minimumPolicyVersion
    self.files = files
    self.items = items
  }
}

/// Totals over the opened items file.
package struct RecomputedItems: Sendable, Equatable {
  package let merkleRoot: ContentDigest
  package let count: UInt64
  package let failed: UInt64

  package init(merkleRoot: ContentDigest, count: UInt64, failed: UInt64) {
    self.merkleRoot = merkleRoot
    self.count = count
    self.failed = failed
  }
}

/// The answer to each question that a receipt must answer, in the order in which a person reads them.
package struct ReceiptVerdict: Sendable {
  /// The questions.
  package enum Question: String, Sendable, CaseIterable {
    case form = "statement"
    case chain
    case policy
    case measurements
    case keyBinding = "key binding"
    case times
    case bundle
    case manifest
    case files = "files digests"
    case items
  }

  /// An answer; the text is for people.
  package enum Answer: Sendable, Equatable {
    case met(String)
    case failed(String)
    /// Nothing was given to compare with, or an earlier failure leaves nothing to ask.
    case notChecked(String)
  }

  /// One question and its answer.
  package struct Line: Sendable, Equatable {
    package let question: Question
    package let answer: Answer
  }

  /// One line for each question, always all of them.
  package let lines: [Line]
  /// The receipt, when nothing failed.
  package let receipt: Attested<ReceiptClaims>?

  /// Whether the receipt is an enclave's word on this job. Lines that were not checked do not count against it.
  package var isVerified: Bool { receipt != nil }
  /// The first failure, for a refusal in one line.
  package var failure: (question: Question, reason: String)? {
    for line in lines {
      if case .failed(let reason) = line.answer { return (line.question, reason) }
    }
    return nil
  }

  init(_ answers: [Question: Answer], receipt: Attested<ReceiptClaims>?) {
    lines = Question.allCases.map { Line(question: $0, answer: answers[$0] ?? .notChecked("an earlier line failed")) }
    let failed = lines.contains { line in if case .failed = line.answer { true } else { false } }
    self.receipt = failed ? nil : receipt
  }
}
