import SealedCrypto
import Wire

/// What the linter found.
package struct KeyPolicyReport: Equatable, Sendable {
  /// The worst first, then by place.
  package let findings: [KeyPolicyFinding]
  /// PCR0, PCR1, PCR2 of each image that is given secrets, in hexadecimal.
  package let images: [[String]]

  /// Whether nothing defeats attestation and nothing weakens it.
  package var isClean: Bool { !findings.contains { $0.severity < .informs } }
  /// Whether something defeats attestation.
  package var isDefeated: Bool { findings.contains { $0.severity == .defeats } }
}

/// Decides what a key policy really permits, and says what is wrong with it.
///
/// The judgement rests on evaluation: for each action that gives a secret away, every request that the registers named
/// in the policy can tell apart is tried (absent, zero, each value, any other). A Deny counts only where it must apply
/// to everyone, an Allow wherever it may, so that an unknown part of a request is always taken in the attacker's favour.
package struct KeyPolicyLinter {
  let policy: KeyPolicyDocument
  let use: KeyUse

  /// The linter for one policy and what its key is for.
  package init(_ policy: KeyPolicyDocument, use: KeyUse) {
    self.policy = policy
    self.use = use
  }

  /// - Parameters:
  ///   - measurements: the images that should be given secrets, and no others; nil where that is not known.
  ///   - key: findings about the key itself (``KeyDescription``, ``KeyGrants``).
  /// - Throws: ``KeyPolicyDocument/Malformed`` for a policy with more values than can be tried.
  package func report(measurements: [MeasurementTuple]? = nil, key: [KeyPolicyFinding] = []) throws -> KeyPolicyReport {
    let requests = try AttestedRequests(policy)
    var findings = key
    for statement in policy.statements { findings += statementFindings(statement) }

    var released = Set<[String]>()
    var exempt = Set<String>()
    var holes = Holes()
    for action in use.releasing {
      let seen = evaluate(action, requests, &holes)
      released.formUnion(seen.released)
      exempt.formUnion(seen.exempt)
    }
    evaluateUnattested(&holes)
    findings += holeFindings(holes)
    findings += imageFindings(released, exempt, measurements)
    findings += governanceFindings()

    let sorted = findings.enumerated().sorted { left, right in
      (left.element.severity, left.offset) < (right.element.severity, right.offset)
    }
    let images = Set(released.map { Array($0.prefix(3)) }).sorted { $0.lexicographicallyPrecedes($1) }
    return KeyPolicyReport(findings: sorted.map(\.element), images: images)
  }

  private func imageFindings(
    _ released: Set<[String]>, _ exempt: Set<String>, _ measurements: [MeasurementTuple]?
  ) -> [KeyPolicyFinding] {
    var findings: [KeyPolicyFinding] = []
    let images = Set(released.map { Array($0.prefix(3)) })
    if images.isEmpty {
      findings.append(
        KeyPolicyFinding(.releasesNothing, at: "policy", "no image is given \(use.releasing[0]) under attestation"))
    }
    let mixed = Dictionary(grouping: images, by: { $0[0] }).filter { $0.value.count > 1 }
    for pcr0 in mixed.keys.sorted() {
      findings.append(
        KeyPolicyFinding(
          .mixesImages, at: "policy",
          "PCR0 \(short(pcr0)) is accepted with \(mixed[pcr0]?.count ?? 0) combinations of PCR1 and PCR2"))
    }
    for pcr0 in exempt.subtracting(images.map { $0[0] }).sorted() {
      findings.append(
        KeyPolicyFinding(
          .denyExempts, at: "policy", "no Deny stops the image of PCR0 \(short(pcr0)), and no Allow names it"))
    }
    guard let measurements else { return findings }
    let expected = measurements.map { [$0.pcr0, $0.pcr1, $0.pcr2].map { Hex.encode($0) } }
    for image in images.subtracting(expected).sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      findings.append(
        KeyPolicyFinding(
          .unknownImage, at: "policy",
          "PCR0 \(short(image[0])), PCR1 \(short(image[1])), PCR2 \(short(image[2])) is given secrets"))
    }
    for (tuple, image) in zip(measurements, expected) {
      guard images.contains(image) else {
        findings.append(
          KeyPolicyFinding(.imageNotReleased, at: "policy", "image \(tuple.name), PCR0 \(short(image[0]))"))
        continue
      }
      guard let pcr8 = tuple.pcr8.map({ Hex.encode($0) }) else { continue }
      let signers = Set(released.filter { Array($0.prefix(3)) == image }.map { $0[3] })
      if signers != [pcr8] {
        findings.append(
          KeyPolicyFinding(
            .signerNotDemanded, at: "policy", "image \(tuple.name) is listed with PCR8, which is not demanded"))
      }
    }
    return findings
  }

  func short(_ value: String) -> String { "\(value.prefix(16))…" }
}
