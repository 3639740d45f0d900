import Inference
import SealedCrypto
import Wire

/// A risk in a policy, for the person who signs it.
package struct PolicyFinding: Sendable, Equatable {
  package enum Weight: String, Sendable {
    /// Not signed as it is.
    case error
    /// Signed, once a person has thought about it.
    case warning
  }

  package let weight: Weight
  /// The key of the YAML that it is about.
  package let place: String
  /// What can go wrong, in a sentence.
  package let text: String
}

/// What a reader of a policy should be told before it is signed. What a policy may not say at all, its reader refuses;
/// this is about what it says and may not mean.
package enum PolicyLint {
  private static let dayMs: UInt64 = 86_400_000

  /// - Parameters:
  ///   - unexplained: names of measurements that have no `note` in the source.
  ///   - previous: the policy that this one follows.
  ///   - now: milliseconds since 1970.
  package static func findings(
    _ policy: PolicyClaims, unexplained: Set<String> = [], previous: PolicyClaims? = nil, nowMs now: UInt64
  ) -> [PolicyFinding] {
    var findings: [PolicyFinding] = []
    func error(_ place: String, _ text: String) {
      findings.append(PolicyFinding(weight: .error, place: place, text: text))
    }
    func warn(_ place: String, _ text: String) {
      findings.append(PolicyFinding(weight: .warning, place: place, text: text))
    }
    if let previous { succession(policy, previous, error, warn) }
    validity(policy, now, error, warn)
    images(policy, unexplained, warn)
    people(policy, error, warn)
    epochs(policy, warn)
    if policy.formats.isEmpty { error("formats", "none: no model can be loaded") }
    if policy.dtypes.isEmpty { error("dtypes", "none: no model can be loaded") }
    for word in policy.formats where !["safetensors", "gguf"].contains(word) {
      warn("formats", "\(word) is none that this version's worker loads")
    }
    let types = Set(GGUFTensorType.allCases.map(\.name))
    for word in policy.dtypes where !types.contains(word) {
      warn("dtypes", "\(word) is none that this version's worker computes with")
    }
    if !policy.dtypes.isEmpty, Set(policy.dtypes).isSubset(of: types.subtracting(["F32", "F16", "BF16"])) {
      warn("dtypes", "no floats: the norms of quantised models are F32, and so none can be loaded")
    }
    for list in [policy.precisions].compactMap({ $0 }) + policy.modelPrecisions.map(\.precisions) {
      if list.isEmpty { error("precisions", "an empty list: nothing can be computed") }
      for word in list where !JobPrecision.computed.contains(word) {
        warn("precisions", "\(word) is none that this version's worker computes in")
      }
    }
    if policy.maximumItems == 0 { warn("maximum_items", "0: only empty jobs are allowed") }
    if policy.recoveryRecipients.isEmpty {
      warn("recovery_recipients", "none: a submitter who loses his identity loses his results for good")
    }
    if !policy.requireHybridTLS {
      warn("require_hybrid_tls", "off: recorded exchanges with KMS are open to a later quantum computer")
    }
    return findings
  }

  private typealias Report = (_ place: String, _ text: String) -> Void

  private static func succession(
    _ policy: PolicyClaims, _ previous: PolicyClaims, _ error: Report, _ warn: Report
  ) {
    if policy.version <= previous.version {
      error(
        "version", "\(policy.version) is not above \(previous.version): clients and workers refuse it as a rollback")
    }
    if policy.minimumEpoch < previous.minimumEpoch {
      warn(
        "minimum_epoch",
        "\(policy.minimumEpoch) is below \(previous.minimumEpoch): epochs that were revoked are permitted again")
    }
    if policy.epochKey != previous.epochKey {
      warn("epoch_key", "another KMS key: bundles that are sealed already do not open any more")
    }
  }

  private static func validity(_ policy: PolicyClaims, _ now: UInt64, _ error: Report, _ warn: Report) {
    guard policy.notAfterMs > now else { return error("not_after", "it has ended: nobody accepts it") }
    let days = (policy.notAfterMs - now) / dayMs
    if days < 7 { warn("not_after", "it ends within a week: nothing is submitted or computed after that") }
    if days > 400 {
      warn(
        "not_after",
        "\(days) days: so long an enclave that restarts can be handed this policy, whatever later ones say")
    }
  }

  private static func images(_ policy: PolicyClaims, _ unexplained: Set<String>, _ warn: Report) {
    let images = policy.measurements
    if images.count > 1 {
      for image in images where unexplained.contains(image.name) {
        warn("measurements", "\(image.name) has no `note`: say why more than one image is trusted, and until when")
      }
    }
    if Set(images.map { [$0.pcr0, $0.pcr1, $0.pcr2] }).count < images.count {
      warn("measurements", "one image is listed twice")
    }
    if Set(images.map(\.name)).count < images.count { warn("measurements", "two images have one name") }
  }

  private static func people(_ policy: PolicyClaims, _ error: Report, _ warn: Report) {
    if policy.submitters.isEmpty { warn("submitters", "none: nobody can submit") }
    if policy.publishers.isEmpty { warn("publishers", "none: no model can be used") }
    for submitter in policy.submitters {
      if submitter.models.isEmpty { warn("submitters", "\(submitter.name) has no model, and so can submit nothing") }
      if submitter.operations.isEmpty { warn("submitters", "\(submitter.name) has no operation") }
      for operation in submitter.operations where ModelOperation(rawValue: operation) == nil {
        warn("submitters", "\(submitter.name) may \(operation), which this version's worker does not compute")
      }
    }
    if Set(policy.submitters.map(\.name)).count < policy.submitters.count {
      warn("submitters", "two have one name: a reader cannot tell whom a change is about")
    }
    let keys = Set(policy.submitters.map(\.key))
    for publisher in policy.publishers where keys.contains(publisher.key) {
      warn("publishers", "\(publisher.name)'s key is also a submitter's: one loss would be two")
    }
    for recipient in policy.recoveryRecipients where (try? HybridRecipient(publicKey: recipient)) == nil {
      error("recovery_recipients", "one is no usable key: no result could be sealed")
    }
  }

  private static func epochs(_ policy: PolicyClaims, _ warn: Report) {
    let days = policy.epochValidityMs / dayMs
    if days > 31 {
      warn("epoch_validity_hours", "\(days) days: one sealing key opens everything sealed in that time")
    }
    if policy.epochValidityMs < 3_600_000 { warn("epoch_validity_hours", "under an hour: a key ends while jobs wait") }
    if policy.epochGraceMs > policy.epochValidityMs {
      warn("epoch_grace_hours", "longer than the validity: ended keys outnumber the current one")
    }
  }
}
