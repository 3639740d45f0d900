import Attestation
import Crypto
import SealedCrypto
import Wire

/// What an audit compares receipts with, beside what they say themselves.
package struct AuditPlan {
  /// Judge this stream alone; files that cannot be told to be of any stream still count.
  package var stream: [UInt8]?
  /// The submitter's own account.
  package var ledger: [LedgerStream] = []
  /// Signed heads, of submitters that a policy lists.
  package var heads: [Signed<StreamHeadClaims>] = []
  package var nights: NightPlan?
  /// Opens the manifests' copies.
  package var copies: ManifestCopies?
  /// When a job of the ledger that has no receipt counts as missing, milliseconds since 1970.
  package var asOfMs: UInt64

  package init(asOfMs: UInt64) { self.asOfMs = asOfMs }
}

/// What an audit came to.
package struct AuditResult: Sendable {
  package internal(set) var findings = AuditFindings()
  /// Receipts that verified, each once, in the source's order.
  package internal(set) var records: [AuditRecord] = []
  package internal(set) var streams: [StreamSummary] = []
  /// Files that were not taken for receipts.
  package internal(set) var leftAside = 0
  /// Jobs of the store without any receipt.
  package internal(set) var unfinished = 0
  package internal(set) var nights = 0

  /// Whether nothing is wrong and nothing is missing.
  package var isSound: Bool { findings.count(.invalid) == 0 }
  /// How many receipts had this outcome.
  package func count(_ outcome: JobOutcome) -> Int { records.count { $0.outcome == outcome } }
}

