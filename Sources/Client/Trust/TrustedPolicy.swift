import Attestation
import ObjectStore
import SealedCrypto
import Wire

/// A policy that verified under a profile's policy key and was accepted. Nothing but ``PolicyBook`` makes one.
package struct TrustedPolicy: Sendable {
  package let signed: Signed<PolicyClaims>
  package var claims: PolicyClaims { signed.claims }
  package var digest: ContentDigest { signed.digest }

  fileprivate init(_ signed: Signed<PolicyClaims>) { self.signed = signed }
}

/// Where a policy came from, for what is said when it is refused.
package enum PolicyOrigin: Sendable, Equatable {
  /// The store: what the host serves.
  case store
  /// A file of the person at this keyboard.
  case file(String)

  fileprivate var name: String {
    switch self {
    case .store: "the store's policy"
    case .file(let path): path
    }
  }
}

/// The policies accepted under one trust profile. Versions only grow: an older one from the store is a rollback.
package struct PolicyBook: Sendable {
  private let profile: TrustProfile
  private let directory: String

  init(profile: TrustProfile, directory: String) {
    self.profile = profile
    self.directory = directory
  }

  /// Fetches the store's policy, verifies it, and accepts it unless it is older than one accepted before.
  ///
  /// - Throws: ``ClientError`` of kind `rejected`; what the store throws.
  package func refresh(from store: any ObjectStore, nowMs: UInt64) throws -> TrustedPolicy {
    let bytes: [UInt8]
    do {
      bytes = try store.getSmall(try ObjectKey(StoreLayout.policy))
    } catch let error as ObjectStoreError where error.kind == .notFound {
      throw ClientError(
        .notFound, "the store \(store.location) has no policy (\(StoreLayout.policy))",
        remedy: "put the signed policy there", by: .operator_)
    }
    return try accept(bytes, from: .store, nowMs: nowMs)
  }

  /// Verifies and accepts a policy's bytes.
  package func accept(
    _ bytes: [UInt8], from origin: PolicyOrigin = .store, nowMs: UInt64
  ) throws -> TrustedPolicy {
    let signed = try verify(bytes, origin.name)
    let claims = signed.claims
    // Another process may accept a newer one between the comparison and the write.
    let lock = try PrivateFiles.lockDirectory(directory)
    defer { withExtendedLifetime(lock) {} }
    if let newest = try newest() {
      guard claims.version >= newest.claims.version else {
        let what =
          "\(origin.name) is version \(claims.version), and version \(newest.claims.version) was accepted before"
        switch origin {
        case .store:
          throw ClientError(
            .rejected, "\(what): it was rolled back", remedy: "put the current policy back into the store",
            by: .operator_)
        case .file:
          throw ClientError(
            .rejected, "\(what): an older one is not installed",
            remedy: "install the newest, or sign this one under a version above \(newest.claims.version)",
            by: .securityOfficer)
        }
      }
      guard claims.version > newest.claims.version || signed.digest == newest.digest else {
        throw ClientError(
          .rejected,
          "there are two policies of version \(claims.version): \(signed.digest.hex.prefix(16))… (\(origin.name)) and "
            + "\(newest.digest.hex.prefix(16))…, accepted before",
          remedy: "find out who signed the second one, and give every change a new version", by: .securityOfficer)
      }
    }
    guard claims.notAfterMs > nowMs else {
      throw ClientError(
        .rejected, "policy version \(claims.version) ended on \(Timestamps.text(claims.notAfterMs))",
        remedy: "sign a new one", by: .securityOfficer)
    }
    try PrivateFiles.write(bytes, to: path(claims.version), mode: PrivateFiles.publicMode)
    return TrustedPolicy(signed)
  }

  /// The newest policy accepted so far.
  package func newest() throws -> TrustedPolicy? {
    guard let version = try versions().max() else { return nil }
    return try read(version)
  }

  /// Every policy accepted so far, for the receipts that name them.
  package func all() throws -> [Signed<PolicyClaims>] { try versions().sorted().map { try read($0).signed } }

  /// The accepted policy of this digest: what a receipt that names it was made under.
  ///
  /// - Throws: ``ClientError`` of kind `rejected` where none was accepted.
  package func accepted(_ digest: ContentDigest) throws -> TrustedPolicy {
    for version in try versions() {
      let policy = try read(version)
      if policy.digest == digest { return policy }
    }
    throw ClientError(.rejected, "the receipt's policy is not known", remedy: "fetch again", by: .securityOfficer)
  }

  private func path(_ version: UInt64) -> String { "\(directory)/policy-\(version).cose" }

  private func versions() throws -> [UInt64] {
    try PrivateFiles.names(in: directory).compactMap { name in
      guard name.hasPrefix("policy-"), name.hasSuffix(".cose") else { return nil }
      return UInt64(name.dropFirst(7).dropLast(5))
    }
  }

  /// What was accepted is verified again: the directory may have come from a backup.
  private func read(_ version: UInt64) throws -> TrustedPolicy {
    let signed = try verify(try PrivateFiles.read(path(version)), path(version))
    guard signed.claims.version == version else {
      throw ClientError(.rejected, "\(path(version)) is another version", remedy: "restore the trust profile")
    }
    return TrustedPolicy(signed)
  }

  private func verify(_ bytes: [UInt8], _ place: String) throws -> Signed<PolicyClaims> {
    do {
      return try UnverifiedStatement<PolicyClaims>(bytes).verified(by: profile.policyKey)
    } catch {
      throw ClientError(
        .rejected, "\(place) does not verify under the policy key of profile \(profile.name): \(error)",
        remedy:
          "use the policy that the security officer signed; if your policy key is an old one, ask for the new profile",
        by: place == PolicyOrigin.store.name ? .operator_ : .securityOfficer)
    }
  }
}
