import Attestation
import Client
import Crypto
import Foundation
import ObjectStore
import SealedCrypto
import TestSupport
import Wire

/// The whole play, set up once for all tests of this suite: a cloud, a worker under a policy, two models, two analysts,
/// a store in a directory. What a test changes there it puts back, or it makes a store or a worker of its own.
final class Stage: @unchecked Sendable {
  private static let shared = Result { try Stage() }
  /// The stage; the first caller builds it.
  static func raise() throws -> Stage { try shared.get() }

  static var nowMs: UInt64 { UInt64(Date().timeIntervalSince1970 * 1000) }
  static let dayMs: UInt64 = 86_400_000

  let theatre: Theatre
  let cloud: TheatreProcess
  let worker: TheatreProcess
  let host: Host
  let image: String
  let measurement: Theatre.Measurement
  let policyKey: SigningKey
  let publisher: SigningKey
  let store: DirectoryStore
  let storePath: String
  let alice: Analyst
  let bob: Analyst
  /// Two models of the same shape and other weights.
  let models: [Signed<ModelManifestClaims>]
  /// Version 2, in force.
  let policy: Signed<PolicyClaims>
  /// Version 1, once in force.
  let olderPolicy: Signed<PolicyClaims>

  private init() throws {
    theatre = try Theatre()
    cloud = try theatre.startCloud()
    policyKey = try SigningKey.generate()
    publisher = try SigningKey.generate()
    image = try theatre.writeImage("image", policyKey: Hex.encode(policyKey.verifyingKey.bytes))
    measurement = try theatre.measure(image: image)
    try theatre.allow(measurement)
    storePath = try theatre.make("store")
    store = try DirectoryStore(path: storePath, create: true)
    models = try Self.publishModels(on: theatre, in: store, by: publisher)
    alice = try Analyst("alice", on: theatre, policyKey: policyKey.verifyingKey)
    bob = try Analyst("bob", on: theatre, policyKey: policyKey.verifyingKey)

    let arns = try theatre.keyARNs()
    let allowed = models.map(\.digest)
    let claims = PolicyClaims(
      version: 1, issuedMs: Self.nowMs, notAfterMs: Self.nowMs + 30 * Self.dayMs,
      measurements: [try measurement.tuple("worker")], epochKey: arns.epoch, minimumEpoch: 1,
      epochValidityMs: 7 * Self.dayMs, epochGraceMs: Self.dayMs,
      submitters: [("alice", alice), ("bob", bob)].map { name, analyst in
        PolicySubmitter(
          name: name, key: analyst.key.verifyingKey, operations: ["embed"], models: allowed)
      },
      publishers: [PolicyPublisher(name: "owner", key: publisher.verifyingKey, modelKey: arns.model)],
      formats: ["safetensors"], dtypes: ["F32"], maximumItems: 1000, maximumInputBytes: 8 << 20,
      recoveryRecipients: [], requireHybridTLS: true, useFIPSEndpoint: false)
    olderPolicy = try Signed<PolicyClaims>.sign(claims, with: policyKey)
    var newer = claims
    newer.version = 2
    policy = try Signed<PolicyClaims>.sign(newer, with: policyKey)
    try store.put(StoreLayout.policy, policy.bytes)

    worker = try theatre.startWorker(image: image, socket: "worker.sock")
    host = try Self.host(on: theatre, socket: "worker.sock")
    guard try host.configure(policy.bytes) == .ok else { throw TheatreError("configure: \(worker.tail)") }
    let epoch = try host.perform(.createEpoch(1))
    guard epoch.code == .ok, let announcement = epoch.statement, let seed = epoch.seed else {
      throw TheatreError("create-epoch: \(epoch.code)\n\(worker.tail)\n\(cloud.tail)")
    }
    try store.put(StoreLayout.seed(1), seed)
    try store.put(StoreLayout.announcement(1), announcement)
  }

  private static func host(on theatre: Theatre, socket: String) throws -> Host {
    let credentials = try theatre.credentials("host")
    return Host(
      endpoint: try Endpoint("unix:\(theatre.path(socket))"), relay: try Endpoint("unix:\(theatre.kms)"),
      accessKey: credentials.accessKey, secret: credentials.secret)
  }

