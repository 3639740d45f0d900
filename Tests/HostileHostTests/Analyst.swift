import Attestation
import Client
import Foundation
import ObjectStore
import SealedCrypto
import TestSupport
import Wire

/// A bundle in the ledger of its submitter and in the store.
struct SubmittedJob {
  let name: JobName
  /// The sealed bundle.
  let bundle: [UInt8]
  let record: LedgerRecord
}

/// A submitter with a home of his own, working through the client library as the program does.
struct Analyst {
  let home: ClientHome
  let profile: TrustProfile
  let key: SigningKey
  let recipient: HybridRecipient

  init(_ name: String, on theatre: Theatre, profileNamed profileName: String = "dev", policyKey: VerifyingKey) throws {
    home = ClientHome(path: theatre.path("home-\(name)"))
    try home.create()
    recipient = try home.keys.generateIdentity(createdAt: "now").recipient
    key = try home.keys.generate(.submitter)
    profile = try TrustStore(home: home).add(
      name: profileName, evidenceClass: .development, rootPEM: try theatre.cloudFile("attestation-root.pem"),
      policyKey: policyKey)
  }

  var identities: [HybridIdentity] { get throws { try home.keys.identities() } }

  /// Prepares, seals and uploads lines of `{"id","text"}`.
  func submit(
    _ texts: [String], model: String, to store: any ObjectStore, stream: String = "default", precision: String = "fp32"
  ) throws -> SubmittedJob {
    let input = "\(home.path)/input-\(UUID().uuidString).jsonl"
    let lines = texts.enumerated().map { #"{"id":"d\#($0)","text":"\#($1)"}"# + "\n" }.joined()
    try lines.write(toFile: input, atomically: true, encoding: .utf8)
    let submitter = Submitter(home: home, profile: profile, store: store)
    var request = SubmissionRequest()
    request.model = model
    request.stream = stream
    request.precision = precision
    let now = Stage.nowMs
    let prepared = try submitter.prepare(JSONLFile(path: input), request, nowMs: now)
    let entry = try submitter.seal(prepared, nowMs: now)
    let bundle = Array(try Data(contentsOf: URL(filePath: entry.bundlePath)))
    try submitter.upload(entry, nowMs: now)
    return SubmittedJob(name: entry.record.job, bundle: bundle, record: entry.record)
  }

  /// What `results get` does before it writes: fetches, verifies, opens.
  func examine(_ job: JobName, in store: any ObjectStore) throws -> ExaminedReceipt {
    try fetcher(store).examine(job, identities: try identities, nowMs: Stage.nowMs)
  }

  /// What `receipts verify` does with a file.
  func examine(receipt: [UInt8], of job: JobName?, in store: (any ObjectStore)? = nil) throws -> ExaminedReceipt {
    try fetcher(store).examine(receipt: receipt, job: job)
  }

  private func fetcher(_ store: (any ObjectStore)?) -> ResultsFetcher {
    ResultsFetcher(home: home, profile: profile, store: store)
  }

  /// The sealing key that this client would use.
  func announcement(in store: any ObjectStore) throws -> AcceptedAnnouncement {
    let trust = TrustStore(home: home)
    let policy = try trust.policies(profile).refresh(from: store, nowMs: Stage.nowMs)
    return try trust.announcements(profile).refresh(from: store, policy: policy, nowMs: Stage.nowMs)
  }
}
