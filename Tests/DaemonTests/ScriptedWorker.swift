import Crypto
import Foundation
import SealedCrypto
import Synchronization
import Wire

/// The worker's end of the protocol with nothing behind it: a boot key, epochs, and a job that pulls the bundle, writes a
/// line and ends with a receipt of the outcome `refused`; or another conduct, as the test says.
final class ScriptedWorker: Sendable {
  /// What it does.
  enum Conduct: Sendable {
    case serves
    /// Takes a job and then says nothing more.
    case hangsInJobs
    /// Takes every connection, and never says a word.
    case isSilent
    /// Hangs up as soon as it has a job.
    case diesInJobs
    /// Holds no key that opens any bundle.
    case opensNothing
  }

  private struct State {
    var conduct: Conduct
    var policy: ContentDigest?
    var epochs: [UInt64] = []
    var made: [UInt64] = []
    var stuckJobs = 0
    var refusesEpochs = false
  }

  private let listener: Listener
  private let bootKey: SigningKey
  private let sealing: HybridIdentity
  private let state: Mutex<State>

  init(_ endpoint: Endpoint, _ conduct: Conduct = .serves, refusesEpochs: Bool = false) throws {
    listener = try Listener(endpoint)
    bootKey = try SigningKey.generate()
    sealing = try HybridIdentity.generate()
    state = Mutex(State(conduct: conduct, refusesEpochs: refusesEpochs))
    Thread.detachNewThread { [self] in
      while let channel = try? listener.accept() {
        Thread.detachNewThread { [self] in
          defer { channel.close() }
          try? serve(channel)
        }
      }
    }
  }

  /// Jobs that it was given and said nothing of.
  var stuckJobs: Int { state.withLock { $0.stuckJobs } }
  /// Epochs that it made.
  var made: [UInt64] { state.withLock { $0.made } }
  /// Epochs that it holds, its own and others'.
  var epochs: [UInt64] { state.withLock { $0.epochs } }

  func turn(_ conduct: Conduct) { state.withLock { $0.conduct = conduct } }
  func stop() { listener.close() }

  private func serve(_ channel: Channel) throws {
    guard let frame = try channel.receive() else { return }
    if case .isSilent = state.withLock({ $0.conduct }) {
      _ = try channel.receive()
      return
    }
    switch try Activity(frame) {
    case .status(let nonce):
      let (policy, epochs) = state.withLock { ($0.policy, $0.epochs) }
      let claims = StatusClaims(
        timeMs: 1, software: "scripted", policyVersion: policy == nil ? 0 : 1, policyDigest: policy,
        epochs: epochs.sorted(), nonce: nonce, key: bootKey.verifyingKey)
      try channel.send(WorkerReply(.ok, statement: try signed(claims)).encoded())
    case .configure(let configuration):
      state.withLock { $0.policy = SHA256.digest(of: configuration.policy) }
      try channel.send(WorkerReply(.ok).encoded())
    case .createEpoch(let number): try channel.send(try create(number).encoded())
    case .loadEpoch(_, let announcement):
      let claims = try UnverifiedStatement<AnnouncementClaims>(announcement).signedByItsOwnKey().signed.claims
      let takes = state.withLock { state in
        if !state.refusesEpochs { state.epochs.append(claims.epoch) }
        return !state.refusesEpochs
      }
      try channel.send(WorkerReply(takes ? .ok : .refused).encoded())
    case .dropEpoch(let number):
      state.withLock { $0.epochs.removeAll { $0 == number } }
      try channel.send(WorkerReply(.ok).encoded())
    case .runJob(let attempt): try run(attempt, over: channel)
    }
  }

  private func create(_ number: UInt64) throws -> WorkerReply {
    state.withLock { state in
      state.epochs.append(number)
      state.made.append(number)
    }
    let claims = AnnouncementClaims(
      epoch: number, publicKey: sealing.recipient.publicKey, notBeforeMs: 0, notAfterMs: 4_000_000_000_000,
      kmsKey: "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000001", policyVersion: 1,
      policyDigest: SHA256.digest(of: []), key: bootKey.verifyingKey)
    return WorkerReply(.ok, statement: try signed(claims), seed: [1])
  }

  private func run(_ attempt: UInt64, over channel: Channel) throws {
    switch state.withLock({ $0.conduct }) {
    case .hangsInJobs, .isSilent:
      state.withLock { $0.stuckJobs += 1 }
      _ = try channel.receive()
      return
    case .diesInJobs: return
    case .serves, .opensNothing: break
    }
    var bundle: [UInt8] = []
    while case .data(let bytes) = try ask(.pull(.bundle), channel), !bytes.isEmpty { bundle += bytes }
    if case .opensNothing = state.withLock({ $0.conduct }) {
      _ = try ask(.end(.retry, receipt: nil), channel)
      return
    }
    _ = try ask(.progress(done: 1), channel)
    _ = try ask(.write(.output, [1, 2, 3]), channel)
    let claims = ReceiptClaims(
      outcome: .refused, code: .refused, bundle: SHA256.digest(of: bundle), job: nil, policyVersion: 1,
      policyDigest: SHA256.digest(of: []), startedMs: 1, endedMs: 2, software: "scripted", attempt: attempt,
      key: bootKey.verifyingKey)
    _ = try ask(.end(.refused, receipt: try signed(claims)), channel)
  }

  private func ask(_ request: JobRequest, _ channel: Channel) throws -> JobReply {
    try channel.send(request.encoded())
    guard let frame = try channel.receive() else { throw WireError.connectionLost("the host hung up") }
    return try JobReply(frame)
  }

  private func signed(_ claims: some AttestedClaims) throws -> [UInt8] {
    try Signed.sign(claims, with: bootKey) { _ in [0] }.bytes
  }
}