  private static func publishModels(
    on theatre: Theatre, in store: DirectoryStore, by publisher: SigningKey
  ) throws -> [Signed<ModelManifestClaims>] {
    let kms = try CloudKMS(theatre, profile: "publisher")
    let modelKey = try KMSKeyARN(try theatre.keyARNs().model)
    return try (1...2).map { number in
      let folder = theatre.path("model-\(number)")
      try TinyModel(words: TinyModel.office, seed: UInt32(number)).write(to: folder)
      return try ModelPublisher(store: store, kms: kms).publish(
        folder: folder, name: "tiny-\(number)", key: modelKey, publisher: publisher, nowMs: nowMs
      ).manifest
    }
  }

  /// A worker of its own boot with the same image, not configured; stop it at the end.
  func secondWorker(_ socket: String, image: String? = nil, executable: URL? = nil) throws -> (TheatreProcess, Host) {
    let process = try theatre.startWorker(image: image ?? self.image, socket: socket, executable: executable)
    return (process, try Self.host(on: theatre, socket: socket))
  }

  /// An object of a model as the store has it.
  func object(_ digest: ContentDigest, _ name: String) throws -> [UInt8]? {
    try? store.getSmall(try ObjectKey(StoreLayout.model(digest, name)), limit: Limits.clearModelFileBytes)
  }

  /// Runs a bundle as an honest host does.
  func run(_ bundle: [UInt8], attempt: UInt64 = 1) throws -> EndedJob {
    try host.run(bundle, attempt: attempt, objects: object)
  }

  /// Runs an analyst's job and commits it in the store.
  func finishedJob(_ analyst: Analyst, _ texts: [String], model: Int = 0) throws -> (SubmittedJob, EndedJob) {
    let job = try analyst.submit(texts, model: models[model].digest.hex, to: store)
    let ended = try run(job.bundle)
    guard ended.code == .ok else { throw TheatreError("an honest job ended with \(ended.code)\n\(worker.tail)") }
    try commit(ended, as: job.name)
    return (job, ended)
  }

  /// Writes a job's files and its commit into the store, as the host pleases.
  func commit(_ ended: EndedJob, as job: JobName, in other: DirectoryStore? = nil) throws {
    let store = other ?? self.store
    for (file, bytes) in ended.files { try store.put(StoreLayout.result(job, attempt: 1, file), bytes) }
    try commit(receipt: ended.receipt ?? [], as: job, in: store)
  }

  /// Writes a receipt and a commit that names it.
  func commit(receipt: [UInt8], as job: JobName, in other: DirectoryStore? = nil) throws {
    let store = other ?? self.store
    try store.put(StoreLayout.receipt(job, attempt: 1), receipt)
    let record = CommitRecord(attempt: 1, outcome: "completed", receiptSHA256: SHA256.digest(of: receipt).hex)
    try store.put(StoreLayout.commit(job), try StoreRecord.encode(record))
  }

  /// The worker is the same process, and an honest job with it ends well and verifies.
  func proveAlive() throws {
    guard worker.isAlive else { throw TheatreError("the worker is gone\n\(worker.tail)") }
    let (job, _) = try finishedJob(alice, ["a report of the river"])
    _ = try alice.examine(job.name, in: store).verified()
  }
}

extension DirectoryStore {
  /// Replaces an object.
  func put(_ key: String, _ bytes: [UInt8]) throws { _ = try put(try ObjectKey(key), bytes, .always) }
  /// A whole object.
  func get(_ key: String) throws -> [UInt8] { try getSmall(try ObjectKey(key), limit: Limits.clearModelFileBytes) }
}

extension Theatre.Measurement {
  /// As a policy lists it.
  func tuple(_ name: String) throws -> MeasurementTuple {
    let pcrs = try [pcr0, pcr1, pcr2].map { text in
      guard let bytes = Hex.decode(text) else { throw TheatreError("not hexadecimal: \(text)") }
      return bytes
    }
    return MeasurementTuple(name: name, pcr0: pcrs[0], pcr1: pcrs[1], pcr2: pcrs[2], pcr8: nil)
  }
}
