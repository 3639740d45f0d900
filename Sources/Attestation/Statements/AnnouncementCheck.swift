import SealedCrypto
import Wire

/// Everything that a client checks of an announcement before it seals a byte (protocol §4).
package struct AnnouncementCheck: Sendable {
  private let verifier: AttestationVerifier
  private let policy: Signed<PolicyClaims>
  private let newestAcceptedMs: UInt64

  /// How far the client's clock and the hypervisor's may differ.
  package static let clockSkewMs: UInt64 = 10 * 60_000

  /// - Parameters:
  ///   - policy: the client's own, verified under its profile's key.
  ///   - newestAcceptedMs: document time of the newest announcement that this profile has accepted; 0 for none.
  package init(verifier: AttestationVerifier, policy: Signed<PolicyClaims>, newestAcceptedMs: UInt64) {
    self.verifier = verifier
    self.policy = policy
    self.newestAcceptedMs = newestAcceptedMs
  }

  /// The sealing key that may be used now.
  ///
  /// - Parameters:
  ///   - bytes: the announcement's COSE bytes, as the store gave them.
  ///   - nowMs: the client's clock, milliseconds since 1970.
  /// - Throws: ``AttestationRefusal`` for what an enclave would not say or the policy does not allow; ``WireError`` and
  ///   ``StatementError`` for bytes that are no announcement.
  package func accept(_ bytes: [UInt8], nowMs: UInt64) throws -> AcceptedAnnouncement {
    try checkPolicy(nowMs)
    let unattested = try UnverifiedStatement<AnnouncementClaims>(bytes).signedByItsOwnKey()
    let announcement = try verifier.attested(unattested, measurements: policy.claims.measurements)
    try checkKMSKey(announcement.claims)
    try checkPolicyNamed(announcement.claims)
    try checkEpoch(announcement.claims)
    try checkValidity(announcement, nowMs)
    return AcceptedAnnouncement(announcement)
  }

  private func checkPolicy(_ nowMs: UInt64) throws(AttestationRefusal) {
    guard nowMs <= policy.claims.notAfterMs else {
      throw AttestationRefusal(.policy, "policy", "version \(policy.claims.version) has expired")
    }
  }

  private func checkKMSKey(_ claims: AnnouncementClaims) throws(AttestationRefusal) {
    guard claims.kmsKey == policy.claims.epochKey else {
      throw AttestationRefusal(.statement, "announcement", "its KMS key is not the policy's epoch key")
    }
  }

  /// Another version is legal: an announcement outlives the policy under which it was made. Two policies of one version
  /// are not.
  private func checkPolicyNamed(_ claims: AnnouncementClaims) throws(AttestationRefusal) {
    guard claims.policyVersion != policy.claims.version || claims.policyDigest == policy.digest else {
      throw AttestationRefusal(.policy, "announcement", "made under another policy of version \(claims.policyVersion)")
    }
  }

  private func checkEpoch(_ claims: AnnouncementClaims) throws(AttestationRefusal) {
    guard policy.claims.permits(epoch: claims.epoch) else {
      throw AttestationRefusal(
        .epoch, "announcement",
        "epoch \(claims.epoch), the policy permits \(Limits.epochsAboveMinimum) from \(policy.claims.minimumEpoch) on")
    }
  }

  private func checkValidity(_ announcement: Attested<AnnouncementClaims>, _ nowMs: UInt64) throws(AttestationRefusal) {
    let claims = announcement.claims
    let madeMs = announcement.attestation.timeMs
    let (endMs, overflow) = madeMs.addingReportingOverflow(policy.claims.epochValidityMs)
    // Counted from the document's time: an enclave that dates its claims ahead gains nothing.
    guard overflow || claims.notAfterMs <= endMs else {
      throw AttestationRefusal(.validity, "announcement", "valid for longer than the policy allows")
    }
    guard madeMs >= newestAcceptedMs else {
      throw AttestationRefusal(.stale, "announcement", "older than the newest that was accepted before")
    }
    guard madeMs <= nowMs || madeMs - nowMs <= Self.clockSkewMs else {
      throw AttestationRefusal(.validity, "announcement", "made in the future; compare this machine's clock")
    }
    guard claims.notBeforeMs <= nowMs || claims.notBeforeMs - nowMs <= Self.clockSkewMs else {
      throw AttestationRefusal(.validity, "announcement", "not valid yet")
    }
    guard nowMs < claims.notAfterMs else {
      throw AttestationRefusal(.validity, "announcement", "expired; the host must announce a new epoch")
    }
  }
}

/// A sealing key that passed every check of ``AnnouncementCheck``; whatever seals takes this type.
package struct AcceptedAnnouncement: Sendable {
  /// The statement and its evidence.
  package let attested: Attested<AnnouncementClaims>

  /// What it says.
  package var claims: AnnouncementClaims { attested.claims }
  /// The document's time: the client keeps the newest, so that an older announcement is refused from then on.
  package var timeMs: UInt64 { attested.attestation.timeMs }
  /// The class of the evidence, for every screen.
  package var evidenceClass: EvidenceClass { attested.attestation.evidenceClass }

  fileprivate init(_ attested: Attested<AnnouncementClaims>) { self.attested = attested }
}
