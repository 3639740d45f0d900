import Attestation
import Inference
import ObjectStore
import SealedCrypto
import Wire

extension Submitter {
  /// An instruction goes with documents and with a model that makes texts, and with nothing else; an answer's length with
  /// such a model alone.
  static func check(_ plan: LinePlan, _ request: SubmissionRequest, _ kind: InputKind) throws {
    if plan.operation == .generate, plan.task == nil, kind == .textFiles {
      throw ClientError(
        .usage, "\(plan.model) makes texts, and documents do not say what of them", remedy: "pass --instruction FILE")
    }
    guard plan.operation == .generate || plan.task == nil else {
      throw ClientError(
        .usage, "\(plan.model) can \(plan.operation.rawValue), and follows no instruction",
        remedy: "leave --instruction out, or choose another model with --model")
    }
    guard plan.operation == .generate || request.maximumOutputTokens == nil else {
      throw ClientError(
        .usage, "\(plan.model) can \(plan.operation.rawValue), and makes no texts that could be too long",
        remedy: "leave --max-tokens out, or choose another model with --model")
    }
  }

  /// What a submitter may do with the model that he means.
  struct Standing {
    let policy: TrustedPolicy
    let submitter: PolicySubmitter
    let model: PublishedModel
    let operation: ModelOperation
    let precision: String
  }

  /// Who may compute what: the newest policy, what it says of this submitter, and the model that is meant.
  ///
  /// - Throws: ``ClientError`` of kind `rejected` where the policy does not allow it; what the store throws.
  func standing(_ request: SubmissionRequest, nowMs: UInt64) throws -> Standing {
    let policy = try trust.policies(profile).refresh(from: store, nowMs: nowMs)
    let key = try keys.signingKey(.submitter)
    guard let submitter = policy.claims.submitter(key.verifyingKey) else {
      throw ClientError(
        .rejected,
        "policy version \(policy.claims.version) does not list your submitter key \(Hex.encode(key.verifyingKey.bytes))",
        remedy: "list it; `ephemeral keys export` prints what is needed", by: .securityOfficer)
    }
    func requireAllowed(_ operation: ModelOperation) throws {
      guard submitter.operations.contains(operation.rawValue) else {
        throw ClientError(
          .rejected,
          "policy version \(policy.claims.version) does not allow \(submitter.name) the operation \(operation.rawValue)",
          remedy: "allow it in the policy", by: .securityOfficer)
      }
    }
    if let asked = request.operation { try requireAllowed(asked) }
    let model = try ModelCatalog(store: store, policy: policy).model(request.model, for: submitter)
    let operations = model.claims.operations
    guard let operation = request.operation ?? operations.first.flatMap(ModelOperation.init(rawValue:)),
      operations.contains(operation.rawValue)
    else {
      throw ClientError(
        .usage, "\(model.claims.name) cannot \(request.operation?.rawValue ?? "be asked for anything by this program")",
        remedy: "choose another with --model, or --operation \(operations.joined(separator: " or "))")
    }
    try requireAllowed(operation)
    return Standing(
      policy: policy, submitter: submitter, model: model, operation: operation,
      precision: try precision(request.precision ?? model.claims.usualPrecision, model, policy))
  }

  /// What the worker will compute in; it decides by the same rules.
  private func precision(_ requested: String, _ model: PublishedModel, _ policy: TrustedPolicy) throws -> String {
    guard JobPrecision.requested.contains(requested) else {
      throw ClientError(
        .usage, "\(requested.prefix(16)) is no precision",
        remedy: "choose one of \(JobPrecision.requested.joined(separator: ", "))")
    }
    do throws(JobPrecision.Refusal) {
      return try JobPrecision.resolve(requested, model: model.claims, digest: model.digest, under: policy.claims)
    } catch {
      throw ClientError(
        .rejected, "policy version \(policy.claims.version): \(error)",
        remedy: "choose another --precision, or have the policy permit it", by: .securityOfficer)
    }
  }
}