/// Verifies every receipt of a source at its document's time, then the chains of their streams (protocol §7).
///
/// Receipts are read one at a time. What is kept of each is an ``AuditRecord``, so memory grows with the number of
/// receipts and with nothing else that a store decides.
package struct Auditor {
  /// Receipts of one audit.
  package static let receiptsLimit = 1_000_000
  private let profile: TrustProfile
  private let archive: PolicyArchive
  private let plan: AuditPlan
  private let check: ReceiptCheck

  package init(profile: TrustProfile, archive: PolicyArchive, plan: AuditPlan) {
    self.profile = profile
    self.archive = archive
    self.plan = plan
    check = ReceiptCheck(verifier: profile.verifier, policies: archive.policies)
  }

  /// Audits a source.
  ///
  /// - Parameter visit: called with each receipt that verified and its bytes.
  /// - Throws: ``ClientError`` of kind `input` over ``receiptsLimit``; what the source and `visit` throw.
  package func audit(
    _ source: any ReceiptSource, visit: (AuditRecord, [UInt8]) throws -> Void = { _, _ in }
  ) throws -> AuditResult {
    var result = AuditResult()
    for version in archive.ambiguousVersions {
      let detail = "there are two policies of version \(version), both signed by the policy key"
      result.findings.add(AuditFinding(.policy, detail))
    }
    let ledger = Dictionary(
      plan.ledger.flatMap(\.entries).map { ($0.record.job, $0.record) }, uniquingKeysWith: { first, _ in first })
    var voided: [StreamKey: Set<UInt64>] = [:]
    var names: [StreamKey: String] = [:]
    /// Where each receipt stands among the records.
    var seen: [ContentDigest: Int] = [:]
    try source.forEach { evidence in
      switch evidence {
      case .unreadable(let place, let reason):
        result.findings.add(AuditFinding(.unreadable, reason, place: place))
      case .leftAside: result.leftAside += 1
      case .unfinished: result.unfinished += 1
      case .receipt(let found):
        guard let record = judge(found, ledger, &result.findings) else { return }
        guard plan.stream == nil || record.stream == nil || record.stream?.key.id == plan.stream else { return }
        if let index = seen[record.receipt] {
          // A copy that is not the committed one must not stand for it.
          if result.records[index].isCommitted == false, record.isCommitted == true {
            result.records[index] = record
            open(record, found, &voided, &names, &result.findings)
          }
          let number = record.stream?.sequence
          let copy = AuditFinding(
            .copy, "a receipt that stands elsewhere too", stream: record.stream?.key,
            numbers: number.map { $0...$0 }, place: record.place)
          return result.findings.add(copy)
        }
        guard result.records.count < Self.receiptsLimit else {
          throw ClientError(
            .input, "more than \(Self.receiptsLimit) receipts", remedy: "audit one stream at a time, with --stream")
        }
        seen[record.receipt] = result.records.count
        result.records.append(record)
        try visit(record, found.bytes)
        open(record, found, &voided, &names, &result.findings)
      }
    }
    chains(voided, names, &result)
    nights(&result)
    return result
  }

  /// The verdict on one file; nil, with a finding, unless it verifies.
  private func judge(
    _ found: FoundReceipt, _ ledger: [JobName: LedgerRecord], _ findings: inout AuditFindings
  ) -> AuditRecord? {
    let claims: ReceiptClaims
    do {
      claims = try UnverifiedStatement<ReceiptClaims>(found.bytes).signedByItsOwnKey().signed.claims
    } catch {
      findings.add(AuditFinding(.unreadable, "no receipt: \(error)", place: found.place))
      return nil
    }
    let job = found.job ?? claims.bundle
    let entry = ledger[job]
    let verdict = check.verdict(
      found.bytes,
      expecting: ReceiptExpectation(
        job: job, manifest: entry?.manifest, model: entry?.model, minimumPolicyVersion: entry?.policyVersion))
    guard let receipt = verdict.receipt else {
      let (question, reason) =
        verdict.failure.map { ($0.question.rawValue, $0.reason) } ?? ("statement", "not verified")
      findings.add(AuditFinding(.unverified, "\(question): \(reason)", place: found.place))
      return nil
    }
    let record = AuditRecord(
      receipt, digest: SHA256.digest(of: found.bytes), place: found.place, isCommitted: found.isCommitted)
    if found.isCommitted == false {
      findings.add(AuditFinding(.uncommitted, "an attempt that the host did not commit", place: found.place))
    }
    if record.stream == nil {
      findings.add(
        AuditFinding(
          .unbound, "\(record.outcome.rawValue) before its manifest verified: it stands in no stream",
          place: found.place))
    }
    return record
  }

  private func open(
    _ record: AuditRecord, _ found: FoundReceipt, _ voided: inout [StreamKey: Set<UInt64>],
    _ names: inout [StreamKey: String], _ findings: inout AuditFindings
  ) {
    guard let copies = plan.copies, let stream = record.stream, let attempt = found.attempt,
      record.isCommitted == true
    else { return }
    switch copies.open(record, attempt: attempt) {
    case .opened(let position):
      if !position.voided.isEmpty { voided[stream.key, default: []].formUnion(position.voided) }
      names[stream.key] = position.name
    case .closed(let reason):
      findings.add(AuditFinding(.sealed, "the manifest's copy does not open: \(reason)", place: found.place))
    case .wrong(let reason):
      findings.add(AuditFinding(.manifest, "the manifest's copy: \(reason)", place: found.place))
    }
  }

  private func chains(
    _ voided: [StreamKey: Set<UInt64>], _ names: [StreamKey: String], _ result: inout AuditResult
  ) {
    let ledger = Dictionary(
      plan.ledger.map { (StreamKey(submitter: $0.submitter.digest, id: $0.id), $0) },
      uniquingKeysWith: { first, _ in first })
    let heads = Dictionary(grouping: plan.heads) { StreamKey(submitter: $0.signer.digest, id: $0.claims.stream) }
      .mapValues { $0.map(\.claims).sorted { ($0.sequence, $0.manifest) < ($1.sequence, $1.manifest) } }
    let records = Dictionary(grouping: result.records.filter { $0.stream != nil }) { $0.stream?.key }
    let unbound = Set(result.records.filter { $0.stream == nil }.map(\.job))
    let keys = Set(records.keys.compactMap { $0 }).union(ledger.keys).union(heads.keys)
    let knowsStreams = !ledger.isEmpty || !heads.isEmpty
    for key in keys.sorted() where plan.stream == nil || key.id == plan.stream {
      if knowsStreams, ledger[key] == nil, heads[key] == nil {
        let isOwn = ledger.keys.contains { $0.submitter == key.submitter }
        let detail = isOwn ? "a stream of this ledger's own key that it does not have: another machine's?" : "no head"
        result.findings.add(AuditFinding(.stream, detail, stream: key))
      }
      let chain = StreamChain(
        key: key, records: records[key] ?? [], ledger: ledger[key], heads: heads[key] ?? [],
        voidedByManifests: voided[key] ?? [], name: names[key], unbound: unbound, asOfMs: plan.asOfMs)
      result.streams.append(chain.examine(&result.findings))
    }
  }

  /// Every stream that is judged must have every night: another stream's job is no proof that this one was served. Each
  /// number serves one night, that of its first attempt with results: one job run again every night would serve them all.
  private func nights(_ result: inout AuditResult) {
    guard let plan = plan.nights else { return }
    result.nights = plan.count
    var begins: [StreamKey: [UInt64: UInt64]] = [:]
    for record in result.records where record.isCommitted != false {
      guard let place = record.stream, record.outcome == .completed || record.outcome == .partial else { continue }
      let first = begins[place.key]?[place.sequence] ?? .max
      begins[place.key, default: [:]][place.sequence] = min(first, record.startedMs)
    }
    let keys: [StreamKey?] = result.streams.isEmpty ? [nil] : result.streams.map(\.key)
    for key in keys {
      for night in plan.empty(startedMs: key.flatMap { begins[$0] }.map { Array($0.values) } ?? []) {
        let detail =
          "no job began between \(Timestamps.text(night.lowerBound)) and \(Timestamps.text(night.upperBound))"
        result.findings.add(AuditFinding(.night, detail, stream: key))
      }
    }
  }
}
