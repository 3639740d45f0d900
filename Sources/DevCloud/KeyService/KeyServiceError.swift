import SealedCrypto

/// An error in the form that KMS gives it: a name for programs, a message for people.
struct KeyServiceError: Error, Equatable {
  /// KMS's name, `__type` in the reply.
  let name: String
  let message: String

  /// The HTTP status: KMS answers every fault of the caller with 400.
  var status: Int { name == "KMSInternalException" ? 500 : 400 }

  static func accessDenied(_ message: String) -> Self { Self(name: "AccessDeniedException", message: message) }
  static func validation(_ message: String) -> Self { Self(name: "ValidationException", message: message) }
  static func notFound(_ message: String) -> Self { Self(name: "NotFoundException", message: message) }
  static func disabled(_ arn: String) -> Self { Self(name: "DisabledException", message: "\(arn) is disabled.") }
  static let invalidCiphertext = Self(name: "InvalidCiphertextException", message: "")
  static let dryRun = Self(
    name: "DryRunOperationException", message: "The request would have succeeded, but the DryRun option is set.")
  static let invalidKeyUsage = Self(
    name: "InvalidKeyUsageException", message: "The key is symmetric: EncryptionAlgorithm is SYMMETRIC_DEFAULT.")
  static let incorrectKey = Self(
    name: "IncorrectKeyException",
    message: "The key ID in the request does not identify a CMK that can perform this operation.")
  static let serialization = Self(name: "SerializationException", message: "The request is not JSON of this operation.")
  static let unknownOperation = Self(name: "UnknownOperationException", message: "")
  static let `internal` = Self(name: "KMSInternalException", message: "The request could not be completed.")

  /// What AWS answers to a signature that it does not accept.
  init(_ refusal: SigV4Refusal) {
    let message = "\(refusal)"
    switch refusal {
    case .notSigned: self.init(name: "MissingAuthenticationTokenException", message: message)
    case .malformed, .unsignedHeader: self.init(name: "IncompleteSignatureException", message: message)
    case .unknownAccessKey:
      self.init(
        name: "UnrecognizedClientException", message: "The security token included in the request is invalid.")
    case .wrongScope, .clockSkew, .wrongPayloadDigest, .wrongSignature:
      self.init(name: "InvalidSignatureException", message: message)
    }
  }

  init(name: String, message: String) {
    self.name = name
    self.message = message
  }
}
