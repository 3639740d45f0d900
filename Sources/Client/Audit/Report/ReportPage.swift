import Attestation
import SealedCrypto
import Wire

/// The report as one page: no scripts, nothing loaded from elsewhere, every text escaped, fit for paper.
struct ReportPage {
  /// Rows of one table; the rest stands in receipts.csv and report.json.
  private static let rows = 5000
  private let report: Report

  init(_ report: Report) { self.report = report }

  var html: String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Evidence: receipts of confidential inference</title>
    <style>\(Self.style)</style>
    </head>
    <body>
    \(banner)
    <h1>Receipts of confidential inference</h1>
    <p class="\(report.result.isSound && !report.records.isEmpty ? "sound" : "unsound")">\(Self.text(report.verdict))</p>
    \(facts)
    \(streams)
    \(failed)
    \(findings)
    \(receipts)
    \(policies)
    \(meaning)
    </body>
    </html>

    """
  }

  private var banner: String {
    report.profile.evidenceClass.banner.map { "<p class=\"class\">\(Self.text($0))</p>" } ?? ""
  }

  private var facts: String {
    let result = report.result
    let outcomes = JobOutcome.allCases.map { "\($0.rawValue) \(result.count($0))" }.joined(separator: ", ")
    let times = report.records.map(\.startedMs)
    let span = times.min().flatMap { first in
      report.records.map(\.endedMs).max().map { "\(Timestamps.text(first)) to \(Timestamps.text($0))" }
    }
    let nights = result.findings.counts[.night, default: 0]
    var rows = [
      ("Evidence", report.profile.evidenceClass.rawValue),
      ("Root certificate (SHA-256)", report.profile.anchor.rootSHA256?.hex ?? "none: nobody signs emulated evidence"),
      ("Policy key", Hex.encode(report.profile.policyKey.bytes)), ("Receipts verified", "\(report.records.count)"),
      ("Files that failed", "\(report.failedCount)"), ("Outcomes", outcomes), ("Time of the jobs", span ?? "–"),
      ("Jobs without a receipt in the store", "\(result.unfinished)"),
    ]
    if result.nights > 0 { rows.append(("Nights", "\(result.nights) in each stream; without a job \(nights)")) }
    return "<table class=\"facts\">"
      + rows.map { "<tr><th>\(Self.text($0.0))</th><td>\(Self.text($0.1))</td></tr>" }.joined(separator: "\n")
      + "</table>"
  }

  private var streams: String {
    table(
      "Streams", ["Stream", "Name", "Submitter key", "Receipts", "Last number", "Missing", "Void", "Tail"],
      report.result.streams.map { stream in
        [
          .code(Hex.encode(stream.key.id)), .text(stream.name ?? "–"), .digest(stream.key.submitter),
          .number(UInt64(stream.receipts)), .number(stream.last), .number(stream.missing),
          .number(UInt64(stream.voided)), .text(stream.tail.sentence),
        ]
      }, empty: "No receipt stands in a stream.")
  }

  private var failed: String {
    table(
      "What did not verify", ["File", "Kind", "Reason"],
      report.failed.map { [.text($0.place ?? "–"), .text($0.kind.rawValue), .text($0.detail)] },
      empty: "Every file verified.", total: report.failedCount)
  }

  private var findings: String {
    table(
      "Findings", ["What", "Weight", "Stream", "Numbers", "Where", "Detail"],
      report.findings.map { finding in
        let numbers = finding.numbers.map {
          $0.lowerBound == $0.upperBound ? "\($0.lowerBound)" : "\($0.lowerBound) to \($0.upperBound)"
        }
        return [
          .text(finding.kind.rawValue), .text(finding.kind.severity.rawValue),
          finding.stream.map { .code(String(Hex.encode($0.id).prefix(12)) + "…") } ?? .text("–"),
          .text(numbers ?? "–"), .text(finding.place ?? "–"), .text(finding.detail),
        ]
      }, empty: "None.", total: report.result.findings.counts.values.reduce(0, +) - report.failedCount)
  }

  private var receipts: String {
    table(
      "Receipts that verified",
      ["Stream", "No.", "Job", "Outcome", "Items", "Failed", "Began", "Ended", "Image", "Model", "Policy"],
      report.records.map { record in
        [
          record.stream.map { .code(String(Hex.encode($0.key.id).prefix(12)) + "…") } ?? .text("–"),
          record.stream.map { .number($0.sequence) } ?? .text("–"), .digest(record.job),
          .text(record.outcome.rawValue), .number(record.items), .number(record.failedItems),
          .text(Timestamps.text(record.startedMs)), .text(Timestamps.text(record.endedMs)), .text(record.image),
          record.model.map { .digest($0) } ?? .text("–"), .number(record.policyVersion),
        ]
      }, empty: "None.")
  }

  private var policies: String {
    table(
      "Policies by which they were judged", ["Version", "Digest", "Issued", "Until", "Images"],
      report.archive.policies.map { policy in
        [
          .number(policy.claims.version), .code(policy.digest.hex), .text(Timestamps.text(policy.claims.issuedMs)),
          .text(Timestamps.text(policy.claims.notAfterMs)),
          .text(policy.claims.measurements.map(\.name).joined(separator: ", ")),
        ]
      }, empty: "None.")
  }

  private let meaning = """
    <h2>What this shows, and what not</h2>
    <p>Each receipt listed as verified was signed by a key that an attested enclave made, in an image that the policy in \
    force at the time lists. It binds the sealed input, the model, the sealed results and the job's place in its \
    submitter's stream. Times are the security module's.</p>
    <p>It does not show what the documents say, nor that the submitter submitted all that he should have. Without the \
    submitter's ledger or a signed head it does not show that the last receipts of a stream were not left out. A job \
    without a receipt is unfinished or suppressed; nothing tells which.</p>
    <p>To repeat it: <code>ephemeral receipts audit receipts --policies policies</code> with the same trust profile, and \
    <code>--head</code> with each file of <code>heads</code>. Whole digests stand in receipts.csv and report.json.</p>
    """

  // MARK: tables

  private enum Cell {
    case text(String)
    case code(String)
    case number(UInt64)
    case digest(ContentDigest)

    var html: String {
      switch self {
      case .text(let text): "<td>\(ReportPage.text(text))</td>"
      case .code(let text): "<td class=\"code\">\(ReportPage.text(text))</td>"
      case .number(let value): "<td class=\"number\">\(value)</td>"
      case .digest(let digest): "<td class=\"code\" title=\"\(digest.hex)\">\(digest.hex.prefix(12))…</td>"
      }
    }
  }

  private func table(
    _ title: String, _ columns: [String], _ rows: [[Cell]], empty: String, total: Int? = nil
  ) -> String {
    guard !rows.isEmpty else { return "<h2>\(Self.text(title))</h2>\n<p>\(Self.text(empty))</p>" }
    let head = columns.map { "<th>\(Self.text($0))</th>" }.joined()
    let body = rows.prefix(Self.rows).map { "<tr>\($0.map(\.html).joined())</tr>" }.joined(separator: "\n")
    let more = (total ?? rows.count) - min(rows.count, Self.rows)
    return """
      <h2>\(Self.text(title))</h2>
      <table><thead><tr>\(head)</tr></thead><tbody>
      \(body)
      </tbody></table>
      \(more > 0 ? "<p>And \(more) more: see receipts.csv and report.json.</p>" : "")
      """
  }

  private static func text(_ text: String) -> String { ReportText.html(text) }

  private static let style = """
    body{font:14px/1.45 system-ui,sans-serif;color:#111;background:#fff;margin:2rem auto;max-width:76rem;padding:0 1rem}
    h1{font-size:1.5rem;margin:.6rem 0}h2{font-size:1.1rem;margin:1.8rem 0 .5rem}
    .class{border:2px solid #a15c00;background:#fff3d6;padding:.6rem .9rem;font-weight:700}
    .sound,.unsound{font-size:1.1rem;font-weight:600;padding:.6rem .9rem;border-left:5px solid #1a7f37;background:#eef8f0}
    .unsound{border-color:#b42318;background:#fdefee}
    table{border-collapse:collapse;width:100%;font-size:.86rem}
    th,td{text-align:left;vertical-align:top;padding:.28rem .55rem;border-bottom:1px solid #d8d8d8;overflow-wrap:anywhere}
    thead th{border-bottom:2px solid #666;white-space:nowrap}
    .facts{width:auto}.facts th{font-weight:600;white-space:nowrap}
    .code,.facts td,code{font-family:ui-monospace,monospace;font-size:.82rem}
    td.code{white-space:nowrap}.number{text-align:right;font-variant-numeric:tabular-nums}
    @media print{@page{size:A4 landscape;margin:12mm}body{margin:0;max-width:none;font-size:10px;padding:0}
    tr{break-inside:avoid}h2{break-after:avoid}thead{display:table-header-group}
    .class,.sound,.unsound{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
    """
}
