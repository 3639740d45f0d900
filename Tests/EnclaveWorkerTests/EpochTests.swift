import Crypto
import Testing

@testable import EnclaveWorker
@testable import SealedCrypto
@testable import Wire

/// The life of sealing keys in a worker: dropped, ended, gone with a policy.
@Suite(.serialized)
struct EpochTests {
  static let input = TestWorld.lines(2)

  private func epochs(of world: TestWorld) throws -> [UInt64] {
    let reply = try TestHost(worker: world.worker).ask(.status(nonce: []))
    return try UnverifiedStatement<StatusClaims>(reply.statement ?? []).signedByItsOwnKey().signed.claims.epochs
  }

  @Test("A dropped epoch opens nothing any more, decides nothing, and can be loaded again")
  func dropped() throws {
    let world = try TestWorld()
    try world.start()
    let bundle = try world.bundle(try world.manifest(for: Self.input, items: 2), Self.input)
    let files = try #require(world.epochFiles)
    let host = world.host(bundle)
    #expect(try host.ask(.createEpoch(2)).code == .ok)
    #expect(try host.ask(.dropEpoch(1)).code == .ok)
    #expect(try epochs(of: world) == [2])
    let seen = try host.runJob()
    #expect(seen.code == .retry && seen.receipt == nil, "a host cannot have a job refused by taking its key away")
    #expect(seen.progress.isEmpty, "and sees that the bundle did not open")
    #expect(try host.ask(.dropEpoch(77)).code == .ok, "one that is not there is no error")
    #expect(try host.ask(.loadEpoch(seed: files.seed, announcement: files.announcement)).code == .ok)
    #expect(try host.runJob().code == .ok)
  }

  @Test("A policy that arrives while a job runs leaves that job to the policy it began with")
  func policyDuringJob() throws {
    let world = try TestWorld()
    try world.start()
    let input = TestWorld.lines(200)
    let bundle = try world.bundle(try world.manifest(for: input, items: 200), input)
    var host = world.host(bundle)
    var configured: OutwardCode?
    host.onProgress = { done in
      guard done == 64 else { return }
      // The newer policy allows nobody anything, and no epoch so far.
      world.policyClaims.version = 6
      world.policyClaims.submitters = []
      world.policyClaims.minimumEpoch = 2
      configured = try? world.configure()
    }
    let seen = try host.runJob()
    #expect(configured == .ok)
    #expect(seen.code == .ok)
    #expect(try seen.claims().policyVersion == 5)
    #expect(try epochs(of: world).isEmpty)
    #expect(try world.host(bundle).runJob().code == .retry)
  }

  @Test("Each policy that cannot take over leaves the one in force, and jobs go on")
  func refusedPolicies() throws {
    let world = try TestWorld()
    try world.start()
    let bundle = try world.bundle(try world.manifest(for: Self.input, items: 2), Self.input)
    let good = world.policyClaims
    func refuse(_ what: String, signedBy key: SigningKey? = nil, _ change: (inout PolicyClaims) -> Void) throws {
      world.policyClaims = good
      change(&world.policyClaims)
      #expect(try world.configure(signedBy: key) == .refused, "\(what)")
      #expect(try world.host(bundle).runJob().claims().policyVersion == 5, "\(what)")
    }
    try refuse("rollback") { $0.version = 4 }
    try refuse("fork") { $0.maximumItems = 1 }
    try refuse("ended") { ($0.version, $0.notAfterMs) = (6, TestWorld.now - 1) }
    try refuse("another key", signedBy: .generate()) { $0.version = 6 }
    let unsigned = WorkerConfiguration(
      policy: CBOR.object(good.fields).encoded(), relay: .unix(world.kms.socket), accessKeyID: "AKID",
      secretAccessKey: [1], sessionToken: nil)
    #expect(try TestHost(worker: world.worker).ask(.configure(unsigned)).code == .refused)
    #expect(try world.host(bundle).runJob().code == .ok)
  }
}

/// PCR16 (protocol §9).
@Suite(.serialized)
struct PolicyPinTests {
  @Test("A pinning image shows the exact policy in a locked PCR16 before KMS is asked, and takes no other in this boot")
  func pinned() throws {
    let world = try TestWorld(pinsPolicy: true)
    #expect(try world.configure() == .ok)
    let policy = try Signed.sign(world.policyClaims, with: world.officer)
    let zeros = [UInt8](repeating: 0, count: 48)
    let expected = Array(SHA384.hash(data: zeros + Array(SHA256.hash(data: policy.bytes))))
    #expect(world.module.register(16).isLocked && world.module.register(16).value == expected)
    #expect(world.kms.seen.isEmpty)
    #expect(try world.configure() == .ok, "the same policy again renews relay and credentials")
    world.policyClaims.version = 6
    #expect(try world.configure() == .refused, "even a newer one")
    #expect(world.module.register(16).value == expected)
  }

  @Test("What does not verify is never pinned, and an image that does not pin leaves the register alone")
  func notPinned() throws {
    let world = try TestWorld(pinsPolicy: true)
    #expect(try world.configure(signedBy: .generate()) == .refused)
    #expect(!world.module.register(16).isLocked && world.module.register(16).value.allSatisfy { $0 == 0 })
    let plain = try TestWorld()
    #expect(try plain.configure() == .ok)
    #expect(!plain.module.register(16).isLocked)
    plain.policyClaims.version = 6
    #expect(try plain.configure() == .ok)
  }

  @Test("An interrupted pinning is completed by the same policy, and by no other")
  func interrupted() throws {
    let module = ScriptedModule()
    let pin = PolicyPin(module)
    let (policy, other) = (SHA256.digest(of: [1]), SHA256.digest(of: [2]))
    _ = try module.extend(register: 16, with: policy.bytes)
    #expect(throws: WorkerFault.refused("this boot is pinned to another policy")) { try pin.pin(other) }
    #expect(!module.register(16).isLocked)
    try pin.pin(policy)
    #expect(module.register(16).isLocked)
    module.fail(with: "InternalError")
    #expect(throws: SecurityModuleError.self) { try pin.pin(policy) }
  }
}
