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

@Suite("An audit finds what a host, a second machine or an accident did to a stream")
struct AuditTests {
  @Test("a whole stream is sound, and its tail is proven by ledger or head and by nothing else")
  func whole() throws {
    let desk = try Desk()
    let folder = try desk.collect(try desk.nights(4).map(\.receipt))
    let alone = try desk.audit(folder: folder)
    #expect(alone.isSound && alone.kinds.isEmpty && alone.records.count == 4)
    #expect(alone.streams.map(\.tail) == [.notProven])
    #expect(PreparedAudit.status(alone) == .done)
    let ledger = try desk.audit(folder: folder) { $0.ledger = try desk.streams() }
    #expect(ledger.isSound && ledger.kinds.isEmpty)
    #expect(ledger.streams.map(\.tail) == [.ledger])
    #expect(ledger.streams.map(\.name) == ["nightly"])
    let head = try desk.streams()[0].head(signedBy: desk.submitterKey, nowMs: Desk.nowMs)
    let proven = try desk.audit(folder: folder) { $0.heads = [head] }
    #expect(proven.isSound && proven.kinds.isEmpty)
    #expect(proven.streams.map(\.tail) == [.head(issuedMs: Desk.nowMs)])
  }

  @Test("a night that was taken away from the middle is a gap, whoever looks")
  func removedFromTheMiddle() throws {
    let desk = try Desk()
    var receipts = try desk.nights(5).map(\.receipt)
    receipts.removeSubrange(1...2)
    let result = try desk.audit(folder: try desk.collect(receipts))
    #expect(try result.only(.gap).numbers == 2...3)
    #expect(result.kinds == [.gap])
    #expect(result.streams.map(\.missing) == [2])
    #expect(PreparedAudit.status(result) == .invalid)
  }

  @Test("nights that were cut off at the end show against ledger and head, and not without")
  func removedFromTheEnd() throws {
    let desk = try Desk()
    let receipts = try desk.nights(5).map(\.receipt)
    let folder = try desk.collect(Array(receipts.prefix(3)))
    #expect(try desk.audit(folder: folder).isSound)
    let head = try desk.streams()[0].head(signedBy: desk.submitterKey, nowMs: Desk.nowMs)
    for result in [
      try desk.audit(folder: folder) { $0.ledger = try desk.streams() },
      try desk.audit(folder: folder) { $0.heads = [head] },
    ] {
      #expect(try result.only(.gap).numbers == 4...5)
      #expect(!result.isSound)
    }
    let none = try desk.audit(folder: try desk.collect([], to: "none")) { $0.heads = [head] }
    #expect(try none.only(.gap).numbers == 1...5)
  }

  @Test("a job of the ledger whose time is not over is not decided: exit 3, and 21 once it is over")
  func pending() throws {
    let desk = try Desk()
    let receipts = try desk.nights(2).map(\.receipt)
    let open = try desk.submit(["still running"]) { $0.stream = "nightly" }
    let folder = try desk.collect(receipts)
    let early = try desk.audit(folder: folder) {
      $0.ledger = try desk.streams()
      $0.asOfMs = open.record.notAfterMs - 1
    }
    #expect(try early.only(.pending).numbers == 3...3)
    #expect(PreparedAudit.status(early) == .partial)
    let late = try desk.audit(folder: folder) {
      $0.ledger = try desk.streams()
      $0.asOfMs = open.record.notAfterMs
    }
    #expect(try late.only(.gap).numbers == 3...3)
    #expect(PreparedAudit.status(late) == .invalid)
  }

  @Test("a second machine with a copied home makes a fork: the same number, another manifest")
  func fork() throws {
    let desk = try Desk()
    var receipts = try desk.nights(2).map(\.receipt)
    let third = try desk.submit(["third here"]) { $0.stream = "nightly" }
    receipts.append(try desk.finish(third, atMs: Desk.nowMs + 9000).receipt.bytes)
    // The other machine's home is a copy from before number 3.
    let aside = "\(desk.folder)/aside"
    try FileManager.default.moveItem(atPath: third.path, toPath: aside)
    let there = try desk.submit(["third there"]) { $0.stream = "nightly" }
    #expect(there.record.stream.sequence == 3)
    receipts.append(try desk.finish(there, atMs: Desk.nowMs + 9500).receipt.bytes)
    let folder = try desk.collect(receipts)
    let alone = try desk.audit(folder: folder)
    #expect(try alone.only(.fork).numbers == 3...3)
    // The ledger decides which of them is its own, also where only the other one's receipt is shown.
    try FileManager.default.removeItem(atPath: there.path)
    try FileManager.default.moveItem(atPath: aside, toPath: third.path)
    let other = try desk.audit(folder: try desk.collect([receipts[0], receipts[1], receipts[3]], to: "other")) {
      $0.ledger = try desk.streams()
    }
    #expect(try other.only(.fork).detail.contains("another manifest of this number"))
    let head = try desk.streams()[0].head(signedBy: desk.submitterKey, nowMs: Desk.nowMs)
    let byHead = try desk.audit(folder: "\(desk.folder)/other") { $0.heads = [head] }
    #expect(try byHead.only(.fork).detail.contains("the head names another"))
  }

