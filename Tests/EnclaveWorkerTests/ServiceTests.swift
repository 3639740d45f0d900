import Crypto
import Foundation
import Testing

@testable import EnclaveWorker
@testable import SealedCrypto
@testable import Wire

@Suite(.serialized)
struct ServiceTests {
  @Test("Policies only move forward within a boot, and a fork of one version is refused")
  func policies() throws {
    let world = try TestWorld()
    #expect(try world.configure(signedBy: try .generate()) == .refused)
    #expect(try world.configure() == .ok)
    #expect(try world.configure() == .ok, "the same policy again renews relay and credentials")
    world.policyClaims.maximumItems = 9
    #expect(try world.configure() == .refused, "a fork")
    world.policyClaims.version = 4
    #expect(try world.configure() == .refused, "a rollback")
    world.policyClaims.version = 6
    #expect(try world.configure() == .ok)
    world.policyClaims.version = 7
    world.policyClaims.notAfterMs = TestWorld.now - 1
    #expect(try world.configure() == .refused, "ended")
    world.policyClaims.notAfterMs = TestWorld.now + 1_000_000
    world.policyClaims.epochKey = "alias/x"
    #expect(try world.configure() == .refused, "no full ARN")
  }

  @Test("Outside of development a relay is a vsock address", arguments: Image.EvidenceClass.allCases)
  func relay(evidenceClass: Image.EvidenceClass) throws {
    let world = try TestWorld()
    let policy = try Signed.sign(world.policyClaims, with: world.officer).bytes
    func install(_ relay: Endpoint) throws {
      let configuration = WorkerConfiguration(
        policy: policy, relay: relay, accessKeyID: "AKID", secretAccessKey: [1], sessionToken: nil)
      _ = try SettingsStore().install(
        configuration, policyKey: world.officer.verifyingKey, evidenceClass: evidenceClass, atMs: TestWorld.now)
    }
    try install(.vsock(cid: 3, port: 8000))
    if evidenceClass == .development {
      try install(.unix("/run/relay.sock"))
    } else {
      #expect(throws: WorkerFault.self) { try install(.unix("/run/relay.sock")) }
    }
  }

  @Test("The host learns what to do about KMS, by a word of a closed list, and of a job nothing but the code")
  func advice() throws {
    let world = try TestWorld()
    try world.start()
    let files = try #require(world.epochFiles)
    let host = TestHost(worker: world.worker)
    for (name, code, advice) in [
      ("AccessDeniedException", OutwardCode.refused, WorkerAdvice.keyDenied),
      ("ExpiredTokenException", .retry, .credentialsExpired), ("DisabledException", .refused, .keyUnusable),
    ] {
      world.kms.misbehave(.error(name, status: 400))
      for activity in [Activity.createEpoch(2), .loadEpoch(seed: files.seed, announcement: files.announcement)] {
        let reply = try host.ask(activity)
        #expect(reply.code == code && reply.advice == advice)
      }
    }
    world.kms.misbehave(nil)
    let reply = try host.ask(.createEpoch(2))
    #expect(reply.code == .ok && reply.advice == nil)
    let input = TestWorld.lines(1)
    world.kms.misbehave(.error("AccessDeniedException", status: 400))
    let seen = try world.host(try world.bundle(try world.manifest(for: input, items: 1), input)).runJob()
    #expect(seen.code == .retry && seen.receipt == nil)
  }

