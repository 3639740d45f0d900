import Attestation
import Glibc
import SealedCrypto
import Wire

/// An audit on paper:
///
///     report.json, report.html, receipts.csv
///     receipts/<job>-<digest>.cose            every receipt that verified
///     policies/policy-<version>-<digest>.cose every policy by which they were judged
///     heads/head-<stream>-<number>-<digest>.cose  the heads that were given
///
/// The same input gives the same bytes: nothing here tells when or where it was made. With the copies alone whoever
/// trusts the same profile can repeat the audit.
package struct EvidenceBundle {
  private let profile: TrustProfile
  private let archive: PolicyArchive
  private let plan: AuditPlan

  package init(profile: TrustProfile, archive: PolicyArchive, plan: AuditPlan) {
    self.profile = profile
    self.archive = archive
    self.plan = plan
  }

  /// Audits a source and writes the folder, which appears whole or not at all.
  ///
  /// - Throws: ``ClientError`` of kind `usage` when something has that name; what the audit throws.
  package func write(_ source: any ReceiptSource, to path: String) throws -> AuditResult {
    guard try PrivateFiles.isDirectory(path) == nil else {
      throw ClientError(.usage, "\(path) is there already", remedy: "name another folder")
    }
    try Self.refuse(path, inside: source)
    let partial = "\(path).partial-\(Hex.encode(Random.bytes(6)))"
    let folders = ["receipts", "policies", "heads"].map { "\(partial)/\($0)" }
    do {
      for folder in folders { try PrivateFiles.makeDirectory(folder) }
      let result = try Auditor(profile: profile, archive: archive, plan: plan).audit(source) { record, bytes in
        let copy = "\(partial)/\(Self.copyName(record))"
        if !PrivateFiles.exists(copy) { try Self.put(bytes, copy) }
      }
      for policy in archive.policies { try Self.put(policy.bytes, "\(partial)/\(Self.copyName(policy))") }
      for head in plan.heads {
        let copy =
          "\(partial)/heads/head-\(Hex.encode(head.claims.stream))-\(head.claims.sequence)-\(head.digest.hex.prefix(16)).cose"
        if !PrivateFiles.exists(copy) { try Self.put(head.bytes, copy) }
      }
      let report = Report(profile: profile, archive: archive, result: result)
      try Self.put(Array(report.json.utf8), "\(partial)/report.json")
      try Self.put(Array(report.csv.utf8), "\(partial)/receipts.csv")
      try Self.put(Array(ReportPage(report).html.utf8), "\(partial)/report.html")
      try PrivateFiles.renameDirectory(partial, to: path)
      return result
    } catch {
      for folder in folders + [partial] { PrivateFiles.removeEntry(folder) }
      throw error
    }
  }

  /// A report in the very folder that is searched would find its own copies.
  private static func refuse(_ path: String, inside source: any ReceiptSource) throws {
    guard let folder = source as? ReceiptFolder, let searched = realpath(folder.name, nil),
      let parent = realpath(PrivateFiles.parent(of: path), nil)
    else { return }
    defer {
      free(searched)
      free(parent)
    }
    guard "\(String(cString: parent))/".hasPrefix("\(String(cString: searched))/") else { return }
    throw ClientError(.usage, "\(path) lies in the folder of receipts itself", remedy: "name a folder elsewhere")
  }

  static func copyName(_ record: AuditRecord) -> String {
    "receipts/\(record.job.hex)-\(record.receipt.hex.prefix(16)).cose"
  }

  static func copyName(_ policy: Signed<PolicyClaims>) -> String {
    "policies/policy-\(policy.claims.version)-\(policy.digest.hex.prefix(16)).cose"
  }

  private static func put(_ bytes: [UInt8], _ path: String) throws {
    let file = try OpenedFile(creating: path, mode: PrivateFiles.publicMode)
    try file.write(bytes)
    // Evidence that is handed on must not be empty files after a power cut.
    try file.sync()
  }
}

/// What a report says, in an order that depends on the evidence alone.
struct Report {
  let profile: TrustProfile
  let archive: PolicyArchive
  let result: AuditResult
  /// Verified receipts, by stream and number.
  let records: [AuditRecord]
  /// What did not verify or could not be read, by place.
  let failed: [AuditFinding]
  /// All other findings, the gravest first.
  let findings: [AuditFinding]

