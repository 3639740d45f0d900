import FoundationEssentials

/// The operations that devcloud's KMS knows.
enum KeyServiceOperation: String, CaseIterable, Sendable {
  case generateDataKey = "GenerateDataKey"
  case decrypt = "Decrypt"
  case encrypt = "Encrypt"
  case describeKey = "DescribeKey"

  /// From the header `X-Amz-Target`.
  init?(target: String) {
    guard target.hasPrefix("TrentService.") else { return nil }
    self.init(rawValue: String(target.dropFirst(13)))
  }

  /// As key policies name it.
  var action: String { "kms:\(rawValue)" }
}

/// The members of all requests; each operation demands those that it needs. As in AWS, members that are not known are
/// passed over; those below that devcloud cannot honour are refused.
struct KeyServiceRequest: Decodable {
  /// Who is to be able to read the answer.
  struct Recipient: Decodable {
    let keyEncryptionAlgorithm: String?
    let attestationDocument: Data?
    enum CodingKeys: String, CodingKey {
      case keyEncryptionAlgorithm = "KeyEncryptionAlgorithm"
      case attestationDocument = "AttestationDocument"
    }
  }

  let keyID: String?
  let ciphertextBlob: Data?
  let plaintext: Data?
  let encryptionContext: [String: String]?
  let encryptionAlgorithm: String?
  let keySpec: String?
  let numberOfBytes: Int?
  let recipient: Recipient?
  let grantTokens: [String]?
  let dryRun: Bool?

  enum CodingKeys: String, CodingKey {
    case keyID = "KeyId"
    case ciphertextBlob = "CiphertextBlob"
    case plaintext = "Plaintext"
    case encryptionContext = "EncryptionContext"
    case encryptionAlgorithm = "EncryptionAlgorithm"
    case keySpec = "KeySpec"
    case numberOfBytes = "NumberOfBytes"
    case recipient = "Recipient"
    case grantTokens = "GrantTokens"
    case dryRun = "DryRun"
  }
}

/// The members of all replies; absent ones are left out.
struct KeyServiceReply: Encodable {
  /// What DescribeKey tells of a key.
  struct Metadata: Encodable {
    let account: String
    let keyID: String
    let arn: String
    let created: Int64
    let description: String
    let enabled: Bool

    enum CodingKeys: String, CodingKey {
      case account = "AWSAccountId"
      case keyID = "KeyId"
      case arn = "Arn"
      case created = "CreationDate"
      case description = "Description"
      case enabled = "Enabled"
      case state = "KeyState"
      case usage = "KeyUsage"
      case manager = "KeyManager"
      case origin = "Origin"
      case spec = "KeySpec"
      case multiRegion = "MultiRegion"
      case algorithms = "EncryptionAlgorithms"
    }

    func encode(to encoder: any Encoder) throws {
      var members = encoder.container(keyedBy: CodingKeys.self)
      try members.encode(account, forKey: .account)
      try members.encode(keyID, forKey: .keyID)
      try members.encode(arn, forKey: .arn)
      try members.encode(created, forKey: .created)
      try members.encode(description, forKey: .description)
      try members.encode(enabled, forKey: .enabled)
      try members.encode(enabled ? "Enabled" : "Disabled", forKey: .state)
      try members.encode("ENCRYPT_DECRYPT", forKey: .usage)
      try members.encode("CUSTOMER", forKey: .manager)
      try members.encode("AWS_KMS", forKey: .origin)
      try members.encode("SYMMETRIC_DEFAULT", forKey: .spec)
      try members.encode(false, forKey: .multiRegion)
      try members.encode(["SYMMETRIC_DEFAULT"], forKey: .algorithms)
    }
  }

  var keyID: String?
  var ciphertextBlob: Data?
  var plaintext: Data?
  var ciphertextForRecipient: Data?
  var encryptionAlgorithm: String?
  var keyMetadata: Metadata?

  enum CodingKeys: String, CodingKey {
    case keyID = "KeyId"
    case ciphertextBlob = "CiphertextBlob"
    case plaintext = "Plaintext"
    case ciphertextForRecipient = "CiphertextForRecipient"
    case encryptionAlgorithm = "EncryptionAlgorithm"
    case keyMetadata = "KeyMetadata"
  }
}
