import Attestation
import SealedCrypto
import Synchronization

/// What is known of one worker beside its health, for those who must not wait for it: its supervisor holds its own lock
/// over whole exchanges with worker and store, and writes here what came out.
final class WorkerBoard: Sendable {
  private struct State {
    var evidence: EvidenceClass?
    var policy: PolicyLine?
    var epoch: EpochLine?
  }

  private let state = Mutex(State())

  /// A look found it ready.
  func noteReady(policy: PolicyClaims?, epoch: AnnouncementClaims?) {
    state.withLock { state in
      if let policy { state.policy = PolicyLine(version: policy.version, expiresMs: policy.notAfterMs) }
      if let epoch {
        state.epoch = EpochLine(number: epoch.epoch, fromMs: epoch.notBeforeMs, untilMs: epoch.notAfterMs)
      }
    }
  }

  /// The attestation document of its last status, unproven.
  func noteDocument(_ document: [UInt8]) {
    let evidence = try? UnverifiedAttestation(document).unprovenClass()
    state.withLock { $0.evidence = evidence }
  }

  /// The class of evidence that its last status pretends to.
  var evidence: EvidenceClass? { state.withLock { $0.evidence } }

  /// The policy that it was found ready under last.
  var policy: PolicyLine? { state.withLock { $0.policy } }

  /// The newest epoch when it was found ready last.
  var epoch: EpochLine? { state.withLock { $0.epoch } }
}