  @Test("a job that ended without results fills no night, and its number is not passed over in silence")
  func outcomes() throws {
    let desk = try Desk()
    var receipts = try desk.nights(3).map(\.receipt)
    receipts[1] = try desk.resigned(receipts[1]) {
      $0.outcome = .refused; $0.code = .refused
    }
    let result = try desk.audit(folder: try desk.collect(receipts)) {
      $0.ledger = try desk.streams()
      $0.nights = try NightPlan(everyMs: Desk.hourMs, sinceMs: Desk.nowMs, untilMs: Desk.nowMs + 3 * Desk.hourMs)
    }
    #expect(try result.only(.outcome).numbers == 2...2)
    #expect(result.findings.counts[.night] == 1)
    let alone = try desk.audit(folder: "\(desk.folder)/collected") { $0.ledger = try desk.streams() }
    #expect(alone.isSound && PreparedAudit.status(alone) == .partial)
  }

  @Test("heads of one stream that name different manifests are a fork, whichever is newer")
  func headsThatDiffer() throws {
    let desk = try Desk()
    let receipts = try desk.nights(2).map(\.receipt)
    let older = try desk.streams()[0].head(signedBy: desk.submitterKey, nowMs: Desk.nowMs)
    var claims = older.claims
    claims.sequence = 1
    let other = try Signed.sign(claims, with: desk.submitterKey)
    let result = try desk.audit(folder: try desk.collect(receipts)) { $0.heads = [older, other] }
    #expect(try result.only(.fork).numbers == 1...1)
  }

  @Test("a number behind the ledger's last is another machine's; behind a head's it is only newer")
  func beyond() throws {
    let desk = try Desk()
    let nights = try desk.nights(3)
    let head = try desk.streams()[0].head(signedBy: desk.submitterKey, nowMs: Desk.nowMs)
    let fourth = try desk.submit(["fourth"]) { $0.stream = "nightly" }
    let receipts = nights.map(\.receipt) + [try desk.finish(fourth, atMs: Desk.nowMs + 9000).receipt.bytes]
    let folder = try desk.collect(receipts)
    let newer = try desk.audit(folder: folder) { $0.heads = [head] }
    #expect(newer.isSound)
    #expect(try newer.only(.beyondHead).numbers == 4...4)
    #expect(newer.streams.map(\.tail) == [.notProven], "what came behind the head may have been left out")
    PrivateFiles.removeEntry(fourth.path)
    let other = try desk.audit(folder: folder) { $0.ledger = try desk.streams() }
    #expect(try other.only(.fork).detail.contains("another machine"))
  }

  @Test("renumbered receipts do not verify, and a chain whose links do not fit is found where evidence is genuine")
  func renumbered() throws {
    let desk = try Desk()
    var receipts = try desk.nights(4).map(\.receipt)
    // A host edits the number: the signature is over it.
    var edited = receipts
    let sequence = try #require(edited[1].firstRange(of: Array("sequence".utf8) + [2]))
    edited[1][sequence.upperBound - 1] = 3
    let host = try desk.audit(folder: try desk.collect(edited, to: "edited"))
    #expect(try host.only(.unreadable).detail.contains("the signature does not verify"))
    // A submitter's own program that swaps two numbers: the manifests before them give it away.
    let first = try desk.resigned(receipts[1]) { $0.job?.sequence = 3 }
    let second = try desk.resigned(receipts[2]) { $0.job?.sequence = 2 }
    receipts[1...2] = [first, second]
    let swapped = try desk.audit(folder: try desk.collect(receipts, to: "swapped"))
    #expect(swapped.findings.counts[.order] == 3)
    #expect(PreparedAudit.status(swapped) == .invalid)
  }

