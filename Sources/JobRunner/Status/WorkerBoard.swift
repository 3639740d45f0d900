import Attestation
import Foundation
import SealedCrypto
import Synchronization

/// What is known of one worker, for those who must not wait for it: its supervisor holds its own lock over whole exchanges
/// with worker and store, and writes here what came out.
final class WorkerBoard: Sendable {
  private struct State {
    var isReady = false
    var isBusy = false
    var reason: String? = "not looked at yet"
    var sinceMs = WorkerBoard.nowMs
    var image: String?
    var evidence: EvidenceClass?
    var policy: PolicyLine?
    var epoch: EpochLine?
  }

  /// How it is called: its address.
  let name: String
  private let state = Mutex(State())

  init(name: String) { self.name = name }

  /// A look found it ready.
  func noteReady(policy: PolicyClaims?, epoch: AnnouncementClaims?) {
    state.withLock { state in
      if !state.isReady { state.sinceMs = Self.nowMs }
      state.isReady = true
      state.reason = nil
      if let policy { state.policy = PolicyLine(version: policy.version, expiresMs: policy.notAfterMs) }
      if let epoch {
        state.epoch = EpochLine(number: epoch.epoch, fromMs: epoch.notBeforeMs, untilMs: epoch.notAfterMs)
      }
    }
  }

  /// A look failed.
  func noteFault(_ reason: String) {
    state.withLock { state in
      if state.isReady || state.reason == nil { state.sinceMs = Self.nowMs }
      state.isReady = false
      state.reason = reason
    }
  }

  /// An attempt begins or ends.
  func noteBusy(_ isBusy: Bool) {
    state.withLock { state in
      if state.isBusy != isBusy { state.sinceMs = Self.nowMs }
      state.isBusy = isBusy
    }
  }

  /// The attestation document of its last status, unproven.
  func noteDocument(_ document: [UInt8]) {
    let image = ReportedImage(document: document)?.shortName
    let evidence = try? UnverifiedAttestation(document).unprovenClass()
    state.withLock { ($0.image, $0.evidence) = (image, evidence) }
  }

  /// Its line on the status page.
  var line: WorkerLine {
    let state = state.withLock { $0 }
    let word = state.isBusy ? "busy" : state.isReady ? "ready" : "not_ready"
    return WorkerLine(
      worker: name, state: word, isReady: state.isReady || state.isBusy, reason: state.isBusy ? nil : state.reason,
      image: state.image, evidence: state.evidence?.rawValue, sinceMs: state.sinceMs)
  }

  /// The policy that it was found ready under last.
  var policy: PolicyLine? { state.withLock { $0.policy } }

  /// The newest epoch when it was found ready last.
  var epoch: EpochLine? { state.withLock { $0.epoch } }

  private static var nowMs: Int64 { Int64(Date().timeIntervalSince1970 * 1000) }
}
