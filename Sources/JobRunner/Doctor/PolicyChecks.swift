import Client
import Foundation
import ObjectStore
import SealedCrypto
import Wire

/// The signed policy in the store and the newest sealing key: what ends, and when.
struct PolicyChecks {
  let store: any ObjectStore
  /// Nil where the daemon has none.
  let key: VerifyingKey?
  let nowMs: UInt64
  private static let soonMs: UInt64 = 7 * 86_400_000

  /// The policy in force, for other checks; nil where there is none that verifies.
  func policy() -> PolicyClaims? {
    guard let key, let bytes = try? store.getSmall(try ObjectKey(StoreLayout.policy)),
      let signed = try? UnverifiedStatement<PolicyClaims>(bytes).verified(by: key), signed.claims.notAfterMs > nowMs
    else { return nil }
    return signed.claims
  }

  func examine() -> [Diagnosis] { [policyDiagnosis(), epochDiagnosis()] }

  private func policyDiagnosis() -> Diagnosis {
    let bytes: [UInt8]
    do {
      bytes = try store.getSmall(try ObjectKey(StoreLayout.policy))
    } catch let error as ObjectStoreError where error.kind == .notFound {
      return .fail(
        "policy", "the store has no \(StoreLayout.policy)", meaning: "no worker takes a job without one",
        remedy: "the security officer signs one: ephemeral policy sign; ephemeral policy install FILE")
    } catch {
      return StoreChecks.failure("policy", error)
    }
    guard let key else {
      return .warn(
        "policy", "there is one, and this host has no key to read it by",
        meaning: "no cancel is applied, and nobody sees here when it ends",
        remedy: "set policy_key (--policy-key) to the file of the policy's public key")
    }
    let claims: PolicyClaims
    do { claims = try UnverifiedStatement<PolicyClaims>(bytes).verified(by: key).claims } catch {
      return .fail(
        "policy", "it does not verify under policy_key: \(error)",
        meaning: "the key is another one, or somebody changed the object",
        remedy: "compare policy_key with the officer's; then ephemeral policy install FILE")
    }
    let end = Timestamps.text(claims.notAfterMs)
    let words = "version \(claims.version), issued \(Timestamps.text(claims.issuedMs)), ends \(end)"
    let remedy = "the security officer signs the next version: ephemeral policy sign; ephemeral policy install FILE"
    if claims.notAfterMs <= nowMs {
      return .fail("policy", words, meaning: "it has ended: no job runs", remedy: remedy)
    }
    if claims.notAfterMs - nowMs < Self.soonMs {
      return .warn("policy", words, meaning: "then no job runs", remedy: remedy)
    }
    return .ok("policy", words)
  }

  private func epochDiagnosis() -> Diagnosis {
    let shelf = EpochShelf(store: store)
    do {
      guard let newest = try shelf.all().last(where: { $0.announced != nil && !$0.isRetired }),
        let claims = try shelf.claims(of: newest)
      else {
        return .warn(
          "sealing key", "no epoch is announced", meaning: "no client can submit",
          remedy: "start daemon and worker: the first epoch is made as soon as the worker has a policy")
      }
      let words = "epoch \(claims.epoch), until \(Timestamps.text(claims.notAfterMs))"
      guard claims.notAfterMs > nowMs else {
        return .fail(
          "sealing key", words, meaning: "it has ended: no client can submit",
          remedy: "the daemon makes the next when its worker is ready; then look at `ephemeral epochs list`")
      }
      let validity = claims.notAfterMs - min(claims.notBeforeMs, claims.notAfterMs)
      guard claims.notAfterMs - nowMs > validity / 8 else {
        return .warn(
          "sealing key", words, meaning: "its successor should be there by now",
          remedy: "look at the worker below, then ephemeral epochs rotate")
      }
      return .ok("sealing key", words)
    } catch {
      return StoreChecks.failure("sealing key", error)
    }
  }
}
