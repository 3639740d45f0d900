import ObjectStore
import SealedCrypto
import Synchronization

/// The store's policy for all workers of the daemon: one look serves whoever asks at the same time.
final class StorePolicy: Sendable {
  private let state: Mutex<(keeper: PolicyKeeper, lookedAt: ContinuousClock.Instant?)>

  init(store: any ObjectStore, policyKey: VerifyingKey?) {
    state = Mutex((PolicyKeeper(store: store, policyKey: policyKey), nil))
  }

  /// The policy to go on with, and why the store's present object is not it, if so.
  ///
  /// - Parameter maximumAge: a look so short a time ago is enough.
  /// - Throws: ``WorkerNotReady`` when there is none in force; what the store throws.
  func look(atMs now: UInt64, maximumAge: Duration = .zero) throws -> (held: HeldPolicy, refusal: String?) {
    try state.withLock { state in
      if let lookedAt = state.lookedAt, ContinuousClock.now - lookedAt < maximumAge {
        return (try state.keeper.inForce(atMs: now), state.keeper.refusal)
      }
      state.lookedAt = nil
      let held = try state.keeper.look(atMs: now)
      state.lookedAt = .now
      return (held, state.keeper.refusal)
    }
  }
}
