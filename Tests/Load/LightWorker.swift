import Crypto
import Foundation
import SealedCrypto
import Synchronization
import Wire

/// The worker's end of the protocol with no inference behind it: it pulls the bundle, writes one sealed-sized result and
/// ends with a receipt that its own key signs. The document beside the receipt has a real one's size and proves nothing.
final class LightWorker: Sendable {
  /// What it does wrong with a job's first attempt; later ones go well, so that every job ends.
  enum Fault: CaseIterable {
    /// It hangs up after the bundle.
    case hangsUp
    /// It ends with the code `retry`.
    case asksForRetry
    /// It breaks the protocol.
    case talksNonsense
  }

  private struct State {
    var listener: Listener?
    var policy: ContentDigest?
    var epochs: Set<UInt64> = []
  }

  private let endpoint: Endpoint
  private let account: Account
  private let jobMilliseconds: Int
  /// Of a thousand first attempts, so many meet each fault.
  private let faultsPerMille: Int
  private let bootKey: SigningKey
  private let sealing: HybridIdentity
  private let state = Mutex(State())
  private static let document = [UInt8](repeating: 0, count: 4600)
  private static let result = [UInt8](repeating: 0x5A, count: 2048)

  init(_ endpoint: Endpoint, account: Account, jobMilliseconds: Int, faultsPerMille: Int = 0) throws {
    self.endpoint = endpoint
    self.account = account
    self.jobMilliseconds = jobMilliseconds
    self.faultsPerMille = faultsPerMille
    bootKey = try SigningKey.generate()
    sealing = try HybridIdentity.generate()
  }

  /// Listens, with nothing remembered of before, as after a boot.
  func start() throws {
    let listener = try Listener(endpoint)
    state.withLock { $0 = State(listener: listener) }
    Thread.detachNewThread { [self] in
      while let channel = try? listener.accept() {
        Thread.detachNewThread { [self] in
          defer { channel.close() }
          try? serve(channel)
        }
      }
    }
  }

  /// Is gone for everybody who connects from now on.
  func stop() {
    let listener = state.withLock { state in
      defer { state.listener = nil }
      return state.listener
    }
    listener?.close()
  }

  private func serve(_ channel: Channel) throws {
    guard let frame = try channel.receive() else { return }
    switch try Activity(frame) {
    case .status(let nonce):
      let (policy, epochs) = state.withLock { ($0.policy, $0.epochs.sorted()) }
      let claims = StatusClaims(
        timeMs: now, software: "light", policyVersion: policy == nil ? 0 : 1, policyDigest: policy, epochs: epochs,
        nonce: nonce, key: bootKey.verifyingKey)
      try channel.send(WorkerReply(.ok, statement: try signed(claims)).encoded())
    case .configure(let configuration):
      state.withLock { $0.policy = SHA256.digest(of: configuration.policy) }
      try channel.send(WorkerReply(.ok).encoded())
    case .createEpoch(let number):
      state.withLock { _ = $0.epochs.insert(number) }
      let claims = AnnouncementClaims(
        epoch: number, publicKey: sealing.recipient.publicKey, notBeforeMs: now, notAfterMs: now + 365 * 86_400_000,
        kmsKey: "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000001", policyVersion: 1,
        policyDigest: SHA256.digest(of: []), key: bootKey.verifyingKey)
      try channel.send(WorkerReply(.ok, statement: try signed(claims), seed: [1]).encoded())
    case .loadEpoch(_, let announcement):
      let claims = try UnverifiedStatement<AnnouncementClaims>(announcement).signedByItsOwnKey().signed.claims
      state.withLock { _ = $0.epochs.insert(claims.epoch) }
      try channel.send(WorkerReply(.ok).encoded())
    case .dropEpoch(let number):
      state.withLock { _ = $0.epochs.remove(number) }
      try channel.send(WorkerReply(.ok).encoded())
    case .runJob(let attempt): try run(attempt, over: channel)
    }
  }

  private func run(_ attempt: UInt64, over channel: Channel) throws {
    let begin = now
    var hash = SHA256()
    var bytes = 0
    while case .data(let piece) = try ask(.pull(.bundle), channel), !piece.isEmpty {
      hash.update(data: piece)
      bytes += piece.count
    }
    let job = try ContentDigest(hash.finalize())
    account.started(job, attempt: attempt)
    switch fault(of: job, attempt: attempt) {
    case .hangsUp: return
    case .asksForRetry: return try channel.send(JobRequest.end(.retry, receipt: nil).encoded())
    case .talksNonsense: return try channel.send(.text("nonsense"))
    case nil: break
    }
    guard case .acknowledged(cancel: false) = try ask(.progress(done: 0), channel) else { return try giveUp(channel) }
    if jobMilliseconds > 0 { usleep(UInt32(jobMilliseconds) * 1000) }
    guard case .acknowledged(cancel: false) = try ask(.write(.output, Self.result), channel) else {
      return try giveUp(channel)
    }
    let empty = SHA256.digest(of: [])
    let claims = ReceiptClaims(
      outcome: .completed, code: .ok, bundle: job,
      job: ReceiptJob(
        manifest: job, model: empty, submitter: empty, stream: Array(job.bytes.prefix(16)), sequence: 1, previous: nil,
        files: [ReceiptFile(file: .output, size: UInt64(Self.result.count), sha256: SHA256.digest(of: Self.result))],
        merkleRoot: empty, items: 1, failedItems: 0, precision: "none"),
      policyVersion: 1, policyDigest: empty, startedMs: begin, endedMs: max(begin, now), software: "light",
      attempt: attempt, key: bootKey.verifyingKey)
    _ = try ask(.end(.ok, receipt: try signed(claims)), channel)
    account.ended(job)
  }

  /// The host wants the job stopped: as the real worker, no receipt.
  private func giveUp(_ channel: Channel) throws { _ = try ask(.end(.retry, receipt: nil), channel) }

  /// The job's name decides, so that the same bundles meet the same faults.
  private func fault(of job: JobName, attempt: UInt64) -> Fault? {
    guard attempt == 1, faultsPerMille > 0 else { return nil }
    let draw = (Int(job.bytes[0]) << 8 | Int(job.bytes[1])) % 1000
    return draw / faultsPerMille < Fault.allCases.count ? Fault.allCases[draw / faultsPerMille] : nil
  }

  private func ask(_ request: JobRequest, _ channel: Channel) throws -> JobReply {
    try channel.send(request.encoded())
    guard let frame = try channel.receive() else { throw WireError.connectionLost("the host hung up") }
    return try JobReply(frame)
  }

  private func signed(_ claims: some AttestedClaims) throws -> [UInt8] {
    try Signed.sign(claims, with: bootKey) { _ in Self.document }.bytes
  }

  private var now: UInt64 { UInt64(max(0, Date().timeIntervalSince1970 * 1000)) }
}
