import ObjectStore
import SealedCrypto
import Wire

/// A policy that the host hands to its worker.
struct HeldPolicy: Sendable, Equatable {
  let bytes: [UInt8]
  /// What it says; nil where the host has no policy key to verify it by.
  let claims: PolicyClaims?
}

/// The store's policy, as far as the host can judge it: looked at cheaply, read when it changed.
///
/// The worker and every client judge it themselves; this judgement spares the jobs their attempts, and names the reason.
/// Invariants, where the host has the policy's key: what is held verified under it and was not past its end when it was
/// taken; its version only grows while the daemon runs; of two policies of one version the first stays. A policy that is
/// refused leaves the one that is held.
struct PolicyKeeper {
  private let store: any ObjectStore
  private let policyKey: VerifyingKey?
  private(set) var held: HeldPolicy?
  /// The object's version as it was last read.
  private var seenVersion: String?
  /// Why the store's present object is not the one that is held; nil when it is.
  private(set) var refusal: String?

  init(store: any ObjectStore, policyKey: VerifyingKey?) {
    self.store = store
    self.policyKey = policyKey
  }

  /// The policy to go on with.
  ///
  /// - Throws: ``WorkerNotReady`` when there is none in force; what the store throws.
  mutating func look(atMs now: UInt64) throws -> HeldPolicy {
    let key = try ObjectKey(StoreLayout.policy)
    if let info = try store.head(key) {
      // While none is held, or it was refused, the same object is judged anew: a clock that was wrong may be set since.
      if info.version != seenVersion || held == nil || refusal != nil {
        do {
          refusal = judge(try store.getSmall(key), atMs: now)
        } catch let error as ObjectStoreError where error.kind == .invalid {
          refusal = "the policy in the store cannot be read: \(error.reason)"
        }
        seenVersion = info.version
      }
    } else {
      seenVersion = nil
      refusal =
        "the store has no \(StoreLayout.policy): the security officer signs one and puts it there "
        + "(ephemeral policy sign, policy install)"
    }
    return try inForce(atMs: now)
  }

  /// The policy that is held, without a look.
  ///
  /// - Throws: ``WorkerNotReady`` when there is none in force.
  func inForce(atMs now: UInt64) throws -> HeldPolicy {
    guard let held else { throw WorkerNotReady(description: refusal ?? "no policy") }
    if let end = held.claims?.notAfterMs, end < now {
      throw WorkerNotReady(
        description: refusal ?? "the policy in the store has ended: the security officer signs a new one")
    }
    return held
  }

  /// Takes the store's policy over, or says why not.
  private mutating func judge(_ bytes: [UInt8], atMs now: UInt64) -> String? {
    guard let policyKey else {
      held = HeldPolicy(bytes: bytes, claims: nil)
      return nil
    }
    let signed: Signed<PolicyClaims>
    do {
      signed = try UnverifiedStatement<PolicyClaims>(bytes).verified(by: policyKey)
    } catch {
      return "the policy in the store does not verify under the daemon's --policy-key: \(error)"
    }
    let claims = signed.claims
    guard now <= claims.notAfterMs else {
      return "the policy in the store, version \(claims.version), has ended: the security officer signs a new one "
        + "(ephemeral policy sign)"
    }
    if let held, let known = held.claims {
      guard claims.version >= known.version else {
        return "the policy in the store is version \(claims.version), and version \(known.version) was in force here: "
          + "it was rolled back; put the newer one back"
      }
      guard claims.version > known.version || bytes == held.bytes else {
        return "the store has another policy of the same version \(claims.version) than the one in force: the security "
          + "officer gives every change a new version"
      }
    }
    held = HeldPolicy(bytes: bytes, claims: claims)
    return nil
  }
}
