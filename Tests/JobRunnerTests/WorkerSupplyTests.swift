import Crypto
import Foundation
import Logging
import ObjectStore
import SealedCrypto
import Synchronization
import TestSupport
import Testing
import Wire

@testable import JobRunner

enum SHA256Digest {
  static func of(_ bytes: [UInt8]) throws -> ContentDigest { try ContentDigest(Array(SHA256.hash(data: bytes))) }
}

/// Credentials that the test exchanges.
final class ChangingCredentials: CredentialSource {
  private let id = Mutex("FIRST")
  func change(to new: String) { id.withLock { $0 = new } }
  func credentials() throws -> AWSCredentials {
    let id = id.withLock { $0 }
    return AWSCredentials(accessKeyID: id, secret: try SecretBytes(copying: [1]), sessionToken: "token of \(id)")
  }
}

/// A store with a policy, a worker, and the daemon's supervisor between them.
final class Supply: Sendable {
  static let epochKey = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/12345678-1234-1234-1234-123456789012"

  let worker: ScriptedWorker
  let credentials = ChangingCredentials()
  let supervisor: WorkerSupervisor
  /// The policies that the relay was told.
  let seen: Seen
  private let folder: String
  private let store: DirectoryStore
  private let officer: SigningKey

  init() throws {
    worker = try ScriptedWorker()
    folder = NSTemporaryDirectory() + "supply-\(UUID().uuidString)"
    officer = try SigningKey.generate()
    store = try DirectoryStore(path: folder, create: true)
    let policy = try Signed.sign(Self.policy(fips: true), with: officer)
    _ = try store.put(try ObjectKey(StoreLayout.policy), policy.bytes, .always)
    let seen = Seen()
    supervisor = WorkerSupervisor(
      name: "scripted", client: WorkerClient(endpoint: .direct(worker.endpoint)), relay: .vsock(cid: 3, port: 8000),
      policies: StorePolicy(store: store, policyKey: officer.verifyingKey), shelf: EpochShelf(store: store),
      credentials: credentials, onPolicy: { seen.note($0) },
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    self.seen = seen
  }

  /// The security officer puts another version of the policy into the store.
  func install(version: UInt64) throws {
    let policy = try Signed.sign(Self.policy(fips: true, version: version), with: officer)
    _ = try store.put(try ObjectKey(StoreLayout.policy), policy.bytes, .always)
  }

  deinit {
    worker.stop()
    try? FileManager.default.removeItem(atPath: folder)
  }

  final class Seen: Sendable {
    private let policies = Mutex<[PolicyClaims]>([])
    var all: [PolicyClaims] { policies.withLock { $0 } }
    func note(_ policy: PolicyClaims) { policies.withLock { $0.append(policy) } }
  }

  /// What the scripted worker's document reports: a worker that the policy does not list is given no job.
  private static func image() throws -> MeasurementTuple {
    let registers = try WorkerFacts(document: ScriptedWorker.document()).measurements.map { register in
      try #require(Hex.decode(register.value))
    }
    return MeasurementTuple(name: "scripted", pcr0: registers[0], pcr1: registers[1], pcr2: registers[2], pcr8: nil)
  }

  static func policy(fips: Bool, key: String = epochKey, version: UInt64 = 1) throws -> PolicyClaims {
    PolicyClaims(
      version: version, issuedMs: 1, notAfterMs: 4_000_000_000_000, measurements: [try image()], epochKey: key,
      minimumEpoch: 1,
      epochValidityMs: 86_400_000, epochGraceMs: 0, submitters: [], publishers: [], formats: [], dtypes: [],
      maximumItems: 1, maximumInputBytes: 1, recoveryRecipients: [], requireHybridTLS: true, useFIPSEndpoint: fips)
  }
}

@Suite("what the daemon hands to its worker, and what it says when that does not do")
struct WorkerSupplyTests {
  @Test("renewed credentials reach the worker beside a running job, once, with the same policy")
  func renewal() throws {
    let supply = try Supply()
    try supply.supervisor.makeReady()
    #expect(supply.seen.all.map(\.epochKey) == [Supply.epochKey], "the relay is aimed before the worker asks KMS")
    try supply.supervisor.renewCredentials()
    #expect(supply.worker.configurations.map(\.accessKeyID) == ["FIRST"], "nothing to renew")
    supply.credentials.change(to: "SECOND")
    for _ in 0..<3 { try supply.supervisor.renewCredentials() }
    try supply.supervisor.makeReady()
    let configurations = supply.worker.configurations
    #expect(configurations.map(\.accessKeyID) == ["FIRST", "SECOND"])
    #expect(configurations.map(\.sessionToken) == ["token of FIRST", "token of SECOND"])
    #expect(Set(configurations.map(\.policy)).count == 1)
  }

