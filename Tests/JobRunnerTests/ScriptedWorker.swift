import Foundation
import SealedCrypto
import Synchronization
import TestSupport
import Wire

@testable import JobRunner

/// A worker's end of the frames, which answers as it is told and remembers what it was asked. No enclave: what a daemon
/// makes of answers is the matter here.
final class ScriptedWorker: Sendable {
  let endpoint: Endpoint
  /// A real document's bytes, for its measurements; nobody verifies it here.
  let document: [UInt8]
  private let listener: Listener
  private let key: SigningKey
  private let state = Mutex(State())

  struct State: Sendable {
    var configurations: [WorkerConfiguration] = []
    /// The answer to the epoch activities, in place of a new epoch.
    var refusal: (OutwardCode, WorkerAdvice?)?
    var epochs: [UInt64] = []
    var isAway = false
    /// Takes no policy but the first of its boot.
    var isPinned = false
  }

  var configurations: [WorkerConfiguration] { state.withLock { $0.configurations } }
  func refuse(_ code: OutwardCode, _ advice: WorkerAdvice?) { state.withLock { $0.refusal = (code, advice) } }
  func pin() { state.withLock { $0.isPinned = true } }
  func setAway(_ isAway: Bool) { state.withLock { $0.isAway = isAway } }

  init() throws {
    endpoint = .unix(NSTemporaryDirectory() + "worker-\(UInt32.random(in: 0 ... .max)).sock")
    document = try Self.document()
    listener = try Listener(endpoint)
    key = try SigningKey.generate()
    Thread.detachNewThread { [self] in
      while let channel = try? listener.accept() {
        if let frame = try? channel.receive(), let reply = try? answer(Activity(frame)) {
          try? channel.send(reply.encoded())
        }
        channel.close()
      }
    }
  }

  func stop() { listener.close() }

  static func document() throws -> [UInt8] {
    Array(try Data(contentsOf: Checkout.root.appending(path: "Tests/Vectors/attestation/accepted.cose")))
  }

  private func answer(_ activity: Activity) throws -> WorkerReply? {
    let state = state.withLock { $0 }
    if state.isAway { return nil }
    let now = UInt64(Date().timeIntervalSince1970 * 1000)
    switch activity {
    case .status:
      let claims = StatusClaims(
        timeMs: now, software: "scripted", policyVersion: state.configurations.isEmpty ? 0 : 1,
        policyDigest: try state.configurations.isEmpty ? nil : SHA256Digest.of([1]), epochs: state.epochs, nonce: [],
        key: key.verifyingKey)
      return WorkerReply(.ok, statement: try Signed.sign(claims, with: key) { _ in self.document }.bytes)
    case .configure(let configuration):
      let takes = self.state.withLock { state in
        guard !state.isPinned || state.configurations.first?.policy ?? configuration.policy == configuration.policy
        else {
          return false
        }
        state.configurations.append(configuration)
        return true
      }
      return WorkerReply(takes ? .ok : .refused)
    case .createEpoch(let number):
      if let (code, advice) = state.refusal { return WorkerReply(code, advice: advice) }
      self.state.withLock { $0.epochs.append(number) }
      let claims = AnnouncementClaims(
        epoch: number, publicKey: [UInt8](repeating: 1, count: 1216), notBeforeMs: now, notAfterMs: now + 86_400_000,
        kmsKey: Supply.epochKey, policyVersion: 1, policyDigest: try SHA256Digest.of([1]), key: key.verifyingKey)
      let announcement = try Signed.sign(claims, with: key) { _ in self.document }.bytes
      return WorkerReply(.ok, statement: announcement, seed: [1, 2, 3])
    default: return WorkerReply(.refused)
    }
  }
}
