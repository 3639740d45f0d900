import Client
import Crypto
import Foundation
import ObjectStore
import SealedCrypto
import TestSupport
import Testing
import Wire

extension HostileHost {
  /// The host hands over an older policy, a fork, or one of its own; worker and client each refuse for themselves.
  @Suite("Policies")
  struct Policies {
    let stage: Stage
    init() throws { stage = try Stage.raise() }

    private func signed(
      by key: SigningKey? = nil, _ change: (inout PolicyClaims) -> Void = { _ in }
    ) throws -> [UInt8] {
      var claims = stage.policy.claims
      change(&claims)
      return try Signed<PolicyClaims>.sign(claims, with: key ?? stage.policyKey).bytes
    }

    /// Policies that neither side may take once version 2 is known.
    private func falsePolicies() throws -> [(String, [UInt8])] {
      let own = try SigningKey.generate()
      let bytes = stage.policy.bytes
      return [
        ("signed by the host", try signed(by: own) { $0.version = 3 }),
        ("signed by a submitter", try signed(by: stage.alice.key) { $0.version = 3 }),
        ("rolled back", stage.olderPolicy.bytes),
        ("a fork of the version", try signed { $0.maximumItems = 999 }),
        ("ended", try signed { claims in (claims.version, claims.notAfterMs) = (3, Stage.nowMs - 1000) }),
        ("cut", Array(bytes.dropLast())), ("extended", bytes + [0]), ("empty", []),
        ("a model manifest", stage.models[0].bytes),
        ("an announcement", try stage.store.get(StoreLayout.announcement(1))),
      ]
    }

    @Test("The worker refuses every false policy, and goes on under the one it has")
    func worker() throws {
      for (what, bytes) in try falsePolicies() {
        #expect(try stage.host.configure(bytes) == .refused, "\(what)")
      }
      let status = try stage.host.status()
      #expect(status.policyVersion == 2 && status.policyDigest == stage.policy.digest)
      #expect(try stage.host.configure(stage.policy.bytes) == .ok, "the same again is no change")
      try stage.proveAlive()
    }

    @Test("A bit flipped at any offset of a policy, and every beginning of it, is refused by the worker")
    func everyOffset() throws {
      let bytes = stage.policy.bytes
      for offset in bytes.indices {
        #expect(try stage.host.configure(bytes.flipped(at: offset)) == .refused, "offset \(offset)")
      }
      for count in stride(from: 0, to: bytes.count, by: 7) {
        #expect(try stage.host.configure(Array(bytes[..<count])) == .refused, "\(count) bytes")
      }
      #expect(try stage.host.status().policyDigest == stage.policy.digest)
    }

    @Test("The client refuses every false policy of the store before it looks at anything else, and seals nothing")
    func client() throws {
      defer { try? stage.store.put(StoreLayout.policy, stage.policy.bytes) }
      _ = try stage.alice.announcement(in: stage.store)
      let before = try stage.inboxKeys()
      var cases = try falsePolicies()
      let bytes = stage.policy.bytes
      cases += bytes.indices.map { ("a bit flipped at \($0)", bytes.flipped(at: $0)) }
      for (what, bytes) in cases {
        try stage.store.put(StoreLayout.policy, bytes)
        expectClientRefuses(what) {
          _ = try stage.alice.submit(["the bridge"], model: stage.models[0].digest.hex, to: stage.store)
        }
      }
      #expect(try stage.inboxKeys() == before, "nothing was uploaded")
      try stage.store.put(StoreLayout.policy, bytes)
      try stage.proveAlive()
    }

    @Test("A worker that was restarted and given the older policy decides nothing about jobs that know the newer one")
    func restartedWorker() throws {
      let (process, host) = try stage.secondWorker("restarted.sock")
      defer { process.stop() }
      #expect(try host.configure(stage.olderPolicy.bytes) == .ok, "it remembers its own boot only")
      let load = Activity.loadEpoch(
        seed: try stage.store.get(StoreLayout.seed(1)), announcement: try stage.store.get(StoreLayout.announcement(1)))
      #expect(try host.perform(load).code == .ok)
      let job = try stage.alice.submit(["the bridge"], model: stage.models[0].digest.hex, to: stage.store)
      let ended = try host.run(job.bundle, objects: stage.object)
      #expect(ended.code == .retry && ended.receipt == nil, "a refusal here would be the host's to order")

      #expect(try host.configure(stage.policy.bytes) == .ok)
      #expect(try host.configure(stage.olderPolicy.bytes) == .refused, "and back it does not go")
      #expect(try host.run(job.bundle, objects: stage.object).code == .ok)
    }

    @Test(
      "A job whose manifest names another sealing key, another operation, a passed end or a foreign model is refused")
    func manifests() throws {
      let other = try HybridIdentity.generate()
      let changes: [(String, (inout JobManifestClaims) -> Void)] = [
        ("another sealing key", { $0.sealingKey = SHA256.digest(of: other.recipient.publicKey) }),
        ("a passed end", { $0.notAfterMs = Stage.nowMs - 1000 }), ("another operation", { $0.operation = "generate" }),
        ("another precision", { $0.precision = "int4" }),
        ("a foreign model", { $0.model = SHA256.digest(of: [1]) }),
      ]
      for (what, change) in changes {
        let bundle = try stage.forgedBundle(signedBy: stage.alice.key, change: change)
        let ended = try stage.run(bundle)
        #expect(ended.code == .refused, "\(what)")
        #expect(try ended.claims.outcome == .refused, "\(what)")
      }
      let newer = try stage.run(try stage.forgedBundle(signedBy: stage.alice.key) { $0.policyVersion = 3 })
      #expect(newer.code == .retry && newer.receipt == nil)
      let wrongInput: [(String, (inout JobManifestClaims) -> Void)] = [
        ("another input", { $0.inputSHA256 = SHA256.digest(of: [1]) }), ("more items", { $0.inputItems = 2 }),
        ("fewer items", { $0.inputItems = 0 }),
      ]
      for (what, change) in wrongInput {
        let ended = try stage.run(try stage.forgedBundle(signedBy: stage.alice.key, change: change))
        #expect(ended.code == .failed, "\(what)")
      }
      #expect(try stage.run(try stage.forgedBundle(signedBy: stage.alice.key)).code == .ok, "unchanged it is computed")
    }
  }
}

extension Stage {
  /// What lies in the inbox.
  func inboxKeys() throws -> [String] {
    var keys: [String] = []
    try store.forEach(prefix: StoreLayout.inbox) { info in
      keys.append(info.key.text)
      return true
    }
    return keys
  }
}
