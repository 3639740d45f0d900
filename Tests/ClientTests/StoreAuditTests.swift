import Attestation
import Foundation
import Glibc
import ObjectStore
import SealedCrypto
import TestSupport
import Testing
import Wire

@testable import Client
@testable import JobRunner

@Suite("An audit of a store takes nothing on the host's word")
struct StoreAuditTests {
  private func url(_ desk: Desk) -> String { "file://\(desk.folder)/store" }

  private func put(_ desk: Desk, _ key: String, _ bytes: [UInt8]) throws {
    _ = try desk.store.put(try ObjectKey(key), bytes, .always)
  }

  @Test("a sound store ends with 0, a missing receipt with 21, an empty store with 10")
  func exitCodes() throws {
    let desk = try Desk()
    #expect(try desk.exitCode(ReceiptsCommand.Audit.self, [url(desk)]) == ExitStatus.notFound.rawValue)
    let nights = try desk.nights(3)
    _ = try TrustStore(home: desk.home).policies(desk.profile).refresh(from: desk.store, nowMs: Desk.nowMs)
    #expect(try desk.exitCode(ReceiptsCommand.Audit.self, [url(desk)]) == 0)
    #expect(try desk.exitCode(ReceiptsCommand.Audit.self, [url(desk), "--ledger", "--open"]) == 0)
    #expect(try desk.exitCode(ReceiptsCommand.Audit.self, ["\(desk.folder)/store", "--ledger"]) == 0)
    let nightly = [
      url(desk), "--stream", "nightly", "--expect-every", "1h", "--since", Timestamps.text(Desk.nowMs), "--until",
      Timestamps.text(Desk.nowMs + 3 * Desk.hourMs),
    ]
    #expect(try desk.exitCode(ReceiptsCommand.Audit.self, nightly) == 0)
    #expect(try desk.exitCode(ReceiptsCommand.Audit.self, [url(desk), "--stream", "no such"]) == 10)
    #expect(try desk.exitCode(ReceiptsCommand.Audit.self, ["\(desk.folder)/nowhere"]) == 10)
    let cron = [
      url(desk), "--nights", "0 * * * *", "--since", Timestamps.text(Desk.nowMs), "--until",
      Timestamps.text(Desk.nowMs + 9 * Desk.hourMs),
    ]
    #expect(try desk.exitCode(ReceiptsCommand.Audit.self, cron) == ExitStatus.invalid.rawValue)
    let second = nights[1].entry.record.job
    try desk.store.delete(try ObjectKey(StoreLayout.receipt(second, attempt: 1)))
    #expect(try desk.exitCode(ReceiptsCommand.Audit.self, [url(desk)]) == ExitStatus.invalid.rawValue)
    let report = ["\(desk.folder)/report", "\(desk.folder)/again"]
    for folder in report {
      let code = try desk.exitCode(ReceiptsCommand.Report.self, [url(desk), "--output", folder])
      #expect(code == ExitStatus.invalid.rawValue)
      #expect(PrivateFiles.exists("\(folder)/report.html"))
    }
    #expect(
      try desk.exitCode(ReceiptsCommand.Report.self, [url(desk), "--output", report[0]]) == ExitStatus.usage.rawValue)
  }

  @Test("a receipt in another job's folder, a commit that is no commit or names another receipt: each is found")
  func swapped() throws {
    let desk = try Desk()
    let nights = try desk.nights(3)
    let jobs = nights.map(\.entry.record.job)
    let source = ReceiptStore(desk.store)
    #expect(try desk.audit(source).kinds.isEmpty)

    let commit = try desk.store.getSmall(try ObjectKey(StoreLayout.commit(jobs[0])))
    try put(desk, StoreLayout.receipt(jobs[0], attempt: 1), nights[1].receipt)
    #expect(try desk.audit(source).only(.unreadable).detail == "it is not the receipt that was committed")
    let record = CommitRecord(
      attempt: 1, outcome: "completed", receiptSHA256: BundleDigest.of(nights[1].receipt).hex)
    try put(desk, StoreLayout.commit(jobs[0]), try StoreRecord.encode(record))
    #expect(try desk.audit(source).only(.unverified).detail.contains("another job"))
    try put(desk, StoreLayout.receipt(jobs[0], attempt: 1), nights[0].receipt)

    let twice = Array(
      #"{"attempt":1,"attempt":2,"outcome":"completed","receipt_sha256":"\#(record.receiptSHA256)"}"#.utf8)
    for bytes in [twice, [], Array("{}".utf8), [UInt8](repeating: 0x20, count: 5000)] {
      try put(desk, StoreLayout.commit(jobs[0]), bytes)
      let result = try desk.audit(source)
      #expect(try result.only(.unreadable).place == StoreLayout.commit(jobs[0]))
      #expect(PreparedAudit.status(result) == .invalid)
    }
    let absent = CommitRecord(attempt: 7, outcome: "completed", receiptSHA256: record.receiptSHA256)
    try put(desk, StoreLayout.commit(jobs[0]), try StoreRecord.encode(absent))
    #expect(try desk.audit(source).only(.unreadable).detail.contains("not there"))
    try put(desk, StoreLayout.commit(jobs[0]), commit)
    try put(desk, "jobs/readme/x.txt", [1])
    #expect(try desk.audit(source).only(.unreadable).place == "jobs/readme/x.txt")
  }

  @Test("attempts beside the committed one are retries, and a job without any receipt is counted")
  func attempts() throws {
    let desk = try Desk()
    let nights = try desk.nights(2)
    let job = nights[0].entry.record.job
    try put(
      desk, StoreLayout.receipt(job, attempt: 2), try desk.resigned(nights[0].receipt) { $0.attempt = 2 })
    let state = JobStateRecord(state: "running", attempt: 1, done: 0, updatedMs: 1)
    try put(desk, StoreLayout.state(BundleDigest.of([1])), try StoreRecord.encode(state))
    let result = try desk.audit(ReceiptStore(desk.store))
    #expect(result.isSound)
    #expect(result.kinds == [.retry, .uncommitted])
    #expect(result.unfinished == 1)
  }

  @Test("a void number is none that is missing: by the ledger, by a head, and by the manifests in the results")
  func voided() throws {
    let desk = try Desk()
    _ = try desk.nights(1)
    let given = try desk.sealed("never sent", stream: "nightly")
    #expect(throws: Never.self) {
      try BundleUpload(ledger: desk.ledger, store: desk.store).abandon(given, nowMs: Desk.nowMs)
    }
    let next = try desk.submit(["next"]) { $0.stream = "nightly" }
    #expect(next.record.stream.voided == [2])
    try desk.finish(next, atMs: Desk.nowMs + 9000)
    let source = ReceiptStore(desk.store)
    #expect(try desk.audit(source).only(.gap).numbers == 2...2)
    let copies = try desk.audit(source) {
      $0.copies = ManifestCopies(
        store: desk.store, identities: try desk.home.keys.identities(), policies: [desk.policy])
    }
    #expect(copies.isSound && copies.kinds.isEmpty)
    #expect(copies.streams.map(\.voided) == [1])
    #expect(copies.streams.map(\.name) == ["nightly"])
    #expect(try desk.audit(source) { $0.ledger = try desk.streams() }.kinds.isEmpty)
    let head = try desk.streams()[0].head(signedBy: desk.submitterKey, nowMs: Desk.nowMs)
    #expect(head.claims.voided == [2])
    #expect(try desk.audit(source) { $0.heads = [head] }.kinds.isEmpty)
    // A copy that is another job's manifest is no evidence for anything.
    let items = StoreLayout.result(next.record.job, attempt: 1, .items)
    let other = try desk.streams()[0].entries[0].record.job
    let first = try desk.store.getSmall(try ObjectKey(StoreLayout.result(other, attempt: 1, .items)))
    try put(desk, items, first)
    let wrong = try desk.audit(source) {
      $0.copies = ManifestCopies(
        store: desk.store, identities: try desk.home.keys.identities(), policies: [desk.policy])
    }
    #expect(try wrong.only(.manifest).detail.contains("another job's manifest"))
    #expect(wrong.kinds.contains(.gap))
  }

  @Test("the policy in force at the document's time decides, also where the profile never saw it")
  func policies() throws {
    let desk = try Desk()
    let day: UInt64 = 24 * Desk.hourMs
    let folder = try desk.collect(try desk.nights(2).map(\.receipt))
    func status(_ more: [Signed<PolicyClaims>]) throws -> AuditResult {
      let paths = try more.enumerated().map { try desk.file("policies/\($0.offset).cose", $0.element.bytes) }
      return try desk.audit(ReceiptFolder(path: folder), policies: paths)
    }
    let withoutImage: (inout PolicyClaims) -> Void = {
      $0.measurements = [
        MeasurementTuple(
          name: "next", pcr0: [UInt8](repeating: 1, count: 48), pcr1: [UInt8](repeating: 2, count: 48),
          pcr2: [UInt8](repeating: 3, count: 48), pcr8: nil)
      ]
    }
    #expect(try status([]).isSound)
    // Issued just before: not every host can have it yet. Issued a day before: the image was revoked by then.
    let late = try desk.policy(2) {
      withoutImage(&$0)
      $0.issuedMs = Desk.nowMs
    }
    #expect(try status([late]).isSound)
    let early = try desk.policy(2) {
      withoutImage(&$0)
      $0.issuedMs = Desk.nowMs - day - Desk.hourMs
    }
    let revoked = try status([early])
    #expect(revoked.records.isEmpty)
    #expect(revoked.findings.all.allSatisfy { $0.detail.contains("no longer lists its image") })
    // A later one that lists it again is the newest in force.
    let again = try desk.policy(3) { $0.issuedMs = Desk.nowMs - day - Desk.hourMs }
    #expect(try status([early, again]).isSound)
    // Two of one version: the officer's key signed both, and that alone is a finding.
    let second = try desk.policy(1) { $0.maximumItems = 7 }
    #expect(try status([second]).only(.policy).detail.contains("two policies of version 1"))
    // A stranger's policy is no policy.
    let stranger = try Signed.sign(desk.policy.claims, with: try SigningKey.generate())
    #expect(clientError { _ = try status([stranger]) }?.kind == .rejected)
  }

  @Test("a fresh profile judges old receipts by the policies of a folder, years after they ended")
  func yearsLater() throws {
    let desk = try Desk()
    let folder = try desk.collect(try desk.nights(3).map(\.receipt))
    _ = try desk.file("policies/policy-1.cose", desk.policy.bytes)
    let office = ClientHome(path: "\(desk.folder)/auditor")
    try office.create()
    let profile = try TrustStore(home: office).add(
      name: "dev", evidenceClass: .development, rootPEM: desk.enclave.rootPEM,
      policyKey: desk.policyKey.verifyingKey)
    let none = try Auditor(
      profile: profile, archive: try PolicyArchive(home: office, profile: profile, paths: []),
      plan: AuditPlan(asOfMs: Desk.nowMs)
    ).audit(ReceiptFolder(path: folder))
    #expect(none.findings.counts == [.unverified: 3])
    let archive = try PolicyArchive(home: office, profile: profile, paths: ["\(desk.folder)/policies"])
    let result = try Auditor(profile: profile, archive: archive, plan: AuditPlan(asOfMs: .max))
      .audit(ReceiptFolder(path: folder))
    #expect(result.isSound && result.records.count == 3)
  }

  /// Ten thousand receipts were measured by hand with EPHEMERALML_AUDIT_RECEIPTS=10000 (docs/audit.md has the figure).
  @Test("memory grows with what is kept of a receipt, not with the receipts")
  func memory() throws {
    let count = Int(ProcessInfo.processInfo.environment["EPHEMERALML_AUDIT_RECEIPTS"] ?? "") ?? 300
    let desk = try Desk()
    let template = try desk.nights(1)[0].receipt
    let folder = "\(desk.folder)/many"
    try PrivateFiles.makeDirectory(folder)
    var previous: ContentDigest?
    for number in 1...UInt64(count) {
      let manifest = BundleDigest.of(Array("manifest \(number)".utf8))
      let receipt = try desk.resigned(template) {
        $0.bundle = BundleDigest.of(Array("bundle \(number)".utf8))
        $0.job?.sequence = number
        $0.job?.manifest = manifest
        $0.job?.previous = previous
      }
      previous = manifest
      try OpenedFile(creating: "\(folder)/\(number).receipt").write(receipt)
    }
    let before = Self.residentBytes()
    let started = Timestamps.nowMs()
    let result = try desk.audit(folder: folder)
    let grown = max(0, Self.residentBytes() - before)
    print("audit of \(count) receipts: \(Timestamps.nowMs() - started) ms, \(grown / 1024) KiB more memory")
    #expect(result.isSound && result.records.count == count)
    #expect(grown < 16 << 20 + count * 4096)
  }

  private static func residentBytes() -> Int {
    let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .ascii)) ?? ""
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return pages * Int(getpagesize())
  }
}
