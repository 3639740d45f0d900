import FoundationEssentials

/// KMS's own name for a refusal, and what it means for whoever asked.
package struct KMSErrorName: Hashable, Sendable, CustomStringConvertible {
  /// What follows from a refusal. Whose move it is decides between another try and an end.
  package enum Meaning: Sendable, Equatable {
    /// KMS or its limits; the same request may succeed in a moment.
    case busy
    /// The credentials have ended.
    case credentialsExpired
    /// The credentials are not known, or do not fit together.
    case credentialsInvalid
    /// Signed by a clock that differs from KMS's.
    case clockSkew
    /// The key's policy (or IAM, or a grant) does not permit it.
    case denied
    /// There is no such key, or it is disabled, or will be deleted. Its owner's move.
    case keyUnusable
    /// The ciphertext is not of this key and this encryption context.
    case wrongCiphertext
    /// KMS does not take the request as it is, such as an attestation document that is too old.
    case invalid
    /// A name that is not known here.
    case other
  }

  /// Such as `AccessDeniedException`; letters and digits only.
  package let name: String
  package let meaning: Meaning
  package var description: String { name }

  /// Reads the `__type` of an error body (`prefix#Name`, sometimes `Name:url`); nil when there is none.
  package init?(json body: [UInt8]) {
    struct Body: Decodable {
      let type: String?
      let lowerMessage: String?
      let upperMessage: String?
      private enum CodingKeys: String, CodingKey {
        case type = "__type"
        case lowerMessage = "message"
        case upperMessage = "Message"
      }
    }
    guard let body = try? JSONDecoder().decode(Body.self, from: Data(body)),
      let name = body.type?.split(separator: "#").last?.split(separator: ":").first, name.utf8.count <= 64,
      name.utf8.allSatisfy({ 0x30...0x39 ~= $0 || 0x41...0x5A ~= $0 || 0x61...0x7A ~= $0 })
    else { return nil }
    self.name = String(name)
    meaning = Self.meaning(of: self.name, message: body.lowerMessage ?? body.upperMessage ?? "")
  }

  private static func meaning(of name: String, message: String) -> Meaning {
    switch name {
    case "ThrottlingException", "Throttling", "TooManyRequestsException", "LimitExceededException",
      "RequestLimitExceeded", "RequestThrottledException", "KMSInternalException", "InternalFailure",
      "InternalServerError", "DependencyTimeoutException", "KeyUnavailableException", "ServiceUnavailable",
      "ServiceUnavailableException":
      .busy
    case "ExpiredTokenException", "ExpiredToken": .credentialsExpired
    case "RequestExpired", "RequestTimeTooSkewed": .clockSkew
    // One name for a wrong secret and for a wrong clock; the message alone tells them apart.
    case "InvalidSignatureException", "SignatureDoesNotMatch":
      message.hasPrefix("Signature expired") || message.hasPrefix("Signature not yet current")
        ? .clockSkew : .credentialsInvalid
    case "UnrecognizedClientException", "InvalidClientTokenId", "IncompleteSignatureException", "IncompleteSignature",
      "MissingAuthenticationTokenException", "OptInRequired":
      .credentialsInvalid
    case "AccessDeniedException", "AccessDenied": .denied
    case "DisabledException", "KMSInvalidStateException", "NotFoundException", "InvalidKeyUsageException": .keyUnusable
    case "InvalidCiphertextException", "IncorrectKeyException": .wrongCiphertext
    case "ValidationException", "InvalidArnException", "SerializationException", "UnsupportedOperationException",
      "InvalidGrantTokenException":
      .invalid
    default: .other
    }
  }

  /// Whether the same request may be answered otherwise later, with nothing changed by anybody but the host.
  ///
  /// Credentials belong to this: they are the host's, they expire, and nothing was decided about the key.
  package var isTransient: Bool {
    switch meaning {
    case .busy, .credentialsExpired, .credentialsInvalid, .clockSkew: true
    case .denied, .keyUnusable, .wrongCiphertext, .invalid, .other: false
    }
  }

  /// Whether the key's policy (or IAM) does not permit it.
  package var isDenial: Bool { meaning == .denied }
}
