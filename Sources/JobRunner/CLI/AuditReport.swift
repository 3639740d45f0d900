import ArgumentParser
import Attestation
import Client
import SealedCrypto
import Wire

/// An audit that is about to run, and how its result is shown.
struct PreparedAudit {
  let context: ClientContext
  let profile: TrustProfile
  let archive: PolicyArchive
  let plan: AuditPlan
  let source: any ReceiptSource

  /// Findings of one severity that are shown one by one.
  private static let shown = 50

  /// Shows a result, and ends the command with what it means.
  func show(_ result: AuditResult) throws {
    let screen = context.screen
    for finding in result.findings.all {
      screen.line(Self.event("finding", finding.json))
    }
    for stream in result.streams { screen.line(Self.event("stream", stream.json)) }
    screen.line(summary(result))
    lines(result)
    let status = Self.status(result)
    if status != .done { throw ExitCode(status.rawValue) }
  }

  /// What the result means for a script: never 0 for what is wrong, missing, or could not be read.
  static func status(_ result: AuditResult) -> ExitStatus {
    if !result.isSound { return .invalid }
    // Receipts that stand in no stream say nothing about any night.
    if result.records.isEmpty || result.streams.isEmpty { return .notFound }
    return result.findings.count(.pending) > 0 ? .partial : .done
  }

  private static func event(_ name: String, _ value: JSONLine) -> JSONLine {
    guard case .object(let members) = value else { return value }
    return .object([("event", .text(name))] + members)
  }

  private func summary(_ result: AuditResult) -> JSONLine {
    let counts = result.findings.counts
    return .object([
      ("event", .text("audit")), ("sound", .bool(Self.status(result) == .done)),
      ("verified", .unsigned(UInt64(result.records.count))),
      ("unverified", .unsigned(UInt64(counts[.unverified, default: 0]))),
      ("unreadable", .unsigned(UInt64(counts[.unreadable, default: 0]))),
      ("invalid", .unsigned(UInt64(result.findings.count(.invalid)))),
      ("pending", .unsigned(UInt64(result.findings.count(.pending)))),
      ("nights", .unsigned(UInt64(result.nights))), ("streams", .unsigned(UInt64(result.streams.count))),
      ("tail_proven", .bool(!result.streams.isEmpty && result.streams.allSatisfy { $0.tail != .notProven })),
      ("unfinished", .unsigned(UInt64(result.unfinished))), ("left_aside", .unsigned(UInt64(result.leftAside))),
      ("evidence_class", .text(profile.evidenceClass.rawValue)),
      ("exit", .unsigned(UInt64(Self.status(result).rawValue))),
    ])
  }

  private func lines(_ result: AuditResult) {
    let (screen, counts) = (context.screen, result.findings.counts)
    let outcomes = JobOutcome.allCases.filter { result.count($0) > 0 }.map { "\(result.count($0)) \($0.rawValue)" }
    let how = outcomes.isEmpty ? "" : ": \(outcomes.joined(separator: ", "))"
    screen.out("receipts  \(result.records.count) verified\(how)")
    let failed = counts[.unverified, default: 0] + counts[.unreadable, default: 0]
    if failed > 0 { screen.out("          \(screen.red("\(failed) FAILED"))") }
    if result.leftAside > 0 { screen.out("          \(result.leftAside) files of results beside them left aside") }
    if result.unfinished > 0 {
      screen.out("          \(Shown.count(UInt64(result.unfinished), "job")) of the store without one")
    }
    for stream in result.streams {
      let name = stream.name.map { "\(Shown.printable($0, limit: 40)) " } ?? ""
      let missing = stream.missing > 0 ? screen.red("\(stream.missing) MISSING") : "none missing"
      let voided = stream.voided > 0 ? ", \(stream.voided) void" : ""
      screen.out(
        "stream    \(name)\(Hex.encode(stream.key.id)): \(Shown.count(UInt64(stream.receipts), "receipt")), "
          + "numbers 1 to \(stream.last), \(missing)\(voided); tail \(stream.tail.sentence)")
    }
    if result.nights > 0 {
      let empty = counts[.night, default: 0]
      screen.out(
        "nights    \(result.nights) in each stream, \(empty == 0 ? "none empty" : screen.red("\(empty) EMPTY"))")
    }
    for severity in [AuditFinding.Severity.invalid, .pending, .note] {
      let findings = result.findings.all.filter { $0.kind.severity == severity }
      for finding in findings.prefix(Self.shown) { screen.out(Self.line(finding, screen)) }
      let more = result.findings.count(severity) - min(findings.count, Self.shown)
      if more > 0 { screen.out("          and \(more) more; --json lists them, and so does `receipts report`") }
    }
    let suffix = profile.evidenceClass == .production ? "" : " (\(profile.evidenceClass.rawValue.uppercased()))"
    screen.out("\(Self.verdict(result))\(suffix)")
  }

  private static func line(_ finding: AuditFinding, _ screen: Screen) -> String {
    let kind = Screen.padded(finding.kind.rawValue, 12)
    var place = finding.stream.map { "stream \(Hex.encode($0.id).prefix(8))… " } ?? ""
    if let numbers = finding.numbers {
      place +=
        numbers.lowerBound == numbers.upperBound
        ? "number \(numbers.lowerBound): " : "numbers \(numbers.lowerBound) to \(numbers.upperBound): "
    }
    if let file = finding.place { place += "\(Shown.printable(file, limit: 120)): " }
    let marked = finding.kind.severity == .invalid ? screen.red(kind) : kind
    return "  \(marked)\(place)\(Shown.printable(finding.detail, limit: 300))"
  }

  private static func partial(_ findings: AuditFindings) -> String {
    let (pending, short) = (findings.counts[.pending, default: 0], findings.counts[.outcome, default: 0])
    let parts = [
      pending > 0 ? "\(Shown.count(UInt64(pending), "job")) not decided yet" : nil,
      short > 0 ? "\(Shown.count(UInt64(short), "job")) ended without all results" : nil,
    ]
    return "nothing is missing, but \(parts.compactMap(\.self).joined(separator: ", "))"
  }

  private static func verdict(_ result: AuditResult) -> String {
    switch status(result) {
    case .invalid: "audit FAILED: \(Shown.count(UInt64(result.findings.count(.invalid)), "finding"))"
    case .notFound: result.records.isEmpty ? "there are no receipts here" : "no receipt here stands in a stream"
    case .partial: partial(result.findings)
    default:
      result.streams.contains { $0.tail == .notProven }
        ? "nothing is wrong in what is here; tail not proven: pass --ledger or --head"
        : "nothing is wrong and nothing is missing"
    }
  }
}
