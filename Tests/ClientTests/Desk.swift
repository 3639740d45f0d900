import Attestation
import Crypto
import Foundation
import ObjectStore
import SealedCrypto
import TestSupport
import Testing
import Wire

@testable import Client

/// An analyst's desk: a home, a store, a policy, a published model, an announced sealing key. Removed at the end.
final class Desk {
  static let nowMs: UInt64 = 1_790_000_000_000
  let folder: String
  let home: ClientHome
  let store: DirectoryStore
  let enclave: TestEnclave
  let policyKey: SigningKey
  let publisherKey: SigningKey
  let submitterKey: SigningKey
  let profile: TrustProfile
  let model: ContentDigest
  private let operation: String
  private(set) var policy: Signed<PolicyClaims>

  /// - Parameters:
  ///   - tiny: the published model.
  ///   - decoder: a model that makes texts, in its place.
  ///   - operation: what the policy lets the analyst ask of it.
  init(
    tiny: TinyModel = TinyModel(words: TinyModel.office, seed: 1), decoder: TinyDecoder? = nil,
    operation: String = "embed"
  ) throws {
    self.operation = decoder == nil ? operation : "generate"
    folder = FileManager.default.temporaryDirectory.appending(path: "desk-\(UUID().uuidString)").path
    home = ClientHome(path: "\(folder)/home")
    try home.create()
    store = try DirectoryStore(path: "\(folder)/store", create: true)
    enclave = try TestEnclave(nowMs: Self.nowMs)
    policyKey = try SigningKey.generate()
    publisherKey = try SigningKey.generate()
    try home.keys.generateIdentity(createdAt: "now")
    submitterKey = try home.keys.generate(.submitter)
    profile = try TrustStore(home: home).add(
      name: "dev", evidenceClass: .development, rootPEM: enclave.rootPEM, policyKey: policyKey.verifyingKey)
    if let decoder { try decoder.write(to: "\(folder)/model") } else { try tiny.write(to: "\(folder)/model") }
    model = try ModelPublisher(store: store, kms: LocalKeys()).publish(
      folder: "\(folder)/model", name: "tiny", key: try KMSKeyARN(TestEnclave.modelKey), publisher: publisherKey,
      nowMs: Self.nowMs
    ).manifest.digest
    policy = try Self.sign(1, policyKey, publisherKey, submitterKey, [model], self.operation)
    try install(policy)
    try announce(try enclave.announcement(policy, atMs: Self.nowMs))
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private static func sign(
    _ version: UInt64, _ key: SigningKey, _ publisher: SigningKey, _ submitter: SigningKey, _ models: [ContentDigest],
    _ operation: String, change: (inout PolicyClaims) -> Void = { _ in }
  ) throws -> Signed<PolicyClaims> {
    var claims = PolicyClaims(
      version: version, issuedMs: nowMs, notAfterMs: nowMs + 86_400_000, measurements: [TestEnclave.image],
      epochKey: TestEnclave.epochKey, minimumEpoch: 1, epochValidityMs: 7_200_000, epochGraceMs: 3_600_000,
      submitters: [
        PolicySubmitter(name: "analyst", key: submitter.verifyingKey, operations: [operation], models: models)
      ],
      publishers: [
        PolicyPublisher(name: "owner", key: publisher.verifyingKey, modelKey: TestEnclave.modelKey)
      ], formats: ["safetensors"], dtypes: ["F32", "BF16"], maximumItems: 1000, maximumInputBytes: 1 << 20,
      recoveryRecipients: [], requireHybridTLS: true, useFIPSEndpoint: false)
    change(&claims)
    return try Signed.sign(claims, with: key)
  }

  /// Another policy, signed by the officer.
  func policy(_ version: UInt64, change: (inout PolicyClaims) -> Void = { _ in }) throws -> Signed<PolicyClaims> {
    try Self.sign(version, policyKey, publisherKey, submitterKey, [model], operation, change: change)
  }

  /// Puts a policy into the store; later calls of ``finish(_:)`` run under it.
  func install(_ policy: Signed<PolicyClaims>) throws {
    self.policy = policy
    _ = try store.put(try ObjectKey(StoreLayout.policy), policy.bytes, .always)
  }

  /// Puts an announcement into the store.
  func announce(_ bytes: [UInt8], epoch: UInt64 = 1) throws {
    _ = try store.put(try ObjectKey(StoreLayout.announcement(epoch)), bytes, .always)
  }

  var submitter: Submitter { Submitter(home: home, profile: profile, store: store) }
  var fetcher: ResultsFetcher { ResultsFetcher(home: home, profile: profile, store: store) }
  var ledger: Ledger { Ledger(home: home) }

  /// A file on the desk.
  func file(_ name: String, _ text: String) throws -> String { try file(name, Array(text.utf8)) }

  func file(_ name: String, _ bytes: [UInt8]) throws -> String {
    let path = "\(folder)/\(name)"
    try FileManager.default.createDirectory(
      atPath: PrivateFiles.parent(of: path), withIntermediateDirectories: true)
    try Data(bytes).write(to: URL(filePath: path))
    return path
  }

  /// Submits lines of `{"id","text"}`.
  func submit(_ texts: [String], _ change: (inout SubmissionRequest) -> Void = { _ in }) throws -> LedgerEntry {
    let lines = texts.enumerated().map { #"{"id":"d\#($0)","text":"\#($1)"}"# + "\n" }.joined()
    var request = SubmissionRequest()
    change(&request)
    let path = try file("input-\(UUID().uuidString).jsonl", lines)
    let entry = try submitter.seal(
      try submitter.prepare(JSONLFile(path: path), request, nowMs: Self.nowMs), nowMs: Self.nowMs)
    try submitter.upload(entry, nowMs: Self.nowMs)
    return entry
  }

  /// Uploads what is pending; a refusal fails.
  func uploadPending() throws -> [LedgerEntry] {
    var refusal: ClientError?
    let uploaded = try submitter.uploadPending(nowMs: Self.nowMs) { refusal = $1 }
    if let refusal { throw refusal }
    return uploaded
  }

  /// Plays enclave and host for a submitted job.
  @discardableResult
  func finish(_ entry: LedgerEntry, _ work: TestEnclave.Work = .made) throws -> TestEnclave.Finished {
    let bundle = try store.getSmall(
      try ObjectKey(StoreLayout.bundle(entry.record.job, queue: entry.record.queue)), limit: 1 << 26)
    let finished = try enclave.run(bundle, policy, atMs: Self.nowMs + 1000, work)
    try commit(entry.record.job, finished)
    return finished
  }

  /// Writes an attempt and its commit as the daemon does.
  func commit(_ job: JobName, _ finished: TestEnclave.Finished) throws {
    for (file, bytes) in finished.files {
      _ = try store.put(try ObjectKey(StoreLayout.result(job, attempt: 1, file)), bytes, .always)
    }
    _ = try store.put(try ObjectKey(StoreLayout.receipt(job, attempt: 1)), finished.receipt.bytes, .always)
    let record = CommitRecord(attempt: 1, outcome: "completed", receiptSHA256: finished.receipt.digest.hex)
    _ = try store.put(try ObjectKey(StoreLayout.commit(job)), try StoreRecord.encode(record), .always)
  }

  /// Fetches with the user's identity.
  func examine(_ entry: LedgerEntry) throws -> ExaminedReceipt {
    try fetcher.examine(entry.record.job, identities: try home.keys.identities(), nowMs: Self.nowMs)
  }
}

/// Data keys made on the spot.
struct LocalKeys: DataKeyService {
  func generateDataKey(_ key: KMSKeyARN, context: KMSEncryptionContext) throws -> GeneratedDataKey {
    GeneratedDataKey(plaintext: try SecretBytes.random(count: 32), ciphertextBlob: [1, 2, 3])
  }
}

/// The client's error that `body` throws; nil when it throws none.
func clientError(_ body: () throws -> Void) -> ClientError? {
  do {
    try body()
    return nil
  } catch {
    return error as? ClientError ?? ClientError(.other, "another error: \(error)", remedy: "")
  }
}
