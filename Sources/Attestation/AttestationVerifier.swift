import FoundationEssentials
import SealedCrypto
import Wire
import X509

/// Verifies attestation documents of one class: under its one root, or for the emulated class without any.
///
/// The order of ``verify(_:at:measurements:userData:nonce:publicKey:maximumAgeMs:)`` is the whole of it: form and
/// bounds, then one policy after the other; the first that fails is the reason.
package struct AttestationVerifier: Sendable {
  /// The class, and its root.
  package let anchor: TrustAnchor

  /// A verifier of one class.
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
    let (candidate, path) = try candidate(document, at: moment)
    var policies = genuineness(path)
    if let maximumAgeMs { policies.append(FreshnessPolicy(maximumAgeMs: maximumAgeMs)) }
    if let measurements { policies.append(MeasurementPolicy(allowed: measurements)) }
    policies.append(BindingPolicy(userData: userData, nonce: nonce, publicKey: publicKey))
    for policy in policies { try policy.check(candidate) }
    return VerifiedAttestation(
      evidenceClass: anchor.evidenceClass, fields: candidate.document.fields,
      image: measurements.flatMap { MeasurementPolicy.match(candidate.document.fields.pcrs, $0) },
      chain: path?.links.map(VerifiedAttestation.ChainLink.init) ?? [])
  }

  /// The form of `document`, which must be that of this verifier's class, and the certificates of a signed one.
  func candidate(
    _ document: UnverifiedAttestation, at moment: Moment
  ) throws(AttestationRefusal) -> (AttestationCandidate, CertificatePath?) {
    let document = try AttestationDocument(document.bytes)
    let candidate = AttestationCandidate(document, at: moment)
    switch (document.form, anchor.root) {
    case (.signed, let root?): return (candidate, try CertificatePath(from: root, of: document))
    case (.unsigned, nil): return (candidate, nil)
    case (.unsigned, _?):
      throw AttestationRefusal(
        .evidenceClass, "protected header",
        "an emulator's unsigned document where \(anchor.evidenceClass.rawValue) is required")
    case (.signed, nil):
      throw AttestationRefusal(.evidenceClass, "protected header", "a signed document where emulated is required")
    }
  }

  /// What makes a document genuine, whatever it says; without a path it is of the emulated class, and nothing does.
  func genuineness(_ path: CertificatePath?) -> [any AttestationPolicy] {
    let content: [any AttestationPolicy] = [RegisterDigestPolicy(), MeasuredBootPolicy()]
    guard let path else { return [UnsignedDocumentPolicy()] + content }
    return [
      AnchoredPathPolicy(path: path, anchor: anchor), CertificateRolesPolicy(path: path),
      CertificateDatesPolicy(path: path), DocumentSignaturePolicy(leaf: path.leaf),
    ] + content
  }
}

/// The contents of a document that ``AttestationVerifier`` accepted. Nothing else makes one.
@dynamicMemberLookup
package struct VerifiedAttestation: Sendable {
  /// The class of the verifier that accepted it: all that the contents are worth.
  package let evidenceClass: EvidenceClass
  /// What it says; registers 0, 1 and 2 are among its `pcrs`.
  package let fields: DocumentFields
  /// The listed image that matched; nil where the caller listed none.
  package let image: MeasurementTuple?
  /// The path from the root to the leaf, for people; empty for the emulated class.
  package let chain: [ChainLink]

  /// One certificate of the path.
  package struct ChainLink: Sendable, Equatable {
    package let subject: String
    /// Milliseconds since 1970.
    package let notBeforeMs, notAfterMs: UInt64

    fileprivate init(_ link: CertificatePath.Link) {
      subject = "\(link.certificate.subject)"
      notBeforeMs = link.certificate.notValidBefore.milliseconds
      notAfterMs = link.certificate.notValidAfter.milliseconds
    }
  }

  package subscript<Value>(dynamicMember field: KeyPath<DocumentFields, Value>) -> Value { fields[keyPath: field] }

  fileprivate init(
    evidenceClass: EvidenceClass, fields: DocumentFields, image: MeasurementTuple?, chain: [ChainLink]
  ) {
    self.evidenceClass = evidenceClass
    self.fields = fields
    self.image = image
    self.chain = chain
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