  @Test("a job that ran twice is a retry, the same file twice a copy, and one manifest in two bundles a duplicate")
  func repeated() throws {
    let desk = try Desk()
    var receipts = try desk.nights(3).map(\.receipt)
    receipts.append(receipts[0])
    receipts.append(try desk.resigned(receipts[1]) { $0.attempt = 2 })
    let result = try desk.audit(folder: try desk.collect(receipts))
    #expect(result.isSound)
    #expect(try result.only(.copy).numbers == 1...1)
    #expect(try result.only(.retry).numbers == 2...2)
    receipts.append(try desk.resigned(receipts[2]) { $0.bundle = BundleDigest.of([7]) })
    let twice = try desk.audit(folder: try desk.collect(receipts, to: "twice"))
    #expect(try twice.only(.duplicate).numbers == 3...3)
    #expect(!twice.isSound)
  }

  @Test("a forged receipt, one of another root and a swapped document fail, and the rest is still judged")
  func forged() throws {
    let desk = try Desk()
    let receipts = try desk.nights(3).map(\.receipt)
    var flipped = receipts[0]
    flipped[flipped.count / 2] ^= 1
    let other = try TestEnclave(nowMs: Desk.nowMs)
    var claims = try UnverifiedStatement<ReceiptClaims>(receipts[1]).signedByItsOwnKey().signed.claims
    claims.key = other.verifyingKey
    let elsewhere = try other.sign(claims, atMs: claims.endedMs).bytes
    let swapped = try Self.withDocument(of: receipts[0], receipts[2])
    let folder = try desk.collect([flipped, elsewhere, swapped] + receipts)
    let result = try desk.audit(folder: folder)
    #expect(result.records.count == 3)
    let failed = result.findings.all.filter { $0.kind == .unreadable || $0.kind == .unverified }
    #expect(failed.map(\.place) == ["100.receipt", "101.receipt", "102.receipt"])
    #expect(failed[1].detail.hasPrefix("chain: "))
    #expect(failed[2].detail.hasPrefix("key binding: "))
    #expect(result.kinds.isSubset(of: [.unreadable, .unverified]))
    #expect(PreparedAudit.status(result) == .invalid)
  }

  /// A receipt that carries the attestation document of another one; both are genuine.
  private static func withDocument(of donor: [UInt8], _ receipt: [UInt8]) throws -> [UInt8] {
    guard case .tagged(let tag, .array(var parts)) = try CBORDecoder.decode(receipt),
      case .tagged(_, .array(let others)) = try CBORDecoder.decode(donor)
    else { throw WireError.malformed("receipt") }
    parts[1] = others[1]
    return CBOR.tagged(tag, .array(parts)).encoded()
  }

  @Test("a production profile takes nothing of a development root")
  func developmentInProduction() throws {
    let desk = try Desk()
    let folder = try desk.collect(try desk.nights(2).map(\.receipt))
    let production = try TrustStore(home: desk.home).add(
      name: "prod", evidenceClass: .production, rootPEM: nil, policyKey: desk.policyKey.verifyingKey)
    let path = try desk.file("policy.cose", desk.policy.bytes)
    let archive = try PolicyArchive(home: desk.home, profile: production, paths: [path])
    let result = try Auditor(profile: production, archive: archive, plan: AuditPlan(asOfMs: Desk.nowMs))
      .audit(ReceiptFolder(path: folder))
    #expect(result.records.isEmpty)
    #expect(result.findings.counts == [.unverified: 2])
    #expect(PreparedAudit.status(result) == .invalid)
  }

  @Test("an unparsable, an empty, a huge file, a link and a pipe among good ones are findings: 21, never 0")
  func unreadable() throws {
    let desk = try Desk()
    let folder = try desk.collect(try desk.nights(2).map(\.receipt))
    for (name, bytes) in [
      ("garbage", [1, 2, 3]), ("empty", []), ("nested/deep/notes.txt", Array("hello".utf8)),
      ("huge.receipt", [UInt8](repeating: 0, count: Limits.smallObjectBytes + 1)),
    ] as [(String, [UInt8])] {
      _ = try desk.file("collected/\(name)", bytes)
      let result = try desk.audit(folder: folder)
      #expect(try result.only(.unreadable).place == name)
      #expect(result.records.count == 2)
      #expect(PreparedAudit.status(result) == .invalid)
      PrivateFiles.remove("\(folder)/\(name)")
    }
    #expect(mkfifo("\(folder)/pipe", 0o600) == 0)
    #expect(symlink("/dev/zero", "\(folder)/zero") == 0)
    let result = try desk.audit(folder: folder)
    #expect(result.findings.counts[.unreadable] == 2)
  }

