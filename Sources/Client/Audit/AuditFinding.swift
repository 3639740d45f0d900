import Wire

/// One thing that an audit found.
package struct AuditFinding: Sendable, Equatable {
  /// What it means for the whole.
  package enum Severity: String, Sendable {
    /// Something is wrong or missing: the audit has failed.
    case invalid
    /// Somebody must look: a job that is not decided yet, or one that ended without all its results.
    case pending
    /// Told because an auditor may ask; nothing is wrong.
    case note
  }

  /// The kinds, by which a program decides.
  package enum Kind: String, Sendable, CaseIterable {
    /// A file that could not be read or parsed as a receipt.
    case unreadable
    /// A receipt that does not verify.
    case unverified
    /// Numbers without a receipt, which nobody voided.
    case gap
    /// One number, two manifests.
    case fork
    /// A receipt that names another manifest before it than the one that is there: renumbered, or in a wrong order.
    case order
    /// One manifest in two bundles.
    case duplicate
    /// A night without a receipt.
    case night
    /// Two policies of one version.
    case policy
    /// The manifest in the sealed results is not the receipt's.
    case manifest
    /// A job of the ledger that has no receipt, and whose time to run is not over.
    case pending
    /// A number whose job has a receipt but not all its results. Withholding a bundle until its time is over makes such a
    /// receipt too, so it is no proof that the documents were served.
    case outcome
    /// A stream that the ledger or a head does not have.
    case stream
    /// One manifest and one bundle, several receipts: the job was run again.
    case retry
    /// The same receipt in two places.
    case copy
    /// A number that was voided and has a receipt after all.
    case voided
    /// A receipt that the host did not commit.
    case uncommitted
    /// A receipt of a job that ended before its manifest verified: it stands in no stream.
    case unbound
    /// Numbers behind the head's.
    case beyondHead = "beyond-head"
    /// The manifest's copy could not be opened.
    case sealed

    package var severity: Severity {
      switch self {
      case .unreadable, .unverified, .gap, .fork, .order, .duplicate, .night, .policy, .manifest: .invalid
      case .pending, .outcome: .pending
      case .stream, .retry, .copy, .voided, .uncommitted, .unbound, .beyondHead, .sealed: .note
      }
    }
  }

  package let kind: Kind
  package let stream: StreamKey?
  /// The numbers it is about.
  package let numbers: ClosedRange<UInt64>?
  /// The file or object, where it is about one; as it was found, not made fit for a screen.
  package let place: String?
  /// For people. It may repeat text from outside.
  package let detail: String

  init(
    _ kind: Kind, _ detail: String, stream: StreamKey? = nil, numbers: ClosedRange<UInt64>? = nil,
    place: String? = nil
  ) {
    self.kind = kind
    self.detail = detail
    self.stream = stream
    self.numbers = numbers
    self.place = place
  }
}

/// Findings, so many of each kind that no store can fill the memory; all are counted.
package struct AuditFindings: Sendable {
  /// Kept of each kind.
  package static let kept = 10_000
  package private(set) var all: [AuditFinding] = []
  /// How many there were.
  package private(set) var counts: [AuditFinding.Kind: Int] = [:]

  mutating func add(_ finding: AuditFinding) {
    counts[finding.kind, default: 0] += 1
    if counts[finding.kind, default: 0] <= Self.kept { all.append(finding) }
  }

  /// How many of a severity.
  package func count(_ severity: AuditFinding.Severity) -> Int {
    counts.filter { $0.key.severity == severity }.values.reduce(0, +)
  }
}
