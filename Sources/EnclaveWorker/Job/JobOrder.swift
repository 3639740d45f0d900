import Inference
import SealedCrypto
import Wire

/// A job manifest that one of the policy's submitters signed.
struct JobOrder {
  let manifest: Signed<JobManifestClaims>
  let submitter: PolicySubmitter
  /// Whom the results are sealed to.
  let recipients: [HybridRecipient]

  /// Checks signature, signer and recipients; what else is allowed, ``authorise(under:epoch:inputBytes:atMs:)`` says.
  ///
  /// - Throws: ``WorkerFault`` with `refused`; nothing that the manifest says may be repeated then.
  init(_ bytes: [UInt8], under policy: PolicyClaims) throws {
    (manifest, submitter, recipients) = try WorkerFault.refusing("manifest") {
      let manifest = try UnverifiedStatement<JobManifestClaims>(bytes).verified(byOneOf: policy.submitters.map(\.key))
      guard let submitter = policy.submitter(manifest.signer) else { throw WorkerFault.refused("unknown submitter") }
      return (manifest, submitter, try manifest.claims.recipients.map { try HybridRecipient(publicKey: $0) })
    }
  }

  /// Everything that the policy and the clock say about this order (protocol §5).
  ///
  /// - Throws: ``WorkerFault`` with `refused` and the reason, which goes into the sealed results; with `retry` for a
  ///   policy older than the submitter's. Which policy is loaded is the host's doing, and an order that the newer one
  ///   permits must not end by a receipt because the host handed over an older one.
  func authorise(under policy: PolicyClaims, epoch: Epoch, inputBytes: UInt64, atMs now: UInt64) throws {
    let claims = manifest.claims
    func require(_ condition: Bool, _ reason: String) throws {
      guard condition else { throw WorkerFault.refused(reason) }
    }
    guard claims.policyVersion <= policy.version else {
      throw WorkerFault.retry(
        "the submitter knows policy version \(claims.policyVersion), this worker only \(policy.version)")
    }
    if let refusal = epoch.refusal(under: policy, atMs: now) { throw WorkerFault.refused(refusal) }
    try require(claims.sealingKey == epoch.keyDigest, "the manifest names another sealing key than the bundle's")
    try require(now <= claims.notAfterMs, "the manifest's not_after has passed")
    try require(submitter.operations.contains(claims.operation), "the policy does not allow the operation")
    try require(submitter.models.contains(claims.model), "the policy does not allow the model to this submitter")
    try require(ModelOperation(rawValue: claims.operation) != nil, "this worker does not know the operation")
    try require(
      claims.maximumOutputTokens == nil || claims.operation == ModelOperation.generate.rawValue,
      "maximum_output_tokens is of generate alone")
    do throws(JobPrecision.Refusal) {
      try JobPrecision.check(claims.precision, of: claims.model, under: policy)
    } catch {
      throw WorkerFault.refused(error.description)
    }
    try require(claims.inputItems <= policy.maximumItems, "more items than the policy allows")
    try require(claims.inputBytes <= policy.maximumInputBytes, "more input than the policy allows")
    try require(claims.inputBytes == inputBytes, "the bundle's input has another length than the manifest says")
    try require(
      Set(policy.recoveryRecipients).isSubset(of: claims.recipients), "a recovery recipient of the policy is missing")
  }
}
