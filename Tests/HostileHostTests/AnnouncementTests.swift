import Attestation
import Client
import Crypto
import Foundation
import ObjectStore
import SealedCrypto
import TestSupport
import Testing
import Wire

extension HostileHost {
  /// The host announces a key of its own, or an old one, by every way that it has; a client seals to none of them.
  @Suite("Announcements")
  struct Announcements {
    let stage: Stage
    init() throws { stage = try Stage.raise() }

    private func check(newestAcceptedMs: UInt64 = 0) -> AnnouncementCheck {
      AnnouncementCheck(
        verifier: stage.alice.profile.verifier, policy: stage.policy, newestAcceptedMs: newestAcceptedMs)
    }

    /// A store with the policy and these epochs, and a client that has seen nothing yet.
    private func world(_ epochs: [UInt64: [UInt8]]) throws -> (DirectoryStore, Analyst) {
      let name = "world-\(UUID().uuidString.prefix(8))"
      let store = try DirectoryStore(path: try stage.theatre.make(name), create: true)
      try store.put(StoreLayout.policy, stage.policy.bytes)
      for (epoch, bytes) in epochs { try store.put(StoreLayout.announcement(epoch), bytes) }
      return (store, try Analyst(name, on: stage.theatre, policyKey: stage.policyKey.verifyingKey))
    }

    private func announcement() throws -> [UInt8] { try stage.store.get(StoreLayout.announcement(1)) }

    private func claims(of statement: [UInt8]) throws -> AnnouncementClaims {
      try UnverifiedStatement<AnnouncementClaims>(statement).signedByItsOwnKey().signed.claims
    }

    @Test("A bit flipped at any offset of an announcement makes it unacceptable")
    func everyOffset() throws {
      let bytes = try announcement()
      let check = check()
      _ = try check.accept(bytes, nowMs: Stage.nowMs)
      for offset in bytes.indices {
        #expect(throws: (any Error).self, "offset \(offset)") {
          _ = try check.accept(bytes.flipped(at: offset), nowMs: Stage.nowMs)
        }
      }
    }

    @Test("Every beginning of an announcement, and one with a byte behind it, is unacceptable")
    func truncation() throws {
      let bytes = try announcement()
      for count in bytes.indices {
        #expect(throws: (any Error).self) { _ = try check().accept(Array(bytes[..<count]), nowMs: Stage.nowMs) }
      }
      #expect(throws: (any Error).self) { _ = try check().accept(bytes + [0], nowMs: Stage.nowMs) }
    }

    @Test("A client of the whole library seals nothing when the announcement in the store was altered")
    func inTheStore() throws {
      let bytes = try announcement()
      for offset in stride(from: 0, to: bytes.count, by: 211) {
        let (store, analyst) = try world([1: bytes.flipped(at: offset)])
        expectClientRefuses("offset \(offset)") { _ = try analyst.announcement(in: store) }
      }
      let (store, analyst) = try world([1: bytes])
      #expect(try analyst.announcement(in: store).claims.epoch == 1)
    }

    @Test("A key of the host's own is refused with every document that the worker or the hypervisor gives it")
    func ownKey() throws {
      let boot = try SigningKey.generate()
      let sealing = try HybridIdentity.generate()
      var forged = try claims(of: try announcement())
      forged.publicKey = sealing.recipient.publicKey
      forged.key = boot.verifyingKey
      let payload = try Signed<AnnouncementClaims>.sign(forged, with: boot) { _ in [] }.payload
      let binding = statementBinding(.announcement, payload: payload)
      for (origin, document) in try stage.documentsOfTheHost(binding: binding) {
        let bytes = try Forgery.statement(forged, signedBy: boot, document: document)
        #expect(throws: (any Error).self, "with \(origin)") { _ = try check().accept(bytes, nowMs: Stage.nowMs) }
        let (store, analyst) = try world([1: bytes, 2: bytes])
        expectClientRefuses("with \(origin)") { _ = try analyst.announcement(in: store) }
      }
    }

    @Test("The host's own enclave, attested by the same hypervisor, is refused for its measurements")
    func ownEnclave() throws {
      let boot = try SigningKey.generate()
      var forged = try claims(of: try announcement())
      forged.publicKey = try HybridIdentity.generate().recipient.publicKey
      forged.key = boot.verifyingKey
      let rogue = RogueEnclave(theatre: stage.theatre)
      let bytes = try Signed<AnnouncementClaims>.sign(forged, with: boot) { try rogue.document(userData: $0) }.bytes
      do {
        _ = try check().accept(bytes, nowMs: Stage.nowMs)
        Issue.record("accepted")
      } catch let refusal as AttestationRefusal {
        #expect(refusal.reason == .measurements, "everything but the measurements is right: \(refusal)")
      }
    }

