import Attestation
import Foundation
import SealedCrypto
import Testing
import Wire

@testable import Client

@Suite("A report is made of verified receipts, and whoever reads it sees text")
struct EvidenceBundleTests {
  private static let hostile = "=HYPERLINK(\"http://x\")</td><script>alert(1)</script><img src=x onerror=a>'&\u{202E}"

  /// A desk whose policy, file names and stream are hostile, and its report.
  private func report(_ desk: Desk, _ folder: String, to name: String = "evidence") throws -> (AuditResult, String) {
    _ = try TrustStore(home: desk.home).policies(desk.profile).refresh(from: desk.store, nowMs: Desk.nowMs)
    var plan = AuditPlan(asOfMs: .max)
    plan.ledger = try desk.streams()
    plan.heads = try desk.streams().map { try $0.head(signedBy: desk.submitterKey, nowMs: Desk.nowMs) }
    let archive = try PolicyArchive(home: desk.home, profile: desk.profile, paths: [])
    let path = "\(desk.folder)/\(name)"
    let result = try EvidenceBundle(profile: desk.profile, archive: archive, plan: plan)
      .write(ReceiptFolder(path: folder), to: path)
    return (result, path)
  }

  private func hostileDesk() throws -> (Desk, String) {
    let desk = try Desk()
    try desk.install(
      try desk.policy(2) {
        $0.measurements = [
          MeasurementTuple(
            name: Self.hostile, pcr0: TestEnclave.image.pcr0, pcr1: TestEnclave.image.pcr1,
            pcr2: TestEnclave.image.pcr2, pcr8: nil)
        ]
      })
    let entry = try desk.submit(["one"]) { $0.stream = "@SUM(1)<b>" + Self.hostile.prefix(60) }
    let receipt = try desk.resigned(try desk.finish(entry, atMs: Desk.nowMs + 1000).receipt.bytes) {
      $0.software = "-2+3<script>"
      $0.job?.precision = "=cmd|'/c'!A"
    }
    _ = try desk.file("in/=1+1<script>x.receipt", receipt)
    _ = try desk.file("in/\"><script>bad.receipt", [1, 2, 3])
    _ = try desk.file("in/line\nbreak,\"quoted\".receipt", [4])
    return (desk, "\(desk.folder)/in")
  }

  @Test("hostile text in every field stays text: no tag, no attribute, no formula, no line of its own")
  func injection() throws {
    let (desk, folder) = try hostileDesk()
    let (result, path) = try report(desk, folder)
    #expect(result.records.count == 1)
    let html = String(decoding: try PrivateFiles.read("\(path)/report.html"), as: UTF8.self)
    for tag in ["<script", "<img", "<b>", "onerror=a>", "\u{202E}", "javascript:", "http://x\""] {
      #expect(!html.contains(tag), "\(tag)")
    }
    #expect(html.contains("&lt;script&gt;"))
    #expect(html.contains("default-src &#39;none&#39;") == false && html.contains("default-src 'none'"))
    for outside in ["src=\"", "href=", "@import", "url("] { #expect(!html.contains(outside), "\(outside)") }
    #expect(html.contains("DEVELOPMENT"))

    let csv = String(decoding: try PrivateFiles.read("\(path)/receipts.csv"), as: UTF8.self)
    let lines = csv.split(separator: "\r\n", omittingEmptySubsequences: false)
    #expect(lines.count == 3 && lines[2].isEmpty)
    let fields = lines[1].dropFirst().dropLast().components(separatedBy: "\",\"")
    #expect(fields.count == 20)
    for field in fields {
      #expect(!"=+-@".contains(field.first ?? " "), "\(field)")
      #expect(!field.contains("\n") && !field.contains("\r"))
    }
    #expect(fields[15].hasPrefix("'-2+3"))
    #expect(fields[7].hasPrefix("'=cmd"))

    let json = try JSONSerialization.jsonObject(
      with: Data(try PrivateFiles.read("\(path)/report.json", limit: 1 << 24)))
    let object = try #require(json as? [String: Any])
    #expect(object["evidence_class"] as? String == "development")
    #expect((object["receipts"] as? [[String: Any]])?.first?["image"] as? String == Self.hostile)
    #expect(object["sound"] as? Bool == false)
  }

  @Test("what did not verify is listed with its reason, and its bytes are not copied")
  func failed() throws {
    let desk = try Desk()
    let receipts = try desk.nights(3).map(\.receipt)
    var flipped = receipts[1]
    flipped[flipped.count / 2] ^= 1
    let folder = try desk.collect([receipts[0], flipped, receipts[2]])
    let (result, path) = try report(desk, folder)
    #expect(!result.isSound)
    let copies = try PrivateFiles.names(in: "\(path)/receipts")
    #expect(copies.count == 2)
    #expect(Set(try copies.map { try PrivateFiles.read("\(path)/receipts/\($0)") }) == [receipts[0], receipts[2]])
    let html = String(decoding: try PrivateFiles.read("\(path)/report.html"), as: UTF8.self)
    #expect(html.contains("101.receipt") && html.contains("unverified"))
    let csv = String(decoding: try PrivateFiles.read("\(path)/receipts.csv"), as: UTF8.self)
    #expect(!csv.contains("101.receipt"))
    // The copies and policies are enough to come to the same verdict on what is in them.
    let archive = try PolicyArchive(home: desk.home, profile: desk.profile, paths: ["\(path)/policies"])
    var plan = AuditPlan(asOfMs: .max)
    plan.heads = try PrivateFiles.names(in: "\(path)/heads").map { try archive.head("\(path)/heads/\($0)") }
    let again = try Auditor(profile: desk.profile, archive: archive, plan: plan)
      .audit(ReceiptFolder(path: "\(path)/receipts"))
    #expect(again.records.count == 2)
    #expect(try again.only(.gap).numbers == 2...2)
  }

  @Test("the same evidence gives the same bytes, in whatever order and under whatever names it comes")
  func deterministic() throws {
    let desk = try Desk()
    let receipts = try desk.nights(4).map(\.receipt)
    let folder = try desk.collect(receipts)
    let (_, first) = try report(desk, folder, to: "first")
    let (_, second) = try report(desk, folder, to: "second")
    for name in ["report.json", "report.html", "receipts.csv"] {
      #expect(try PrivateFiles.read("\(first)/\(name)") == PrivateFiles.read("\(second)/\(name)"), "\(name)")
    }
    #expect(try PrivateFiles.names(in: "\(first)/receipts") == PrivateFiles.names(in: "\(second)/receipts"))
    #expect(clientError { _ = try report(desk, folder, to: "first") }?.kind == .usage)
    #expect(clientError { _ = try report(desk, folder, to: "collected/evidence") }?.kind == .usage)
    #expect(try PrivateFiles.names(in: desk.folder).allSatisfy { !$0.contains(".partial-") })
  }
}
