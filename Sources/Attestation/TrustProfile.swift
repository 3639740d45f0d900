import SealedCrypto
import Wire

/// What a client trusts: one class of evidence, its one root if it has any, one policy key (protocol §8). Where it is stored is the
/// client's business.
package struct TrustProfile: Sendable {
  /// The user's name of it.
  package let name: String
  /// The class, and its root.
  package let anchor: TrustAnchor
  /// Verifies policies.
  package let policyKey: VerifyingKey

  /// The class.
  package var evidenceClass: EvidenceClass { anchor.evidenceClass }
  /// The verifier of this profile's documents.
  package var verifier: AttestationVerifier { AttestationVerifier(anchor) }

  /// - Parameter rootPEM: the root of a development profile; a production profile carries AWS's own and may leave it
  ///   out, and one that brings another is refused; an emulated profile has none.
  /// - Throws: ``AttestationRefusal``.
  package init(name: String, evidenceClass: EvidenceClass, rootPEM: String?, policyKey: VerifyingKey) throws {
    self.name = name
    self.policyKey = policyKey
    switch evidenceClass {
    case .production:
      anchor = try TrustAnchor.production()
      if let rootPEM {
        guard try TrustAnchor.fingerprint(pem: rootPEM) == anchor.rootSHA256 else {
          throw AttestationRefusal(.wrongRoot, "root.pem", "a production profile has the AWS root and no other")
        }
      }
    case .development:
      guard let rootPEM else {
        throw AttestationRefusal(.wrongRoot, "root.pem", "a development profile needs devcloud's root")
      }
      anchor = try TrustAnchor.development(pem: rootPEM)
    case .emulated:
      guard rootPEM == nil else {
        throw AttestationRefusal(.wrongRoot, "root.pem", "emulated evidence is unsigned: its profile has no root")
      }
      anchor = .emulated
    }
  }
}