  @Test("nights without a job are found, by length or by the schedule's own cron")
  func nights() throws {
    let desk = try Desk()
    var receipts = try desk.nights(5).map(\.receipt)
    receipts.remove(at: 2)
    let plan = try NightPlan(
      everyMs: Desk.hourMs, sinceMs: Desk.nowMs, untilMs: Desk.nowMs + 5 * Desk.hourMs)
    #expect(plan.count == 5)
    let result = try desk.audit(folder: try desk.collect(receipts)) { $0.nights = plan }
    let night = try result.only(.night)
    #expect(night.detail.contains(Timestamps.text(Desk.nowMs + 2 * Desk.hourMs)))
    #expect(result.nights == 5)
    #expect(!result.isSound)
    // What another stream did in that night is no excuse.
    let other = try desk.submit(["elsewhere"]) { $0.stream = "other" }
    let covered = try desk.finish(other, atMs: Desk.nowMs + 2 * Desk.hourMs + 1000).receipt.bytes
    let both = try desk.audit(folder: try desk.collect(receipts + [covered], to: "both")) { $0.nights = plan }
    #expect(both.findings.counts[.night] == 1 + 4)
    let chosen = try desk.audit(folder: "\(desk.folder)/both") {
      $0.nights = plan
      $0.stream = other.record.stream.id
    }
    #expect(chosen.findings.counts == [.night: 4])
    // One job that is run again every night serves one of them.
    let again = try desk.resigned(receipts[0], atMs: Desk.nowMs + 2 * Desk.hourMs + 2000) {
      $0.startedMs = Desk.nowMs + 2 * Desk.hourMs + 500
      $0.endedMs = Desk.nowMs + 2 * Desk.hourMs + 1500
      $0.attempt += 1
    }
    let repeated = try desk.audit(folder: try desk.collect(receipts + [again], to: "again")) { $0.nights = plan }
    #expect(repeated.findings.counts[.night] == 1)
    // Bundles of one night may be several; a job before and behind the nights counts for none.
    let early = try NightPlan(begins: [10, 20, 30], sinceMs: 10, untilMs: 40)
    #expect(early.empty(startedMs: [9, 10, 19, 40, 41]) == [20..<30, 30..<40])
    #expect(early.empty(startedMs: [39, 15, 29]) == [])
    #expect(clientError { _ = try NightPlan(everyMs: 1, sinceMs: 0, untilMs: 1 << 40) }?.kind == .usage)
    #expect(clientError { _ = try NightPlan(begins: [], sinceMs: 0, untilMs: 1) }?.kind == .usage)
  }

  @Test("a head that no listed submitter signed is refused")
  func forgedHead() throws {
    let desk = try Desk()
    _ = try desk.nights(1)
    _ = try TrustStore(home: desk.home).policies(desk.profile).refresh(from: desk.store, nowMs: Desk.nowMs)
    let claims = try desk.streams()[0].head(signedBy: desk.submitterKey, nowMs: 1).claims
    let stranger = try Signed.sign(claims, with: try SigningKey.generate())
    let archive = try PolicyArchive(home: desk.home, profile: desk.profile, paths: [])
    let path = try desk.file("strange.head", stranger.bytes)
    #expect(clientError { _ = try archive.head(path) }?.kind == .invalid)
    #expect(
      clientError { _ = try desk.streams()[0].head(signedBy: try SigningKey.generate(), nowMs: 1) }?.kind == .usage)
  }

  @Test("another submitter's stream with the same 16 bytes is a stream of its own")
  func sameStreamOfAnotherKey() throws {
    let desk = try Desk()
    let nights = try desk.nights(2)
    let copied = try desk.resigned(nights[1].receipt) {
      $0.job?.submitter = BundleDigest.of([9])
      $0.job?.manifest = BundleDigest.of([8])
      $0.bundle = BundleDigest.of([7])
    }
    let result = try desk.audit(folder: try desk.collect(nights.map(\.receipt) + [copied])) {
      $0.ledger = try desk.streams()
    }
    #expect(result.streams.count == 2)
    #expect(!result.kinds.contains(.fork))
    #expect(try result.only(.gap).stream?.submitter == BundleDigest.of([9]))
  }
}