  init(profile: TrustProfile, archive: PolicyArchive, result: AuditResult) {
    self.profile = profile
    self.archive = archive
    self.result = result
    records = result.records.sorted(by: Self.isBefore)
    failed = result.findings.all.filter { $0.kind == .unreadable || $0.kind == .unverified }
    let others = result.findings.all.filter { $0.kind != .unreadable && $0.kind != .unverified }
    findings = [AuditFinding.Severity.invalid, .pending, .note].flatMap { severity in
      others.filter { $0.kind.severity == severity }
    }
  }

  private static func isBefore(_ left: AuditRecord, _ right: AuditRecord) -> Bool {
    switch (left.stream, right.stream) {
    case (let first?, let second?):
      if first.key != second.key { return first.key < second.key }
      if first.sequence != second.sequence { return first.sequence < second.sequence }
    case (nil, _?): return false
    case (_?, nil): return true
    case (nil, nil): break
    }
    return (left.job, left.receipt, left.place) < (right.job, right.receipt, right.place)
  }

  /// What a reader must know first.
  var verdict: String {
    let invalid = result.findings.count(.invalid)
    if records.isEmpty { return "No receipt verified." }
    if invalid > 0 { return "\(invalid) thing\(invalid == 1 ? " is" : "s are") wrong or missing." }
    if result.streams.isEmpty { return "No receipt that verified stands in a stream." }
    if result.findings.counts[.outcome, default: 0] > 0 {
      return "Nothing is missing, but some jobs ended without all their results."
    }
    if result.findings.count(.pending) > 0 { return "Nothing is wrong; some jobs are not decided yet." }
    let open = result.streams.contains { $0.tail == .notProven }
    return open
      ? "Nothing is wrong in what is here. The tail is not proven: what came after may have been left out."
      : "Nothing is wrong and nothing is missing."
  }

  // MARK: CSV

  private static let columns = [
    "stream", "number", "job", "outcome", "items", "failed_items", "model", "precision", "image", "pcr0",
    "policy_version", "policy_digest", "started", "ended", "attempt", "software", "submitter", "manifest", "receipt",
    "found_as",
  ]

  /// RFC 4180: one line a receipt.
  var csv: String {
    var text = Self.columns.map { ReportText.csv($0) }.joined(separator: ",") + "\r\n"
    for record in records {
      let stream = record.stream
      let fields = [
        stream.map { Hex.encode($0.key.id) } ?? "", stream.map { String($0.sequence) } ?? "", record.job.hex,
        record.outcome.rawValue, String(record.items), String(record.failedItems), record.model?.hex ?? "",
        record.precision, record.image, Hex.encode(record.pcr0), String(record.policyVersion), record.policyDigest.hex,
        Timestamps.text(record.startedMs), Timestamps.text(record.endedMs), String(record.attempt), record.software,
        stream?.key.submitter.hex ?? "", stream?.manifest.hex ?? "", record.receipt.hex, record.place,
      ]
      text += fields.map { ReportText.csv($0) }.joined(separator: ",") + "\r\n"
    }
    return text
  }

  // MARK: JSON

  /// One object; each element of its arrays on a line of its own.
  var json: String {
    let head: [(String, JSONLine)] = [
      ("format", .text("ephemeralml/v1/evidence")), ("evidence_class", .text(profile.evidenceClass.rawValue)),
      ("warning", .optional(profile.evidenceClass.banner)), ("root_sha256", .optional(profile.anchor.rootSHA256?.hex)),
      ("policy_key", .text(Hex.encode(profile.policyKey.bytes))), ("verdict", .text(verdict)),
      ("sound", .bool(result.isSound && !records.isEmpty)), ("verified", .unsigned(UInt64(records.count))),
      ("failed", .unsigned(UInt64(failedCount))), ("nights", .unsigned(UInt64(result.nights))),
      ("left_aside", .unsigned(UInt64(result.leftAside))), ("unfinished", .unsigned(UInt64(result.unfinished))),
    ]
    let lists: [(String, [JSONLine])] = [
      ("streams", result.streams.map(\.json)), ("findings", findings.map(\.json)), ("failed_files", failed.map(\.json)),
      ("policies", archive.policies.map { Self.json($0) }), ("receipts", records.map { Self.json($0) }),
    ]
    var text = "{\n"
    text += head.map { "\(JSONLine.text($0.0).encoded):\($0.1.encoded),\n" }.joined()
    text += lists.map { name, lines in
      "\(JSONLine.text(name).encoded):[" + (lines.isEmpty ? "" : "\n")
        + lines.map(\.encoded).joined(separator: ",\n") + "]"
    }.joined(separator: ",\n")
    return text + "\n}\n"
  }

