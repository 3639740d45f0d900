import Client
import Foundation
import Glibc
import ObjectStore
import SealedCrypto

/// The client's side, where this user has a trust profile: keys, profiles, the store.
struct ClientChecks {
  let home: ClientHome
  let storeURL: String?
  let nowMs: UInt64
  private static let soonMs: UInt64 = 7 * 86_400_000

  /// Empty where there is no profile.
  func examine() -> [Diagnosis] {
    let trust = TrustStore(home: home)
    guard let names = try? trust.names(), !names.isEmpty else { return [] }
    var found = names.map { profile($0, trust) } + keys()
    if let storeURL { found.append(store(storeURL)) }
    return found
  }

  private func profile(_ name: String, _ trust: TrustStore) -> Diagnosis {
    let check = "profile \(name)"
    do {
      let profile = try trust.load(name)
      guard let policy = try trust.policies(profile).newest() else {
        return .warn(
          check, "class \(profile.evidenceClass.rawValue), no policy accepted yet",
          remedy: "ephemeral submit --dry-run FILE fetches it")
      }
      let end = policy.claims.notAfterMs
      let words =
        "class \(profile.evidenceClass.rawValue), policy \(policy.claims.version) until \(Timestamps.text(end))"
      let remedy = "ask the security officer for the next version; ephemeral submit --dry-run FILE takes it"
      if end <= nowMs {
        return .fail(check, words, meaning: "it has ended: nothing is sealed under it", remedy: remedy)
      }
      return end - nowMs < Self.soonMs ? .warn(check, words, remedy: remedy) : .ok(check, words)
    } catch {
      let words = (error as? ClientError).map { ($0.reason, $0.remedy) } ?? ("\(error)", "ephemeral trust show \(name)")
      return .fail(check, words.0, remedy: words.1)
    }
  }

  private func keys() -> [Diagnosis] {
    ["keys/identity.txt", "keys/submitter.key", "keys/publisher.key"].compactMap { name in
      let path = "\(home.path)/\(name)"
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      guard status.st_mode & 0o077 == 0 else {
        return .fail(
          "client key", "\(path) can be read by others", meaning: "whoever has it reads results or submits as you",
          remedy: "chmod 600 \(path); then make new keys: ephemeral keys rotate")
      }
      return .ok("client key", path)
    }
  }

  private func store(_ url: String) -> Diagnosis {
    do {
      let store = try StoreURL.open(url)
      _ = try store.head(try ObjectKey(StoreLayout.policy))
      return .ok("client store", "\(store.location) answers")
    } catch {
      return StoreChecks.failure("client store", error)
    }
  }
}
