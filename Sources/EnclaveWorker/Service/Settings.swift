import SealedCrypto
import Synchronization
import Wire

/// What `configure` installed: a verified policy, and what the host lends.
struct Settings: Sendable {
  let policy: Signed<PolicyClaims>
  let access: KMSAccess
}

/// The settings of this boot. Policies only move forward.
final class SettingsStore: Sendable {
  private let installed = Mutex<Settings?>(nil)

  var current: Settings? { installed.withLock { $0 } }

  /// The settings for an activity that needs a policy in force.
  ///
  /// - Throws: ``WorkerFault`` with `retry`: the host mends it by `configure`.
  func inForce(atMs now: UInt64) throws -> Settings {
    guard let settings = current else { throw WorkerFault.retry("no policy is installed") }
    guard now <= settings.policy.claims.notAfterMs else { throw WorkerFault.retry("the policy has ended") }
    return settings
  }

  /// Verifies the policy under the image's key and takes over relay and credentials.
  ///
  /// Refused: another signer, a passed end, a version below one seen in this boot, the same version with other bytes
  /// (a fork), KMS keys that are no full ARNs, and outside of development a relay that is no vsock address: an enclave
  /// has no other way out. Where the image pins its policy, any other than the first of this boot is refused too.
  ///
  /// - Throws: ``WorkerFault``, ``SecurityModuleError``.
  func install(
    _ configuration: WorkerConfiguration, policyKey: VerifyingKey, evidenceClass: Image.EvidenceClass,
    pin: PolicyPin? = nil, atMs now: UInt64
  ) throws -> Settings {
    if case .unix = configuration.relay, evidenceClass != .development {
      throw WorkerFault.refused("a relay at a Unix path")
    }
    let policy = try WorkerFault.refusing("policy") {
      let policy = try UnverifiedStatement<PolicyClaims>(configuration.policy).verified(by: policyKey)
      guard now <= policy.claims.notAfterMs else { throw WorkerFault.refused("the policy has ended") }
      _ = try KMSKeyARN(policy.claims.epochKey)
      for publisher in policy.claims.publishers { _ = try KMSKeyARN(publisher.modelKey) }
      return policy
    }
    let credentials = AWSCredentials(
      accessKeyID: configuration.accessKeyID, secret: try SecretBytes(copying: configuration.secretAccessKey),
      sessionToken: configuration.sessionToken)
    return try installed.withLock { installed in
      if let old = installed?.policy {
        guard policy.claims.version >= old.claims.version else { throw WorkerFault.refused("an older policy") }
        guard policy.claims.version > old.claims.version || policy.digest == old.digest else {
          throw WorkerFault.refused("another policy of the same version")
        }
      }
      // Before anything can use these settings, and so before the first request to KMS.
      try pin?.pin(policy.digest)
      let lent = installed?.access.credentials ?? LentCredentials(credentials)
      lent.renew(credentials)
      let settings = Settings(
        policy: policy,
        access: KMSAccess(
          relay: configuration.relay, credentials: lent, requireHybridTLS: policy.claims.requireHybridTLS,
          useFIPSEndpoint: policy.claims.useFIPSEndpoint))
      installed = settings
      return settings
    }
  }
}
