import ArgumentParser
import Attestation
import Foundation
import ObjectStore
import SealedCrypto
import Testing
import Wire

@testable import Client
@testable import JobRunner

@Suite("What host, store and surroundings cannot choose for the client")
struct GuardTests {
  @Test("an operation that the model does not compute, and a prompt that it does not have, are refused before sealing")
  func operations() throws {
    let desk = try Desk()
    let path = try desk.file("one.jsonl", #"{"id":"a","text":"x"}"# + "\n")
    func refusal(_ change: (inout SubmissionRequest) -> Void) -> ClientError? {
      var request = SubmissionRequest()
      change(&request)
      return clientError { _ = try desk.submitter.prepare(JSONLFile(path: path), request, nowMs: Desk.nowMs) }
    }
    #expect(refusal { _ in } == nil)
    #expect(refusal { $0.operation = .classify }?.kind == .rejected, "the policy allows embed alone")
    #expect(refusal { $0.prompt = "query" }?.reason.contains("has no prompt query") == true)
  }

  @Test("a receipt under an older policy than the job was sealed under is refused")
  func rolledBackPolicy() throws {
    let desk = try Desk()
    let old = desk.policy
    _ = try desk.submit(["before"])
    try desk.install(try desk.policy(2))
    let entry = try desk.submit(["the report"])
    #expect(entry.record.policyVersion == 2)
    #expect(try desk.ledger.entry(entry.record.job)?.record.policyVersion == 2)
    let bundle = try desk.store.getSmall(try ObjectKey(StoreLayout.bundle(entry.record.job, queue: "default")))
    try desk.commit(entry.record.job, try desk.enclave.run(bundle, old, atMs: Desk.nowMs + 1000))
    let examined = try desk.fetcher.examine(entry.record.job, identities: [], nowMs: Desk.nowMs)
    #expect(examined.verdict.failure?.question == .policy)
    #expect(clientError { _ = try examined.verified() }?.kind == .rejected)
    let fromFile = try desk.fetcher.examine(receipt: examined.bytes, job: nil)
    #expect(fromFile.verdict.failure?.question == .policy)
    try desk.finish(entry)
    #expect(try desk.examine(entry).verdict.isVerified)
  }

  @Test("a job is judged under the profile that it was sealed under and no other")
  func otherProfile() throws {
    let desk = try Desk()
    let entry = try desk.submit(["the report"])
    try desk.finish(entry)
    let other = try TrustStore(home: desk.home).add(
      name: "other", evidenceClass: .development, rootPEM: desk.enclave.rootPEM, policyKey: desk.policyKey.verifyingKey)
    _ = try TrustStore(home: desk.home).policies(other).accept(desk.policy.bytes, nowMs: Desk.nowMs)
    let fetcher = ResultsFetcher(home: desk.home, profile: other, store: desk.store)
    let error = clientError { _ = try fetcher.examine(entry.record.job, identities: [], nowMs: Desk.nowMs) }
    #expect(error?.kind == .rejected)
    #expect(error?.remedy == "pass --profile dev")
    let receipt = try desk.examine(entry).bytes
    #expect(clientError { _ = try fetcher.examine(receipt: receipt, job: nil) }?.kind == .rejected)
  }

  @Test("the sealed bundle stays until a receipt verified, whatever the store says")
  func copyKept() throws {
    let desk = try Desk()
    let entry = try desk.submit(["the report"])
    #expect(PrivateFiles.exists(entry.bundlePath))
    let finished = try desk.finish(entry)
    var spoilt = finished
    spoilt.files[.output] = [1]
    try desk.commit(entry.record.job, spoilt)
    #expect(try !desk.examine(entry).verdict.isVerified)
    #expect(PrivateFiles.exists(entry.bundlePath))
    try desk.commit(entry.record.job, finished)
    #expect(try desk.examine(entry).verdict.isVerified)
    #expect(!PrivateFiles.exists(entry.bundlePath))
  }

  @Test("something else under the bundle's name is no upload")
  func otherObject() throws {
    let desk = try Desk()
    let path = try desk.file("in.jsonl", #"{"id":"a","text":"one"}"#)
    let sealed = try desk.submitter.seal(
      try desk.submitter.prepare(JSONLFile(path: path), SubmissionRequest(), nowMs: Desk.nowMs), nowMs: Desk.nowMs)
    _ = try desk.store.put(try ObjectKey(StoreLayout.bundle(sealed.record.job, queue: "default")), [1, 2], .always)
    let error = clientError { try desk.submitter.upload(sealed, nowMs: Desk.nowMs) }
    #expect(error?.kind == .invalid)
    #expect(try desk.ledger.entry(sealed.record.job)?.uploadedMs == nil)
    #expect(PrivateFiles.exists(sealed.bundlePath))
  }

  @Test("a policy or a sealing key that ended while the input was read is not used")
  func endedMeanwhile() throws {
    let desk = try Desk()
    let path = try desk.file("in.jsonl", #"{"id":"a","text":"one"}"#)
    let prepared = try desk.submitter.prepare(JSONLFile(path: path), SubmissionRequest(), nowMs: Desk.nowMs)
    for endMs in [prepared.announcement.claims.notAfterMs, prepared.policy.claims.notAfterMs] {
      #expect(clientError { _ = try desk.submitter.seal(prepared, nowMs: endMs) }?.kind == .retryable)
    }
    #expect(try desk.ledger.entries().isEmpty)
    _ = try desk.submitter.seal(prepared, nowMs: prepared.announcement.claims.notAfterMs - 1)
  }

  @Test("an idempotency key makes one job, however many submit at once, and belongs to its profile and store")
  func once() throws {
    let desk = try Desk()
    let path = try desk.file("in.jsonl", #"{"id":"a","text":"one"}"#)
    var request = SubmissionRequest()
    request.idempotencyKey = "night-17"
    // It is read only, as another process's copy would be.
    nonisolated(unsafe) let prepared = try desk.submitter.prepare(JSONLFile(path: path), request, nowMs: Desk.nowMs)
    let submitter = desk.submitter
    DispatchQueue.concurrentPerform(iterations: 6) { _ in
      _ = try? submitter.seal(prepared, nowMs: Desk.nowMs)
    }
    #expect(try desk.ledger.entries().count == 1)
    let location = desk.store.location
    #expect(try desk.ledger.entry(idempotencyKey: "night-17", profile: "dev", store: location) != nil)
    #expect(try desk.ledger.entry(idempotencyKey: "night-18", profile: "dev", store: location) == nil)
    for (profile, store) in [("other", location), ("dev", "s3://elsewhere")] {
      let error = clientError {
        _ = try desk.ledger.entry(idempotencyKey: "night-17", profile: profile, store: store)
      }
      #expect(error?.kind == .usage)
    }
  }

  @Test("a store that hides a model does not choose which one a name means")
  func hiddenModel() throws {
    let desk = try Desk()
    let hidden = BundleDigest.of([7])
    try desk.install(
      try desk.policy(2) {
        $0.submitters = [
          PolicySubmitter(
            name: "a", key: desk.submitterKey.verifyingKey, operations: ["embed"], models: [desk.model, hidden])
        ]
      })
    let error = clientError { _ = try desk.submit(["one"]) { $0.model = "tiny" } }
    #expect(error?.kind == .rejected)
    #expect(error?.reason.contains(hidden.hex.prefix(16)) == true)
    #expect(try desk.submit(["one"]) { $0.model = desk.model.hex }.record.model == desk.model)
  }

  @Test("a project's file chooses model and store, but neither the profile nor endpoints and credentials")
  func projectFile() throws {
    let desk = try Desk()
    func resolve(_ text: String) throws -> ClientSettings {
      _ = try desk.file("ephemeral.yaml", text)
      return try ClientSettings.resolve(
        flags: ClientSettings(), environment: [:], projectDirectory: desk.folder, home: desk.home)
    }
    #expect(
      try resolve("store: s3://b/p?region=eu-west-1\nmodel: m\n")
        == ClientSettings(store: "s3://b/p?region=eu-west-1", model: "m"))
    for text in [
      "profile: mine\n", "store: s3://b?endpoint=http://evil:1\n", "store: s3://b?region=x&profile=admin\n",
      "store: s3://b?region=x&endpoint\n", "store: s3://b??endpoint=http://evil:1\n",
    ] {
      #expect(clientError { _ = try resolve(text) }?.kind == .usage, "\(text)")
    }
  }

  @Test("of policies that are accepted at once the newest stays the newest")
  func concurrentPolicies() throws {
    let desk = try Desk()
    let book = try TrustStore(home: desk.home).policies(desk.profile)
    let policies = try (2...9).map { try desk.policy(UInt64($0)) }
    DispatchQueue.concurrentPerform(iterations: policies.count) { index in
      guard let accepted = try? book.accept(policies[index].bytes, nowMs: Desk.nowMs) else { return }
      let newest = (try? book.newest())?.claims.version ?? 0
      #expect(newest >= accepted.claims.version)
    }
    #expect(try book.newest()?.claims.version == 9)
  }

  @Test("`attest verify --profile` says nothing without an accepted policy, and nothing good of a tampered statement")
  func attestVerify() throws {
    let desk = try Desk()
    let announcement = try desk.enclave.announcement(desk.policy, atMs: Desk.nowMs)
    func verify(_ bytes: [UInt8]) throws {
      let file = try desk.file("announcement.cose", bytes)
      try AttestCommand.Verify.parse([file, "--profile", "dev", "--home", desk.home.path, "--json"]).run()
    }
    #expect(clientError { try verify(announcement) }?.kind == .rejected)
    _ = try desk.submit(["one"])
    #expect(throws: Never.self) { try verify(announcement) }
    // The public key of the sealing key stands in the payload, before the document.
    let key = desk.enclave.sealing.recipient.publicKey
    let place = try #require(announcement.indices.first { announcement[$0...].starts(with: key) })
    var tampered = announcement
    tampered[place + 600] ^= 1
    #expect(throws: AttestationRefusal.self) { try verify(tampered) }
  }

  @Test("the folders that a job may be left in are the daemon's queues")
  func queues() {
    for name in ["nightly", "a", "9-b_c", String(repeating: "a", count: 64)] { #expect(QueueFolder.isLegal(name)) }
    for name in ["", "cancel", "Nightly", "-a", "_a", "a/b", "a.b", String(repeating: "a", count: 65)] {
      #expect(!QueueFolder.isLegal(name), "\(name)")
    }
  }
}
