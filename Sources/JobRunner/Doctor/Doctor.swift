import Client
import Foundation
import ObjectStore
import SealedCrypto
import Wire

/// Looks at everything that a host's daemon and this user's client need, and changes nothing but for a probe in the store
/// and a small file in the state folder, both of which it removes.
struct Doctor {
  /// What the daemon is configured with, as far as it can be read: a wrong key spoils one line, not the visit.
  struct Settings {
    var storeURL: String?
    var stateFolder: String?
    var socketPath: String?
    var workers: [(name: String, address: WorkerAddress)] = []
    var relayTarget: RelayTarget?
    var policyKey: VerifyingKey?
    var schedulesFolder: String?
    /// Files that the daemon reads, and what each is.
    var files: [(what: String, path: String, isSecret: Bool)] = []
    /// What of the configuration cannot be used.
    var faults: [Diagnosis] = []
    /// Whether anything names a daemon. A store alone does not: clients have one too, by the same variable.
    var isHost: Bool { stateFolder != nil || !workers.isEmpty }
  }

  let settings: Settings
  let client: ClientChecks?

  /// Everything, in the order in which one thing rests on another.
  func examine() -> [Diagnosis] {
    var found = settings.faults
    if settings.isHost { found += host() }
    if let client { found += client.examine() }
    return found
  }

  private func host() -> [Diagnosis] {
    let nowMs = Timestamps.nowMs()
    var found = MachineChecks(
      stateFolder: settings.stateFolder, socketPath: settings.socketPath, files: settings.files
    ).examine()
    var policy: PolicyClaims?
    if let url = settings.storeURL {
      do {
        let store = try StoreURL.open(url)
        let policies = PolicyChecks(store: store, key: settings.policyKey, nowMs: nowMs)
        let stores = StoreChecks(store: store).examine()
        found += stores
        // A store that does not answer says nothing of a policy.
        if stores.count > 1 {
          found += policies.examine()
          policy = policies.policy()
        }
      } catch {
        found.append(StoreChecks.failure("store", error))
      }
    }
    for worker in settings.workers {
      found += WorkerChecks(name: worker.name, address: worker.address, policy: policy).examine()
    }
    if let target = settings.relayTarget { found += KMSChecks(target: target, policy: policy).examine() }
    return found
      + DaemonChecks(
        stateFolder: settings.stateFolder, socketPath: settings.socketPath, schedulesFolder: settings.schedulesFolder
      ).examine()
  }
}