  var failedCount: Int {
    result.findings.counts[.unreadable, default: 0] + result.findings.counts[.unverified, default: 0]
  }

  private static func json(_ policy: Signed<PolicyClaims>) -> JSONLine {
    .object([
      ("version", .unsigned(policy.claims.version)), ("digest", .text(policy.digest.hex)),
      ("issued", .text(Timestamps.text(policy.claims.issuedMs))),
      ("not_after", .text(Timestamps.text(policy.claims.notAfterMs))), ("file", .text(EvidenceBundle.copyName(policy))),
    ])
  }

  private static func json(_ record: AuditRecord) -> JSONLine {
    .object([
      ("file", .text(EvidenceBundle.copyName(record))), ("found_as", .text(record.place)),
      ("job", .text(record.job.hex)), ("receipt", .text(record.receipt.hex)),
      ("stream", .optional(record.stream.map { Hex.encode($0.key.id) })),
      ("submitter", .optional(record.stream?.key.submitter.hex)), ("number", .optional(record.stream?.sequence)),
      ("manifest", .optional(record.stream?.manifest.hex)), ("previous", .optional(record.stream?.previous?.hex)),
      ("outcome", .text(record.outcome.rawValue)), ("items", .unsigned(record.items)),
      ("failed_items", .unsigned(record.failedItems)), ("model", .optional(record.model?.hex)),
      ("precision", .text(record.precision)), ("image", .text(record.image)), ("pcr0", .text(Hex.encode(record.pcr0))),
      ("policy_version", .unsigned(record.policyVersion)), ("policy_digest", .text(record.policyDigest.hex)),
      ("started", .text(Timestamps.text(record.startedMs))), ("ended", .text(Timestamps.text(record.endedMs))),
      ("attempt", .unsigned(record.attempt)), ("software", .text(record.software)),
    ])
  }
}

extension AuditFinding {
  /// For programs: a report's element, and a line of `--json`.
  package var json: JSONLine {
    .object([
      ("kind", .text(kind.rawValue)), ("severity", .text(kind.severity.rawValue)),
      ("stream", .optional(stream.map { Hex.encode($0.id) })), ("submitter", .optional(stream?.submitter.hex)),
      ("first", .optional(numbers?.lowerBound)), ("last", .optional(numbers?.upperBound)),
      ("place", .optional(place)), ("detail", .text(detail)),
    ])
  }
}

extension StreamSummary {
  /// For programs.
  package var json: JSONLine {
    .object([
      ("stream", .text(Hex.encode(key.id))), ("submitter", .text(key.submitter.hex)), ("name", .optional(name)),
      ("receipts", .unsigned(UInt64(receipts))), ("last", .unsigned(last)), ("missing", .unsigned(missing)),
      ("voided", .unsigned(UInt64(voided))), ("tail", .text(tail.word)),
      ("head_issued", .optional(headIssuedMs.map { Timestamps.text($0) })),
    ])
  }

  private var headIssuedMs: UInt64? { if case .head(let issuedMs) = tail { issuedMs } else { nil } }
}

extension StreamTail {
  /// For programs.
  var word: String {
    switch self {
    case .ledger: "ledger"
    case .head: "head"
    case .notProven: "not-proven"
    }
  }

  /// For people.
  package var sentence: String {
    switch self {
    case .ledger: "proven by the ledger"
    case .head(let issuedMs): "proven by the head of \(Timestamps.text(issuedMs))"
    case .notProven: "not proven"
    }
  }
}
