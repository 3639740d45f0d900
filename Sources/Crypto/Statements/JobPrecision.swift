import Wire

/// The words for a job's precision, and which precision is computed for them. Enclave and client decide alike: the one to
/// compute, the other to tell before a byte is sealed.
package enum JobPrecision {
  /// Lets the worker choose: int8 where the model's accuracy check passed, bf16 otherwise.
  package static let automatic = "auto"
  /// What a receipt of a computed job may say.
  package static let computed = ["fp32", "bf16", "int8"]
  /// What a submitter may ask for.
  package static let requested = computed + [automatic]

  /// Why a job is refused.
  package struct Refusal: Error, Equatable, CustomStringConvertible {
    package let description: String
  }

  /// Whether anything could be computed for a request under the policy, before the model is known.
  ///
  /// - Throws: ``Refusal``.
  package static func check(_ requested: String, of model: ContentDigest, under policy: PolicyClaims) throws(Refusal) {
    guard Self.requested.contains(requested) else {
      throw Refusal(description: "no worker computes in this precision")
    }
    let permitted = policy.permittedPrecisions(of: model)
    guard computed.contains(where: { permitted.contains($0) && (requested == automatic || requested == $0) }) else {
      throw Refusal(
        description: "the policy does not permit the precision \(requested) for the model"
          + (permitted.isEmpty ? "" : ", only \(permitted.joined(separator: ", "))"))
    }
  }

  /// What is computed for a request.
  ///
  /// - Throws: ``Refusal``, with a reason for people.
  package static func resolve(
    _ requested: String, model: ModelManifestClaims, digest: ContentDigest, under policy: PolicyClaims
  ) throws(Refusal) -> String {
    try check(requested, of: digest, under: policy)
    let computed = model.computedPrecisions
    guard requested == automatic || computed.contains(requested) else {
      throw Refusal(
        description: "the model is not computed in \(requested), only in \(computed.joined(separator: ", "))")
    }
    guard requested == automatic else { return requested }
    let permitted = policy.permittedPrecisions(of: digest).filter(computed.contains)
    if permitted.contains("int8"), model.isInt8Accurate { return "int8" }
    if let other = ["bf16", "fp32"].first(where: permitted.contains) { return other }
    throw Refusal(
      description: computed.contains("int8")
        ? "the policy permits int8 alone, and the model's accuracy check does not pass it for auto"
        : "the policy permits no precision that the model is computed in: \(computed.joined(separator: ", "))")
  }
}

extension ModelManifestClaims {
  /// The sealed file that int8 is calibrated with.
  package static let int8Scales = "int8.scales"

  /// The precisions that a worker computes it in. A model that continues texts has no int8. The tensors of a GGUF file are
  /// multiplied in their own numbers, whatever a job asks for: `bf16` names what attention and its memory are in.
  package var computedPrecisions: [String] {
    guard operations.contains("generate") else { return JobPrecision.computed }
    return format == "gguf" ? ["bf16"] : ["fp32", "bf16"]
  }

  /// What a submitter asks for who says nothing: exact, where the model is computed so.
  package var usualPrecision: String {
    let computed = computedPrecisions
    return computed.contains("fp32") ? "fp32" : computed[0]
  }

  /// Whether the manifest lists the calibration of int8.
  package var isCalibrated: Bool { files.contains { $0.name == Self.int8Scales } }

  /// Whether int8 is calibrated and passed the check of its accuracy.
  package var isInt8Accurate: Bool { isCalibrated && accuracy.contains { $0.precision == "int8" && $0.passes } }
}

extension PolicyClaims {
  /// The precisions that may be computed with a model.
  package func permittedPrecisions(of model: ContentDigest) -> [String] {
    modelPrecisions.first { $0.model == model }?.precisions ?? precisions ?? JobPrecision.computed
  }
}
