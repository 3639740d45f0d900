import SealedCrypto
import Wire

/// Judges receipts (protocol §6), also years later: certificates at document time, the policy by version and digest.
package struct ReceiptCheck: Sendable {
  private let verifier: AttestationVerifier
  private let policies: [Signed<PolicyClaims>]

  /// How far the times in a receipt may stand after its document's: the worker reads them from one clock.
  private static let clockSkewMs: UInt64 = 60_000
  /// How long after a job's end its receipt is attested, at most.
  private static let attestationDelayMs: UInt64 = 15 * 60_000

  /// How long after its issue a policy may not have reached every host yet: a receipt made later under an older policy is
  /// refused when the newer one no longer lists the image.
  package static let policyLagMs: UInt64 = 24 * 3_600_000

  /// - Parameter policies: every policy that the profile has accepted, each verified under its key.
  package init(verifier: AttestationVerifier, policies: [Signed<PolicyClaims>]) {
    self.verifier = verifier
    self.policies = policies
  }

  /// The verdict on `bytes`, line by line. Never throws: bytes that are no receipt fail the first line.
  package func verdict(_ bytes: [UInt8], expecting expected: ReceiptExpectation) -> ReceiptVerdict {
    var answers: [ReceiptVerdict.Question: ReceiptVerdict.Answer] = [:]
    let unattested: Unattested<ReceiptClaims>
    let candidate: AttestationCandidate
    do {
      unattested = try UnverifiedStatement<ReceiptClaims>(bytes).signedByItsOwnKey()
      answers[.form] = .met("signed by its own key, Ed25519")
    } catch {
      return ReceiptVerdict([.form: .failed("\(error)")], receipt: nil)
    }
    do {
      let path: CertificatePath?
      (candidate, path) = try verifier.candidate(UnverifiedAttestation(unattested.document), at: .documentTime)
      for policy in verifier.genuineness(path) { try policy.check(candidate) }
      let origin = path == nil ? "EMULATED, no chain, no signature" : "\(verifier.anchor.evidenceClass.rawValue) root"
      answers[.chain] = .met("\(origin), \(candidate.document.fields.moduleID.printable)")
    } catch {
      answers[.chain] = .failed("\(error)")
      return ReceiptVerdict(answers, receipt: nil)
    }
    let claims = unattested.signed.claims
    let document = candidate.document.fields
    let policy = policy(named: claims)
    answers[.policy] = policyAnswer(claims, policy, document, expected)
    answers[.measurements] = measurements(document, policy)
    answers[.keyBinding] = keyBinding(unattested, candidate)
    answers[.times] = times(claims, document.timeMs)
    answers[.bundle] = bundle(claims, expected)
    answers[.manifest] = manifest(claims, expected)
    answers[.files] = files(claims, expected)
    answers[.items] = items(claims, expected)
    // The proof type comes from the verifier alone, so the evidence is asked once more as a whole.
    let attested = policy.flatMap { policy in
      try? verifier.attested(unattested, measurements: policy.claims.measurements)
    }
    return ReceiptVerdict(answers, receipt: attested)
  }

  private func policy(named claims: ReceiptClaims) -> Signed<PolicyClaims>? {
    policies.first { $0.claims.version == claims.policyVersion && $0.digest == claims.policyDigest }
  }

  private func policyAnswer(
    _ claims: ReceiptClaims, _ policy: Signed<PolicyClaims>?, _ document: DocumentFields,
    _ expected: ReceiptExpectation
  ) -> ReceiptVerdict.Answer {
    guard let policy else {
      return .failed("version \(claims.policyVersion) with this digest is none that this profile accepted")
    }
    guard document.timeMs <= policy.claims.notAfterMs else {
      return .failed("version \(claims.policyVersion) had expired when the receipt was made")
    }
    // The officer's clock dates a policy and the hypervisor's a receipt: a day is more than they differ.
    guard policy.claims.issuedMs <= document.timeMs || policy.claims.issuedMs - document.timeMs <= Self.policyLagMs
    else { return .failed("version \(claims.policyVersion) was issued more than a day after the receipt") }
    if let least = expected.minimumPolicyVersion, claims.policyVersion < least {
      return .failed("version \(claims.policyVersion) is older than \(least), under which the job was sealed")
    }
    if let newer = policyInForce(after: claims.policyVersion, atMs: document.timeMs),
      MeasurementPolicy.match(document.pcrs, newer.claims.measurements) == nil
    {
      return .failed(
        "version \(newer.claims.version), issued more than a day before the receipt, no longer lists its image")
    }
    return .met("version \(claims.policyVersion), \(policy.digest.short)")
  }

  /// The newest accepted policy behind `version` that every host must have had at that time; nil for none.
  private func policyInForce(after version: UInt64, atMs timeMs: UInt64) -> Signed<PolicyClaims>? {
    policies.filter { policy in
      let (inForceMs, overflow) = policy.claims.issuedMs.addingReportingOverflow(Self.policyLagMs)
      return policy.claims.version > version && !overflow && inForceMs < timeMs
    }.max { $0.claims.version < $1.claims.version }
  }

  private func measurements(_ document: DocumentFields, _ policy: Signed<PolicyClaims>?) -> ReceiptVerdict.Answer {
    guard let policy else { return .notChecked("the policy that lists them is not known") }
    guard let image = MeasurementPolicy.match(document.pcrs, policy.claims.measurements) else {
      return .failed("no image of the policy has these measurements")
    }
    return .met("image \(image.name.printable), PCR0 \(Hex.encode(image.pcr0.prefix(8)))…")
  }

  private func keyBinding(
    _ unattested: Unattested<ReceiptClaims>, _ candidate: AttestationCandidate
  ) -> ReceiptVerdict.Answer {
    let binding = BindingPolicy(userData: .exactly(unattested.binding), nonce: .absent, publicKey: .absent)
    do {
      try binding.check(candidate)
      return .met("the document binds this receipt and its key \(unattested.signed.signer.digest.short)")
    } catch {
      return .failed("\(error)")
    }
  }

  private func times(_ claims: ReceiptClaims, _ timeMs: UInt64) -> ReceiptVerdict.Answer {
    guard claims.endedMs <= timeMs || claims.endedMs - timeMs <= Self.clockSkewMs else {
      return .failed("the job ends after its receipt was attested")
    }
    guard timeMs <= claims.endedMs || timeMs - claims.endedMs <= Self.attestationDelayMs else {
      return .failed("attested long after the job's end")
    }
    return .met("\(claims.endedMs - claims.startedMs) ms by the hypervisor's clock")
  }

  private func bundle(_ claims: ReceiptClaims, _ expected: ReceiptExpectation) -> ReceiptVerdict.Answer {
    guard claims.bundle == expected.job else { return .failed("the receipt is of another job, \(claims.bundle.short)") }
    return .met("\(claims.bundle.short), \(claims.outcome.rawValue)")
  }

  private func manifest(_ claims: ReceiptClaims, _ expected: ReceiptExpectation) -> ReceiptVerdict.Answer {
    guard let job = claims.job else { return .notChecked("the job ended before its manifest verified") }
    guard expected.manifest == nil || job.manifest == expected.manifest else {
      return .failed("not the manifest that was submitted")
    }
    guard expected.submitter == nil || job.submitter == expected.submitter else {
      return .failed("another submitter's job")
    }
    guard expected.model == nil || job.model == expected.model else { return .failed("computed with another model") }
    guard expected.manifest != nil else { return .notChecked("no ledger entry to compare \(job.manifest.short) with") }
    return .met("\(job.manifest.short), number \(job.sequence) of its stream")
  }

  private func files(_ claims: ReceiptClaims, _ expected: ReceiptExpectation) -> ReceiptVerdict.Answer {
    guard let job = claims.job else { return .notChecked("the job ended before its manifest verified") }
    guard let found = expected.files else { return .notChecked("no result files were given") }
    for file in job.files {
      guard let candidate = found.first(where: { $0.file == file.file }) else {
        return .failed("\(file.file.sealedName) is missing")
      }
      guard candidate == file else { return .failed("\(file.file.sealedName) is not what the enclave sealed") }
    }
    guard found.count == job.files.count else { return .failed("a file that the receipt does not name") }
    return .met("\(job.files.count) of \(job.files.count)")
  }

  private func items(_ claims: ReceiptClaims, _ expected: ReceiptExpectation) -> ReceiptVerdict.Answer {
    guard let job = claims.job else { return .notChecked("the job ended before its manifest verified") }
    guard let found = expected.items else {
      return .notChecked("\(job.items) items, \(job.failedItems) failed; the results were not opened")
    }
    guard found.count == job.items, found.failed == job.failedItems else {
      return .failed("\(found.count) items and \(found.failed) failed, not \(job.items) and \(job.failedItems)")
    }
    guard found.merkleRoot == job.merkleRoot else { return .failed("the items' Merkle root is another") }
    return .met("\(job.items) items, \(job.failedItems) failed, Merkle root \(job.merkleRoot.short)")
  }
}

extension ContentDigest {
  /// The first 16 digits, for a line that a person reads.
  fileprivate var short: String { String(hex.prefix(16)) + "…" }
}

extension String {
  /// Bounded and without control characters: text from outside on a screen.
  fileprivate var printable: String {
    String(unicodeScalars.prefix(80).map { $0.value >= 32 && $0.isASCII && $0.value != 127 ? Character($0) : "?" })
  }
}