  @Test("Another configure renews the credentials of settings that a job already holds, however often")
  func renewal() throws {
    let world = try TestWorld()
    let store = SettingsStore()
    let policy = try Signed.sign(world.policyClaims, with: world.officer).bytes
    func install(_ id: String) throws -> Settings {
      try store.install(
        WorkerConfiguration(
          policy: policy, relay: .vsock(cid: 3, port: 1), accessKeyID: id, secretAccessKey: [1], sessionToken: nil),
        policyKey: world.officer.verifyingKey, evidenceClass: .production, atMs: TestWorld.now)
    }
    let held = try install("FIRST")
    for id in ["SECOND", "THIRD"] {
      _ = try install(id)
      #expect(held.access.credentials.newest.accessKeyID == id)
    }
    world.policyClaims.version = 4
    let older = try Signed.sign(world.policyClaims, with: world.officer).bytes
    #expect(throws: WorkerFault.self) {
      try store.install(
        WorkerConfiguration(
          policy: older, relay: .vsock(cid: 3, port: 1), accessKeyID: "X", secretAccessKey: [1], sessionToken: nil),
        policyKey: world.officer.verifyingKey, evidenceClass: .production, atMs: TestWorld.now)
    }
    #expect(held.access.credentials.newest.accessKeyID == "THIRD", "a refused configure changes nothing")
  }

  @Test("A host cannot number an epoch beyond the reach of a later minimum")
  func farEpochs() throws {
    let world = try TestWorld()
    try world.start()
    let host = TestHost(worker: world.worker)
    let last = world.policyClaims.minimumEpoch + Limits.epochsAboveMinimum - 1
    for number in [last + 1, UInt64(Int64.max)] { #expect(try host.ask(.createEpoch(number)).code == .refused) }
    let made = try host.ask(.createEpoch(last))
    #expect(made.code == .ok)
    world.policyClaims.version = 6
    world.policyClaims.minimumEpoch = 0
    #expect(try world.configure() == .ok)
    let load = Activity.loadEpoch(seed: try #require(made.seed), announcement: try #require(made.statement))
    #expect(try host.ask(load).code == .refused)
  }

  @Test("An announcement names the key made in that very step, for no longer than the policy allows, and is attested")
  func announcement() throws {
    let world = try TestWorld()
    try world.start()
    let files = try #require(world.epochFiles)
    let statement = try UnverifiedStatement<AnnouncementClaims>(files.announcement).signedByItsOwnKey()
    let claims = statement.signed.claims
    #expect(claims.notAfterMs - claims.notBeforeMs == world.policyClaims.epochValidityMs)
    #expect(claims.kmsKey == TestWorld.epochKey && claims.epoch == 1 && claims.policyVersion == 5)
    #expect(claims.key == world.enclave.key)
    let bound = world.module.seen.contains { request in
      guard case .attestation(let userData?, nil, nil) = request else { return false }
      return userData == statement.binding
    }
    #expect(bound)
    let made = try ScriptedModule.timestamp(of: statement.document)
    #expect(claims.notBeforeMs <= made)
    let context = try #require(world.kms.seen.first?.body)
    let request = try JSONDecoder().decode(KMSRequest.self, from: Data(context))
    #expect(request.encryptionContext == KMSEncryptionContext.epoch(1, policyKey: world.officer.verifyingKey).pairs)
  }

  @Test("Another boot loads a stored seed and opens bundles to it; it announces nothing")
  func load() throws {
    let world = try TestWorld()
    try world.start()
    let files = try #require(world.epochFiles)
    let input = TestWorld.lines(2)
    let bundle = try world.bundle(try world.manifest(for: input, items: 2), input)
    let host = TestHost(worker: try world.anotherWorker(), objects: world.host(bundle).objects)
    let reply = try host.ask(.loadEpoch(seed: files.seed, announcement: files.announcement))
    #expect(reply.code == .ok && reply.statement == nil && reply.seed == nil)
    #expect(try host.runJob().code == .ok)
    #expect(try world.host(bundle).runJob().code == .ok, "two workers open bundles of one epoch")
  }

  @Test("A seed is refused beside another announcement, when altered, past its end and grace, or below the minimum")
  func refusedSeeds() throws {
    let world = try TestWorld()
    try world.start()
    let files = try #require(world.epochFiles)
    let host = TestHost(worker: world.worker)
    let second = try host.ask(.createEpoch(2))
    let other = try #require(second.statement)
    #expect(try host.ask(.loadEpoch(seed: files.seed, announcement: files.announcement)).code == .ok)
    #expect(try host.ask(.loadEpoch(seed: files.seed, announcement: other)).code != .ok)
    for offset in [10, 100, files.seed.count - 5] {
      var flipped = files.seed
      flipped[offset] ^= 1
      #expect(try host.ask(.loadEpoch(seed: flipped, announcement: files.announcement)).code != .ok)
    }
    // A key of the host's own, announced by the host's own hand.
    let theirs = try HybridIdentity.generate()
    let boot = try SigningKey.generate()
    let claims = AnnouncementClaims(
      epoch: 1, publicKey: theirs.recipient.publicKey, notBeforeMs: 1, notAfterMs: TestWorld.now + 1_000_000,
      kmsKey: TestWorld.epochKey, policyVersion: 5, policyDigest: SHA256.digest(of: []), key: boot.verifyingKey)
    let forged = try Signed.sign(claims, with: boot) { _ in [0] }
    #expect(try host.ask(.loadEpoch(seed: files.seed, announcement: forged.bytes)).code == .refused)
    world.policyClaims.version = 6
    world.policyClaims.minimumEpoch = 2
    #expect(try world.configure() == .ok)
    #expect(try host.ask(.loadEpoch(seed: files.seed, announcement: files.announcement)).code == .refused)
    #expect(try host.ask(.createEpoch(1)).code == .refused)
    world.module.shiftClock(byMs: 3_000_000)
    #expect(try host.ask(.loadEpoch(seed: try #require(second.seed), announcement: other)).code != .ok)
  }

  @Test("Bundles of an epoch past its end and grace are refused, by the module's clock")
  func endedEpoch() throws {
    let world = try TestWorld()
    // Short, so that they end within what the two clocks may differ.
    (world.policyClaims.epochValidityMs, world.policyClaims.epochGraceMs) = (100_000, 60_000)
    try world.start()
    let input = TestWorld.lines(1)
    var claims = try world.manifest(for: input, items: 1)
    claims.notAfterMs += 3_000_000
    let host = world.host(try world.bundle(claims, input))
    #expect(try host.runJob().code == .ok)
    world.module.shiftClock(byMs: Int64(world.policyClaims.epochValidityMs + world.policyClaims.epochGraceMs) + 1000)
    let seen = try host.runJob()
    #expect(seen.code == .refused)
    #expect(try world.items(of: seen).trailer.fault?.contains("has ended") == true)
  }

  @Test("A status carries the host's nonce inside its claims, and the document none of the host's bytes")
  func status() throws {
    let world = try TestWorld()
    let nonce = [UInt8](repeating: 0xEE, count: 64)
    let reply = try TestHost(worker: world.worker).ask(.status(nonce: nonce))
    let claims = try UnverifiedStatement<StatusClaims>(reply.statement ?? []).signedByItsOwnKey().signed.claims
    #expect(claims.nonce == nonce && claims.policyVersion == 0 && claims.policyDigest == nil)
    for case .attestation(let userData, let documentNonce, let publicKey) in world.module.seen {
      #expect(documentNonce == nil && publicKey == nil && userData != nonce)
    }
  }

  @Test("A silent security module decides nothing")
  func silentModule() throws {
    let world = try TestWorld()
    try world.start()
    world.module.fail(with: "InternalError")
    #expect(try TestHost(worker: world.worker).ask(.status(nonce: [])).code == .retry)
    #expect(try world.host([]).runJob().receipt == nil)
    world.module.fail(with: nil)
    #expect(try TestHost(worker: world.worker).ask(.status(nonce: [])).code == .ok)
  }

  @Test("Malformed and oversized frames end their connection and nothing else")
  func frames() throws {
    let world = try TestWorld()
    for bytes in [[0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 0], [0, 0, 0, 1, 0xFF], [0, 0, 0, 2, 0xA1, 0x61], [0]]
      as [[UInt8]]
    {
      let (near, far) = try Channel.pair(stallMilliseconds: 5000)
      let worker = world.worker
      Thread.start { worker.serve(far) }
      try near.write(bytes)
      if bytes.count < 4 { near.close() }
      #expect((try? near.receive()) == nil)
    }
    #expect(try TestHost(worker: world.worker).ask(.status(nonce: [])).code == .ok)
  }

  @Test("The second job at one time is sent away")
  func gate() {
    let gate = JobGate(waitMilliseconds: 20)
    #expect(gate.enter())
    #expect(!gate.enter())
    gate.leave()
    #expect(gate.enter())
  }

  @Test("The image directory decides alone, and each wrong file is named")
  func image() throws {
    let directory = NSTemporaryDirectory() + "image-\(UInt32.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    func put(_ name: String, _ text: String) throws {
      try Data(text.utf8).write(to: URL(fileURLWithPath: directory + "/" + name))
    }
    #expect(throws: ImageError.self) { try Image(directory: directory) }
    try put("evidence-class", "development\n")
    try put("policy.pub", Hex.encode(try SigningKey.generate().verifyingKey.bytes) + "\n")
    try put("kms-roots.pem", "x")
    try put("security-module", "unix:/run/nsm.sock\n")
    let image = try Image(directory: directory)
    #expect(image.evidenceClass == .development && image.moduleEndpoint == .unix("/run/nsm.sock"))
    try put("evidence-class", "production\n")
    #expect(throws: ImageError.self, "a socket is no production module") { try Image(directory: directory) }
    try put("security-module", "/dev/nsm\n")
    #expect(try Image(directory: directory).moduleEndpoint == nil)
    #expect(try !Image(directory: directory).pinsPolicy)
    try put("pin-policy", "yes\n")
    #expect(try Image(directory: directory).pinsPolicy)
    for text in ["", "no\n", "yes\nyes\n", "YES\n"] {
      try put("pin-policy", text)
      #expect(throws: ImageError.self, "\(text)") { try Image(directory: directory) }
    }
    try FileManager.default.removeItem(atPath: directory + "/pin-policy")
    try put("policy.pub", "00\n")
    #expect(throws: ImageError.self) { try Image(directory: directory) }
  }

  @Test(
    "Arguments: both are needed, each once, nothing else",
    arguments: [
      [], ["--image", "d"], ["--image", "d", "--listen", "x"], ["--image", "d", "--image", "d", "--listen", "unix:/s"],
      ["--image", "d", "--listen", "unix:/s", "--debug"],
    ])
  func arguments(arguments: [String]) {
    #expect(throws: WireError.self) { try WorkerCommand(arguments: arguments) }
  }

  @Test("A vsock port listens for every CID")
  func listen() throws {
    let command = try WorkerCommand(arguments: ["--listen", "vsock::5000", "--image", "d"])
    #expect(command.endpoint == .vsock(cid: .max, port: 5000))
  }
}