  @Test("a worker that could not be told is told everything at the next look")
  func lostRenewal() throws {
    let supply = try Supply()
    try supply.supervisor.makeReady()
    supply.credentials.change(to: "SECOND")
    supply.worker.setAway(true)
    #expect(throws: (any Error).self) { try supply.supervisor.renewCredentials() }
    supply.worker.setAway(false)
    try supply.supervisor.makeReady()
    #expect(supply.worker.configurations.last?.accessKeyID == "SECOND")
  }

  @Test("a worker that is held to its policy has renewed credentials under it, also after a renewal that failed")
  func pinned() throws {
    let supply = try Supply()
    supply.worker.pin()
    try supply.supervisor.makeReady()
    try supply.install(version: 2)
    supply.credentials.change(to: "SECOND")
    supply.worker.setAway(true)
    #expect(throws: (any Error).self) { try supply.supervisor.renewCredentials() }
    supply.worker.setAway(false)
    try supply.supervisor.makeReady()
    #expect(supply.worker.configurations.map(\.accessKeyID) == ["FIRST", "SECOND"])
    #expect(Set(supply.worker.configurations.map(\.policy)).count == 1)
  }

  @Test("before the worker has anything, there is nothing to renew")
  func nothingYet() throws {
    let supply = try Supply()
    try supply.supervisor.renewCredentials()
    #expect(supply.worker.configurations.isEmpty)
  }

  @Test("a denial names the image's PCR0, the key and the credentials, and whose move it is")
  func denial() throws {
    let supply = try Supply()
    supply.worker.refuse(.refused, .keyDenied)
    let error = #expect(throws: WorkerNotReady.self) { try supply.supervisor.makeReady() }
    let text = error?.description ?? ""
    let pcr0 = try #require(WorkerFacts(document: supply.worker.document).measurements.first)
    #expect(pcr0.name == "PCR0")
    let value = try #require(Hex.decode(pcr0.value))
    #expect(value.count == 48 && Data(supply.worker.document).range(of: Data(value)) != nil)
    for part in ["PCR0 of this image is not in the key policy", pcr0.value, Supply.epochKey, "FIRST", "key's owner"] {
      #expect(text.contains(part), "\(text)")
    }
    #expect(!text.contains("token of"))
  }

  @Test("each advice is a text of its own with something to do", arguments: WorkerAdvice.allCases)
  func texts(advice: WorkerAdvice) throws {
    let supply = try Supply()
    supply.worker.refuse(.retry, advice)
    let error = #expect(throws: WorkerNotReady.self) { try supply.supervisor.makeReady() }
    let text = advice.text(key: Supply.epochKey, accessKeyID: "FIRST", facts: nil)
    #expect(
      WorkerAdvice.allCases.filter { $0.text(key: Supply.epochKey, accessKeyID: "FIRST", facts: nil) == text } == [
        advice
      ])
    if advice != .keyDenied { #expect(error?.description.contains(text) == true) }
  }

  @Test("without advice the words are of what the worker alone can mean", arguments: [OutwardCode.retry, .refused])
  func noAdvice(code: OutwardCode) throws {
    let supply = try Supply()
    supply.worker.refuse(code, nil)
    let error = #expect(throws: WorkerNotReady.self) { try supply.supervisor.makeReady() }
    #expect(error?.description.contains("KMS") == false)
  }
}

@Suite("where the relay leads")
struct RelayTargetTests {
  @Test("auto is the endpoint of the policy's epoch key, FIPS where the policy says so")
  func automatic() throws {
    #expect(try RelayTarget("auto") == .automatic)
    #expect(
      try RelayTarget(of: Supply.policy(fips: true)) == .tcp(host: "kms-fips.us-gov-west-1.amazonaws.com", port: 443))
    let china = "arn:aws-cn:kms:cn-north-1:111122223333:key/1"
    #expect(
      try RelayTarget(of: Supply.policy(fips: false, key: china))
        == .tcp(host: "kms.cn-north-1.amazonaws.com.cn", port: 443))
    #expect(throws: (any Error).self) { try RelayTarget(of: Supply.policy(fips: false, key: "alias/x")) }
  }

  @Test("a target of one's own is not changed by a policy, and automatic leads nowhere before there is one")
  func targets() throws {
    for text in ["kms.example:443", "unix:/run/kms.sock"] { #expect("\(try RelayTarget(text))" == text) }
    let path = NSTemporaryDirectory() + "relay-\(UInt32.random(in: 0 ... .max)).sock"
    let relay = try KMSRelay(
      listenOn: .unix(path), target: .automatic, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    relay.start()
    defer { relay.stop() }
    let channel = try Channel.connect(to: .unix(path), stallMilliseconds: 10_000)
    #expect(try channel.read(upTo: 1).isEmpty, "closed, not left hanging")
  }
}
