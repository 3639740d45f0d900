import FoundationEssentials
import Glibc
import SealedCrypto

/// Where credentials come from. Asked for each request, so that a source can renew what expires.
package protocol CredentialSource: Sendable {
  /// - Throws: ``ObjectStoreError`` of kind `denied`, naming what to set, or `retryable` where a service that hands them
  ///   out does not answer.
  func credentials() throws -> AWSCredentials
}

/// Credentials that are known already.
package struct FixedCredentials: CredentialSource {
  private let value: AWSCredentials

  package init(_ value: AWSCredentials) { self.value = value }

  package func credentials() -> AWSCredentials { value }
}

/// AWS's chain, the first that has credentials: a profile that was asked for by name (and then nothing else), the
/// environment, the profile of the shared files, the container's endpoint, the instance's role by IMDSv2. Not among
/// them: SSO, `credential_process`, assumed roles, web identity tokens; a profile that asks for one of these is an error.
///
/// What expires is renewed in time (``RenewingCredentials``).
package final class DefaultCredentials: CredentialSource {
  private let renewing: RenewingCredentials

  /// - Parameters:
  ///   - environment: as AWS's tools read it (docs/operations/credentials.md lists the names).
  ///   - profile: of the shared files; takes precedence over everything else.
  ///   - now: seconds since 1970.
  package init(
    _ environment: [String: String], profile: String? = nil,
    now: @escaping @Sendable () -> Int64 = { Int64(time(nil)) }
  ) {
    // An empty variable is an unset one, as for AWS's tools.
    let environment = environment.filter { !$0.value.isEmpty }
    let places: [any CredentialPlace] =
      if let profile {
        [ProfileCredentials(environment, name: profile)]
      } else {
        [
          EnvironmentCredentials(environment), ProfileCredentials(environment, name: nil),
          ContainerCredentials(environment), InstanceRoleCredentials(environment),
        ]
      }
    let chain = CredentialChain(places)
    renewing = RenewingCredentials(now: now) { try chain.find() }
  }

  package func credentials() throws -> AWSCredentials { try renewing.credentials() }

  /// Why the last try to renew failed, while the credentials at hand are still good; nil when all is well.
  package var trouble: ObjectStoreError? { renewing.trouble }
}
