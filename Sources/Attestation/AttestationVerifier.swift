import FoundationEssentials
import SealedCrypto
import Wire
import X509

/// Verifies attestation documents of one class under its one root.
///
/// The order of ``verify(_:at:measurements:userData:nonce:publicKey:maximumAgeMs:)`` is the whole of it: form and
/// bounds, then one policy after the other; the first that fails is the reason.
package struct AttestationVerifier: Sendable {
  /// The root, and with it the class.
  package let anchor: TrustAnchor

  /// A verifier under one root.
  package init(_ anchor: TrustAnchor) { self.anchor = anchor }

  /// At which time certificates must be valid.
  package enum Moment: Sendable, Equatable {
    /// The document's own timestamp: for what was archived, since leaves live for three hours.
    case documentTime
    /// Milliseconds since 1970; "now" for what must be fresh.
    case at(ms: UInt64)
  }

  /// The document's contents, once everything about it holds.
  ///
  /// - Parameters:
  ///   - measurements: images of which one must match as a whole; nil accepts every image that is not in debug mode,
  ///     and then the caller decides by ``VerifiedAttestation/pcrs``.
  ///   - maximumAgeMs: age at `moment`; nil sets no bound.
  /// - Throws: ``AttestationRefusal``.
  package func verify(
    _ document: UnverifiedAttestation, at moment: Moment, measurements: [MeasurementTuple]?,
    userData: FieldExpectation = .anything, nonce: FieldExpectation = .anything,
    publicKey: FieldExpectation = .anything, maximumAgeMs: UInt64? = nil
  ) throws(AttestationRefusal) -> VerifiedAttestation {
    let candidate = try candidate(document, at: moment)
    var policies = genuineness
    if let maximumAgeMs { policies.append(FreshnessPolicy(maximumAgeMs: maximumAgeMs)) }
    if let measurements { policies.append(MeasurementPolicy(allowed: measurements)) }
    policies.append(BindingPolicy(userData: userData, nonce: nonce, publicKey: publicKey))
    for policy in policies { try policy.check(candidate) }
    return VerifiedAttestation(candidate, anchor, measurements)
  }

  /// The form of `document`, and its certificates.
  func candidate(_ document: UnverifiedAttestation, at moment: Moment) throws(AttestationRefusal)
    -> AttestationCandidate
  {
    try AttestationCandidate(try AttestationDocument(document.bytes), at: moment)
  }

  /// What makes a document genuine, whatever it says.
  var genuineness: [any AttestationPolicy] {
    [
      AnchoredPathPolicy(anchor: anchor), CertificateRolesPolicy(anchor: anchor),
      CertificateDatesPolicy(anchor: anchor), DocumentSignaturePolicy(), RegisterDigestPolicy(), MeasuredBootPolicy(),
    ]
  }
}

/// The contents of a document that ``AttestationVerifier`` accepted. Nothing else makes one.
package struct VerifiedAttestation: Sendable {
  /// The class of the root under which it verified.
  package let evidenceClass: EvidenceClass
  package let moduleID: String
  /// Milliseconds since 1970, by the hypervisor's clock.
  package let timeMs: UInt64
  /// Locked registers by index, 48 bytes each; 0, 1 and 2 are among them.
  package let pcrs: [Int: [UInt8]]
  /// RSA SPKI in documents for KMS.
  package let publicKey: [UInt8]?
  package let userData: [UInt8]?
  package let nonce: [UInt8]?
  /// The listed image that matched; nil where the caller listed none.
  package let image: MeasurementTuple?
  /// The path from the root to the leaf, for people.
  package let chain: [ChainLink]

  /// One certificate of the path.
  package struct ChainLink: Sendable, Equatable {
    package let subject: String
    /// Milliseconds since 1970.
    package let notBeforeMs, notAfterMs: UInt64
  }

  fileprivate init(_ candidate: AttestationCandidate, _ anchor: TrustAnchor, _ measurements: [MeasurementTuple]?) {
    let document = candidate.document
    evidenceClass = anchor.evidenceClass
    moduleID = document.moduleID
    timeMs = document.timeMs
    pcrs = document.pcrs
    publicKey = document.publicKey
    userData = document.userData
    nonce = document.nonce
    image = measurements.flatMap { MeasurementPolicy.match(document.pcrs, $0) }
    chain = candidate.path(from: anchor.root).map { _, certificate in
      ChainLink(
        subject: "\(certificate.subject)", notBeforeMs: certificate.notValidBefore.milliseconds,
        notAfterMs: certificate.notValidAfter.milliseconds)
    }
  }
}

/// Proof that a document verified under the AWS root: what production requires takes this type.
package struct ProductionEvidence: Sendable {
  /// The attestation.
  package let attestation: VerifiedAttestation

  /// - Throws: ``AttestationRefusal`` for evidence of another class.
  package init(_ attestation: VerifiedAttestation) throws(AttestationRefusal) {
    guard attestation.evidenceClass == .production else {
      throw AttestationRefusal(
        .evidenceClass, "document", "\(attestation.evidenceClass.rawValue) evidence where production is required")
    }
    self.attestation = attestation
  }
}

extension Date {
  /// Whole milliseconds since 1970, zero for what lies before.
  fileprivate var milliseconds: UInt64 { UInt64(exactly: max(0, timeIntervalSince1970 * 1000).rounded(.down)) ?? 0 }
}
