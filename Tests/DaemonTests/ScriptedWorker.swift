import Crypto
import Foundation
import SealedCrypto
import Synchronization
import Wire

/// The worker's end of the protocol with nothing behind it: a boot key, one epoch, and a job that pulls the bundle,
/// writes a line and ends with a receipt of the outcome `refused`.
final class ScriptedWorker: Sendable {
  private struct State {
    var policy: ContentDigest?
    var epochs: [UInt64] = []
    var stuckJobs = 0
  }

  private let listener: Listener
  private let bootKey: SigningKey
  private let sealing: HybridIdentity
  private let hangsInJobs: Bool
  private let state = Mutex(State())

  /// - Parameter hangsInJobs: it takes a job and then says nothing more.
  init(_ endpoint: Endpoint, hangsInJobs: Bool = false) throws {
    listener = try Listener(endpoint)
    bootKey = try SigningKey.generate()
    sealing = try HybridIdentity.generate()
    self.hangsInJobs = hangsInJobs
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

  func stop() { listener.close() }

  private func serve(_ channel: Channel) throws {
    guard let frame = try channel.receive() else { return }
    switch try Activity(frame) {
    case .status(let nonce):
      let (policy, epochs) = state.withLock { ($0.policy, $0.epochs) }
      let claims = StatusClaims(
        timeMs: 1, software: "scripted", policyVersion: policy == nil ? 0 : 1, policyDigest: policy, epochs: epochs,
        nonce: nonce, key: bootKey.verifyingKey)
      try channel.send(WorkerReply(.ok, statement: try signed(claims)).encoded())
    case .configure(let configuration):
      state.withLock { $0.policy = SHA256.digest(of: configuration.policy) }
      try channel.send(WorkerReply(.ok).encoded())
    case .createEpoch(let number):
      state.withLock { $0.epochs.append(number) }
      let claims = AnnouncementClaims(
        epoch: number, publicKey: sealing.recipient.publicKey, notBeforeMs: 0, notAfterMs: 4_000_000_000_000,
        kmsKey: "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000001", policyVersion: 1,
        policyDigest: SHA256.digest(of: []), key: bootKey.verifyingKey)
      try channel.send(WorkerReply(.ok, statement: try signed(claims), seed: [1]).encoded())
    case .loadEpoch, .dropEpoch: try channel.send(WorkerReply(.ok).encoded())
    case .runJob(let attempt): try run(attempt, over: channel)
    }
  }

  private func run(_ attempt: UInt64, over channel: Channel) throws {
    guard !hangsInJobs else {
      state.withLock { $0.stuckJobs += 1 }
      _ = try channel.receive()
      return
    }
    var bundle: [UInt8] = []
    while case .data(let bytes) = try ask(.pull(.bundle), channel), !bytes.isEmpty { bundle += bytes }
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
