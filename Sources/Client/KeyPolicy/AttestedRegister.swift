/// A register of an attestation document as a key policy's condition names it:
/// `kms:RecipientAttestation:ImageSha384` (which is PCR0) or `kms:RecipientAttestation:PCR<n>`.
///
/// Source: AWS KMS developer guide, "Condition keys for AWS Nitro Enclaves".
enum AttestedRegister {
  /// The registers without which a program is not fixed: PCR0 covers all content but not where one part ends and the
  /// next begins, PCR1 and PCR2 fix that.
  static let required = [0, 1, 2]
  private static let prefix = "kms:recipientattestation:"

  /// The register of a condition key in lower case; nil when it names none.
  static func index(ofKey key: String) -> Int? {
    guard key.hasPrefix(prefix) else { return nil }
    let name = key.dropFirst(prefix.count)
    if name == "imagesha384" { return 0 }
    guard name.hasPrefix("pcr"), let index = Int(name.dropFirst(3)), (0...31).contains(index),
      name == "pcr\(index)"
    else { return nil }
    return index
  }

  /// Whether a condition key in lower case means attestation and yet names no register of an enclave: a request never
  /// has it, so what is demanded of it is never checked.
  static func isMisspelt(_ key: String) -> Bool {
    guard index(ofKey: key) == nil, !key.hasPrefix("kms:encryptioncontext:") else { return false }
    return ["attest", "atest", "imagesha", "kms:pcr", "recipient"].contains { key.contains($0) }
  }

  /// The condition key as AWS writes it.
  static func key(_ index: Int) -> String {
    "kms:RecipientAttestation:" + (index == 0 ? "ImageSha384" : "PCR\(index)")
  }

  /// Whether a value can be a register's: 96 lower-case hexadecimal digits (SHA-384).
  static func isValue(_ text: String) -> Bool {
    text.utf8.count == 96
      && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
  }

  /// What PCR0 to PCR2 are in an enclave that runs in debug mode, whose memory the host reads.
  static let zero = String(repeating: "0", count: 96)
}

/// What one register is in a request.
enum RegisterState: Hashable {
  /// The request has no attestation document, or one without this register.
  case absent
  /// 96 lower-case hexadecimal digits.
  case value(String)
  /// A value that the policy does not write out: another image.
  case other
}

/// Registers of one request; those that are not named are absent.
typealias RegisterStates = [Int: RegisterState]
