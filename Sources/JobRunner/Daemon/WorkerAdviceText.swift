import Attestation
import SealedCrypto
import Wire

/// What the host knows of its worker from its status: unproven, and good enough to tell an operator what to look at.
struct WorkerFacts: Sendable {
  /// Of the image that runs, in lower-case hexadecimal, as key policies have them; empty where the status has none.
  let measurements: [(name: String, value: String)]

  /// - Parameter document: the attestation document around a status.
  init(document: [UInt8]) {
    let pcrs = (try? UnverifiedAttestation(document).unprovenFields().pcrs) ?? [:]
    measurements = [0, 1, 2, 8].compactMap { index in
      guard let value = pcrs[index], value.contains(where: { $0 != 0 }) else { return nil }
      return ("PCR\(index)", Hex.encode(value))
    }
  }
}

extension WorkerAdvice {
  /// What is wrong, what to do, and whose move it is.
  ///
  /// - Parameters:
  ///   - key: the ARN of the key that was asked for; nil where the host cannot read its policy.
  ///   - accessKeyID: of the credentials that the worker was lent.
  func text(key: String?, accessKeyID: String?, facts: WorkerFacts?) -> String {
    let key = key ?? "the epoch key"
    let who = accessKeyID.map { "the role of \($0)" } ?? "this host's role"
    switch self {
    case .relayUnreachable:
      return "KMS does not answer through the relay: check --relay-target, security group and VPC endpoint"
    case .relayNotKMS:
      return "what answers at the relay's target cannot prove to be KMS of the key's region: check --relay-target "
        + "(TLS must not be opened on the way), and that the policy's key exchange is one that KMS offers"
    case .kmsBusy: return "KMS throttles or is in trouble itself: it is tried again; look at the account's KMS quotas"
    case .credentialsExpired:
      return
        "the credentials \(accessKeyID ?? "of this host") have ended: renew them, and see that this machine's clock is right"
    case .credentialsInvalid:
      return
        "KMS does not take the credentials \(accessKeyID ?? "of this host"): check key id, secret and session token, and "
        + "that they belong to the key's partition"
    case .clock:
      return "the clocks of host, enclave and KMS differ by minutes: set this machine's clock (chronyd), "
        + "then restart the worker"
    case .keyDenied:
      let image = facts?.measurements.map { "\($0.name) \($0.value)" }.joined(separator: ", ") ?? ""
      return
        "PCR0 of this image is not in the key policy of \(key), or \(who) is not allowed. The key's owner must allow "
        + "kms:GenerateDataKey and kms:Decrypt to that role for "
        + (image.isEmpty ? "this image (ephemeral attest show prints its PCRs)" : image)
        + "; an explicit Deny in key policy, role or organisation counts too (CloudTrail of the key's account names it)"
    case .keyUnusable:
      return
        "\(key) does not exist, is disabled, or waits for its deletion: the key's owner enables it or cancels the deletion "
        + "(aws kms enable-key, cancel-key-deletion)"
    case .wrongCiphertext:
      return
        "KMS says that the stored seed was not made under \(key) for this epoch and policy key: the object in the store "
        + "was changed, or belongs to another deployment"
    case .requestInvalid:
      return "KMS does not take the worker's request: is \(key) a symmetric key in a Region that supports enclaves? "
        + "CloudTrail of the key's account has KMS's message"
    case .replyInvalid:
      return "KMS's answer is not what was asked for: it named another key, or gave no key for this enclave; "
        + "look at CloudTrail of the key's account"
    }
  }
}