    @Test("Statements of other kinds and other signatures do not pass as announcements")
    func otherKinds() throws {
      let (_, ended) = try stage.finishedJob(stage.alice, ["a note"])
      let status = try #require(try stage.host.perform(.status(nonce: [UInt8](repeating: 1, count: 64))).statement)
      for bytes in [status, try #require(ended.receipt), stage.policy.bytes, stage.models[0].bytes] {
        #expect(throws: (any Error).self) { _ = try check().accept(bytes, nowMs: Stage.nowMs) }
      }
      let oneByteMore = Activity.status(nonce: [UInt8](repeating: 1, count: 65)).encoded()
      let channel = try stage.host.connect()
      try channel.send(oneByteMore)
      #expect(try channel.receive() == nil, "a nonce that could hold more than a nonce ends the connection")
    }

    @Test("Making an epoch again makes another key: no key is announced twice, and every seed is a new one")
    func createEpochReplay() throws {
      let replies = try (0..<3).map { _ in try stage.host.perform(.createEpoch(1)) }
      let keys = try replies.map { try claims(of: try #require($0.statement)).publicKey }
      let stored = try claims(of: try announcement()).publicKey
      #expect(Set(keys + [stored]).count == 4)
      #expect(Set(replies.compactMap(\.seed)).count == 3)
    }

    @Test("A worker that opens a stored epoch uses it and announces nothing")
    func loadedEpoch() throws {
      let (process, host) = try stage.secondWorker("loader.sock")
      defer { process.stop() }
      #expect(try host.configure(stage.policy.bytes) == .ok)
      let load = Activity.loadEpoch(seed: try stage.store.get(StoreLayout.seed(1)), announcement: try announcement())
      for _ in 0..<2 {
        let reply = try host.perform(load)
        #expect(reply.code == .ok && reply.statement == nil && reply.seed == nil)
      }
      #expect(try host.status().epochs == [1])
      let made = try claims(of: try #require(try host.perform(.createEpoch(1)).statement))
      #expect(try made.publicKey != claims(of: try announcement()).publicKey, "the loaded key is not announced")
      #expect(made.key == (try host.status().key))
    }

    @Test("A seed of the host's making, or beside another announcement, is not loaded")
    func foreignSeed() throws {
      let (process, host) = try stage.secondWorker("seeds.sock")
      defer { process.stop() }
      #expect(try host.configure(stage.policy.bytes) == .ok)
      let honest = try announcement()
      let seed = try stage.store.get(StoreLayout.seed(1))
      let second = try host.perform(.createEpoch(2))
      let (otherAnnouncement, otherSeed) = (try #require(second.statement), try #require(second.seed))

      // The host's own X-Wing seed under a data key that it can have: one of the model key, as its publisher.
      let identity = try HybridIdentity.generate()
      let boot = try SigningKey.generate()
      var forged = try claims(of: honest)
      forged.publicKey = identity.recipient.publicKey
      forged.key = boot.verifyingKey
      let own = try Forgery.statement(forged, signedBy: boot, document: try Forgery.document(of: honest))
      let arns = try stage.theatre.keyARNs()
      let context = KMSEncryptionContext.epoch(1, policyKey: stage.policyKey.verifyingKey)
      let known = try CloudKMS(stage.theatre, profile: "publisher")
        .generateDataKey(try KMSKeyARN(arns.model), context: context)
      let ownSeeds = try [arns.model, arns.epoch].map { arn in
        let plaintext = EpochSeed(
          seed: identity.seed, publicKey: forged.publicKey, epoch: forged.epoch, notBeforeMs: forged.notBeforeMs,
          notAfterMs: forged.notAfterMs
        ).encoded()
        let recipient = try KMSStanzaRecipient(
          keyARN: arn, ciphertextBlob: known.ciphertextBlob, dataKey: known.plaintext)
        let sink = MemorySink()
        let file = try AgeEncryptor(recipients: [recipient], to: sink)
        try file.write(plaintext)
        try file.finish()
        return sink.bytes
      }
      let cases: [(String, [UInt8], [UInt8])] = [
        ("seed 2 beside announcement 1", otherSeed, honest), ("seed 1 beside announcement 2", seed, otherAnnouncement),
        ("own seed under the model key", ownSeeds[0], own), ("own seed that names the epoch key", ownSeeds[1], own),
        ("stored seed, own announcement", seed, own),
        ("bundle as seed", try stage.forgedBundle(signedBy: boot), honest),
        ("empty", [], honest), ("no announcement", seed, []), ("seed as announcement", seed, seed),
      ]
      for (what, seed, announcement) in cases {
        let code = try host.perform(.loadEpoch(seed: seed, announcement: announcement)).code
        #expect(code == .refused || code == .failed, "\(what): \(code)")
      }
      for offset in stride(from: 0, to: seed.count, by: 41) {
        let reply = try host.perform(.loadEpoch(seed: seed.flipped(at: offset), announcement: honest))
        #expect(reply.code != .ok, "seed with a bit flipped at \(offset)")
      }
      #expect(try host.status().epochs == [2], "only the epoch that it made itself")
    }

    @Test("An announcement that is stored under another number, or older than one that was accepted, is refused")
    func rollback() throws {
      let old = try announcement()
      let newReply = try stage.host.perform(.createEpoch(2))
      let new = try #require(newReply.statement)
      let (store, analyst) = try world([9: old])
      expectClientRefuses("epoch 1 stored as 9") { _ = try analyst.announcement(in: store) }

      let (second, other) = try world([1: old, 2: new])
      #expect(try other.announcement(in: second).claims.epoch == 2)
      try second.delete(try ObjectKey(StoreLayout.announcement(2)))
      expectClientRefuses("the older one again") { _ = try other.announcement(in: second) }
    }

    @Test("A production profile shown development evidence refuses it, announcement and receipt alike")
    func otherClass() throws {
      let theatre = stage.theatre
      let home = ClientHome(path: theatre.path("home-production"))
      try home.create()
      let production = try TrustStore(home: home).add(
        name: "production", evidenceClass: .production, rootPEM: nil, policyKey: stage.policyKey.verifyingKey)
      let check = AnnouncementCheck(verifier: production.verifier, policy: stage.policy, newestAcceptedMs: 0)
      do {
        _ = try check.accept(try announcement(), nowMs: Stage.nowMs)
        Issue.record("accepted")
      } catch let refusal as AttestationRefusal {
        #expect(refusal.reason == .wrongRoot, "\(refusal)")
      }
      let (job, ended) = try stage.finishedJob(stage.alice, ["a note"])
      let verdict = ReceiptCheck(verifier: production.verifier, policies: [stage.policy])
        .verdict(try #require(ended.receipt), expecting: ReceiptExpectation(job: job.name))
      #expect(verdict.failure?.question == .chain)
      expectClientRefuses("a production profile with devcloud's root", [.usage]) {
        _ = try TrustStore(home: home).add(
          name: "widened", evidenceClass: .production, rootPEM: try theatre.cloudFile("attestation-root.pem"),
          policyKey: stage.policyKey.verifyingKey)
      }
    }

    @Test("Zero measurements, a debug-mode enclave's, can stand in no policy and in no key policy")
    func debugMode() throws {
      let zeros = [UInt8](repeating: 0, count: 48)
      for position in 0..<3 {
        let pcrs = (0..<3).map { $0 == position ? zeros : [UInt8](repeating: 1, count: 48) }
        var claims = stage.policy.claims
        claims.version = 3
        claims.measurements = [MeasurementTuple(name: "debug", pcr0: pcrs[0], pcr1: pcrs[1], pcr2: pcrs[2], pcr8: nil)]
        let bytes = try Signed<PolicyClaims>.sign(claims, with: stage.policyKey).bytes
        #expect(try stage.host.configure(bytes) == .refused, "by the worker")
        let (store, analyst) = try world([1: try announcement()])
        try store.put(StoreLayout.policy, bytes)
        expectClientRefuses("by the client") { _ = try analyst.announcement(in: store) }
        let hex = pcrs.map { Hex.encode($0) }
        let allowed = try stage.theatre.run(
          stage.theatre.devcloud,
          ["allow", "--state", stage.theatre.cloudState, "--pcr0", hex[0], "--pcr1", hex[1], "--pcr2", hex[2]])
        #expect(allowed.status != 0, "by devcloud")
      }
      #expect(try stage.host.status().policyVersion == 2)
    }
  }
}
