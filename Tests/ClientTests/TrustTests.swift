import Attestation
import Crypto
import Foundation
import ObjectStore
import SealedCrypto
import Testing
import Wire

@testable import Client

/// SHA-256, for tests.
enum BundleDigest {
  static func of(_ bytes: [UInt8]) -> ContentDigest { SHA256.digest(of: bytes) }
}

@Suite("Nothing is sealed unless policy, submitter, model and announcement hold")
struct TrustTests {
  private func refusal(_ desk: Desk) -> ClientError? { clientError { _ = try desk.submit(["the report"]) } }

  @Test("an older policy is a rollback, a second one of the same version a fork, a stranger's none at all")
  func policies() throws {
    let desk = try Desk()
    let first = desk.policy
    let second = try desk.policy(2)
    try desk.install(second)
    _ = try desk.submit(["one"])
    try desk.install(first)
    #expect(refusal(desk)?.reason.hasSuffix("version 2 was accepted before: it was rolled back") == true)
    try desk.install(try desk.policy(2) { $0.maximumItems = 7 })
    #expect(refusal(desk)?.reason.hasPrefix("there are two policies of version 2: ") == true)
    let stranger = try Signed<PolicyClaims>.sign(second.claims, with: try SigningKey.generate())
    try desk.install(stranger)
    #expect(refusal(desk)?.kind == .rejected)
    try desk.install(try desk.policy(3) { $0.notAfterMs = Desk.nowMs })
    #expect(refusal(desk)?.reason.hasPrefix("policy version 3 ended on ") == true)
    #expect(refusal(desk)?.mender == .securityOfficer)
    #expect(try desk.ledger.entries().count == 1)
  }

  @Test("a policy from a file is refused as that file, not as the store's, and the officer is told what to do")
  func policyFiles() throws {
    let desk = try Desk()
    let book = try TrustStore(home: desk.home).policies(desk.profile)
    let first = desk.policy
    _ = try book.accept(try desk.policy(2).bytes, from: .file("new.cose"), nowMs: Desk.nowMs)
    let older = clientError { _ = try book.accept(first.bytes, from: .file("old.cose"), nowMs: Desk.nowMs) }
    #expect(older?.reason.hasPrefix("old.cose is version 1, and version 2 was accepted before: an older one") == true)
    #expect(older?.remedy.contains("above 2") == true && older?.mender == .securityOfficer)
    let stranger = try Signed<PolicyClaims>.sign(first.claims, with: try SigningKey.generate())
    let foreign = clientError { _ = try book.accept(stranger.bytes, from: .file("x.cose"), nowMs: Desk.nowMs) }
    #expect(foreign?.reason.hasPrefix("x.cose does not verify") == true && foreign?.mender == .securityOfficer)
  }

  @Test("what became of the key that a job was sealed to is found from policy and store, with what to do")
  func sealedEpochs() throws {
    let desk = try Desk()
    let record = try desk.submit(["the report"]).record
    let epoch = SealedEpoch(of: record)
    func trouble(_ policy: PolicyClaims? = nil, atMs now: UInt64 = Desk.nowMs) throws -> SealedEpoch.Trouble? {
      try epoch.trouble(in: desk.store, policy: policy ?? desk.policy.claims, nowMs: now)
    }
    #expect(try trouble() == nil)
    #expect(try trouble(try desk.policy(2) { $0.minimumEpoch = 2 }.claims) == .revoked(minimum: 2))
    #expect(try trouble(atMs: record.notAfterMs + 1) == .lapsed(atMs: record.notAfterMs))
    let key = try ObjectKey(StoreLayout.announcement(record.epoch))
    let announcement = try desk.store.getSmall(key)
    let claims = try UnverifiedStatement<AnnouncementClaims>(announcement).signedByItsOwnKey().signed.claims
    let end = claims.notAfterMs + desk.policy.claims.epochGraceMs
    #expect(try trouble(atMs: end) == nil)
    #expect(try trouble(atMs: end + 1) == .ended(atMs: end))
    try desk.store.delete(key)
    #expect(try trouble() == .gone)
    _ = try desk.store.put(try ObjectKey(StoreLayout.retired(record.epoch)), announcement, .always)
    #expect(try trouble() == .retired)
    #expect(epoch.explanation(.retired).reason.contains("epoch 1"))
    #expect(epoch.explanation(.retired).remedy.contains("submit the documents again"))
    // A retired one is no choice for the next job, and none is accepted in its place that is older.
    #expect(refusal(desk)?.kind == .retryable)
  }

  @Test("a submitter, an operation or a model that the policy does not list is refused, and who can mend it is said")
  func permissions() throws {
    let desk = try Desk()
    try desk.install(try desk.policy(2) { $0.submitters = [] })
    let key = Hex.encode(desk.submitterKey.verifyingKey.bytes)
    #expect(refusal(desk)?.reason == "policy version 2 does not list your submitter key \(key)")
    #expect(refusal(desk)?.mender == .securityOfficer)
    func listed(_ operations: [String], _ models: [ContentDigest]) -> [PolicySubmitter] {
      [PolicySubmitter(name: "a", key: desk.submitterKey.verifyingKey, operations: operations, models: models)]
    }
    try desk.install(try desk.policy(3) { $0.submitters = listed([], [desk.model]) })
    #expect(refusal(desk)?.reason == "policy version 3 does not allow a the operation embed")
    try desk.install(try desk.policy(4) { $0.submitters = listed(["embed"], []) })
    #expect(refusal(desk)?.reason == "policy version 4 allows a no model")
    try desk.install(try desk.policy(5) { $0.publishers = [] })
    #expect(refusal(desk)?.kind == .rejected)
  }

  @Test("a model's clear file that was changed in the store is refused")
  func clearFiles() throws {
    let desk = try Desk()
    let key = try ObjectKey(StoreLayout.model(desk.model, "config.json"))
    var bytes = try desk.store.getSmall(key)
    bytes.append(0x20)
    _ = try desk.store.put(key, bytes, .always)
    #expect(refusal(desk)?.reason == "config.json of model tiny was changed in the store")
  }

  @Test(
    "each fault of an announcement is refused with its own reason, and nothing is uploaded",
    arguments: ["key", "validity", "expired", "epoch", "number", "image", "root"])
  func announcements(_ fault: String) throws {
    let desk = try Desk()
    let wanted: String
    switch fault {
    case "key":
      try desk.announce(try desk.enclave.announcement(desk.policy, atMs: Desk.nowMs) { $0.kmsKey = "arn:other" })
      wanted = "its KMS key is not the policy's epoch key"
    case "validity":
      try desk.announce(try desk.enclave.announcement(desk.policy, atMs: Desk.nowMs) { $0.notAfterMs += 4_000_000 })
      wanted = "valid for longer than the policy allows"
    case "expired":
      try desk.announce(try desk.enclave.announcement(desk.policy, atMs: Desk.nowMs - 3_600_001))
      wanted = "expired"
    case "epoch":
      try desk.install(try desk.policy(2) { $0.minimumEpoch = 2 })
      wanted = "from 2 on"
    case "number":
      try desk.announce(try desk.enclave.announcement(desk.policy, atMs: Desk.nowMs), epoch: 7)
      try desk.store.delete(try ObjectKey(StoreLayout.announcement(1)))
      wanted = "of epoch 1, stored as 7"
    case "image":
      let other = MeasurementTuple(
        name: "other", pcr0: [UInt8](repeating: 1, count: 48), pcr1: TestEnclave.image.pcr1,
        pcr2: TestEnclave.image.pcr2,
        pcr8: nil)
      try desk.install(try desk.policy(2) { $0.measurements = [other] })
      wanted = "measurements"
    default:
      let stranger = try TestEnclave(nowMs: Desk.nowMs)
      try desk.announce(try stranger.announcement(desk.policy, atMs: Desk.nowMs))
      wanted = "chain"
    }
    let error = refusal(desk)
    #expect(error?.kind == .rejected)
    #expect(error?.reason.contains(wanted) == true, "\(error?.reason ?? "accepted")")
    #expect(try desk.ledger.entries().isEmpty)
    #expect(try desk.store.list(prefix: StoreLayout.inbox, after: nil, limit: 1).entries.isEmpty)
  }

  @Test("an announcement older than the newest accepted one is refused from then on")
  func staleAnnouncement() throws {
    let desk = try Desk()
    try desk.announce(try desk.enclave.announcement(desk.policy, epoch: 2, atMs: Desk.nowMs + 1000), epoch: 2)
    #expect(try desk.submit(["one"]).record.epoch == 2)
    try desk.store.delete(try ObjectKey(StoreLayout.announcement(2)))
    #expect(refusal(desk)?.reason.contains("older than the newest that was accepted before") == true)
  }

  @Test("a profile is added once and never changed; a production profile takes the AWS root and no other")
  func profiles() throws {
    let desk = try Desk()
    let trust = TrustStore(home: desk.home)
    let same = try trust.add(
      name: "dev", evidenceClass: .development, rootPEM: desk.enclave.rootPEM, policyKey: desk.policyKey.verifyingKey)
    #expect(same.anchor.rootSHA256 == desk.profile.anchor.rootSHA256)
    #expect(
      clientError {
        try trust.add(
          name: "dev", evidenceClass: .development, rootPEM: desk.enclave.rootPEM,
          policyKey: try SigningKey.generate().verifyingKey)
      }?.reason == "there is another trust profile called dev")
    #expect(
      clientError {
        try trust.add(
          name: "prod", evidenceClass: .production, rootPEM: desk.enclave.rootPEM,
          policyKey: desk.policyKey.verifyingKey)
      }?.kind == .usage)
    let production = try trust.add(
      name: "prod", evidenceClass: .production, rootPEM: nil, policyKey: desk.policyKey.verifyingKey)
    #expect(production.evidenceClass == .production)
    #expect(try trust.names() == ["dev", "prod"])
    #expect(clientError { _ = try trust.load("../dev") }?.kind == .usage)
    #expect(clientError { _ = try trust.load("absent") }?.kind == .notFound)
  }

  @Test func everyRefusalOfAttestationNamesWhoCanMendItAndHow() {
    for reason in AttestationRefusal.Reason.allCases {
      let (who, remedy) = Mender.of(AttestationRefusal(reason, "place", "detail"))
      #expect(!who.rawValue.isEmpty && remedy.count > 10, "\(reason)")
    }
  }
}
