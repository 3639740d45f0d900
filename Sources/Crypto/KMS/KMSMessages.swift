import FoundationEssentials
import Wire

// The KMS JSON protocol: `POST /`, `X-Amz-Target: TrentService.<Action>`, `Content-Type: application/x-amz-json-1.1`;
// byte strings are base64. Field names are AWS's (KMS API Reference).

/// The actions that this product uses.
package enum KMSAction: String, Sendable, CaseIterable {
  case generateDataKey = "GenerateDataKey"
  case decrypt = "Decrypt"
  case encrypt = "Encrypt"

  /// The value of `X-Amz-Target`.
  package var target: String { "TrentService.\(rawValue)" }
  /// The value of `Content-Type`.
  package static let contentType = "application/x-amz-json-1.1"
}

/// To whom KMS wraps the key instead of answering in clear: the attested RSA key of the document.
package struct KMSRecipient: Codable, Sendable {
  package let attestationDocument: Data
  package let keyEncryptionAlgorithm: String

  package init(attestationDocument: [UInt8]) {
    self.attestationDocument = Data(attestationDocument)
    keyEncryptionAlgorithm = "RSAES_OAEP_SHA_256"
  }

  private enum CodingKeys: String, CodingKey {
    case attestationDocument = "AttestationDocument"
    case keyEncryptionAlgorithm = "KeyEncryptionAlgorithm"
  }
}

/// A request of any of the actions; what an action does not take is nil.
package struct KMSRequest: Codable, Sendable {
  /// The full key ARN.
  package let keyID: String
  package let encryptionContext: [String: String]?
  /// `AES_256` for GenerateDataKey.
  package let keySpec: String?
  /// For Decrypt.
  package let ciphertextBlob: Data?
  /// For Encrypt.
  package let plaintext: Data?
  package let recipient: KMSRecipient?

  /// A 32-byte data key, in clear or (with `recipient`) for an enclave.
  package static func generateDataKey(
    _ key: KMSKeyARN, context: KMSEncryptionContext, recipient: KMSRecipient?
  ) -> KMSRequest {
    KMSRequest(
      keyID: key.text, encryptionContext: context.pairs, keySpec: "AES_256", ciphertextBlob: nil, plaintext: nil,
      recipient: recipient)
  }

  /// Opens a data key.
  package static func decrypt(
    _ blob: [UInt8], key: KMSKeyARN, context: KMSEncryptionContext, recipient: KMSRecipient?
  ) -> KMSRequest {
    KMSRequest(
      keyID: key.text, encryptionContext: context.pairs, keySpec: nil, ciphertextBlob: Data(blob), plaintext: nil,
      recipient: recipient)
  }

  private init(
    keyID: String, encryptionContext: [String: String]?, keySpec: String?, ciphertextBlob: Data?, plaintext: Data?,
    recipient: KMSRecipient?
  ) {
    self.keyID = keyID
    self.encryptionContext = encryptionContext
    self.keySpec = keySpec
    self.ciphertextBlob = ciphertextBlob
    self.plaintext = plaintext
    self.recipient = recipient
  }

  private enum CodingKeys: String, CodingKey {
    case keyID = "KeyId"
    case encryptionContext = "EncryptionContext"
    case keySpec = "KeySpec"
    case ciphertextBlob = "CiphertextBlob"
    case plaintext = "Plaintext"
    case recipient = "Recipient"
  }

  /// The JSON body, its keys sorted.
  package func encoded() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(self))
  }
}

/// An answer of any of the actions. KMS may add fields; they are not looked at.
package struct KMSResponse: Codable, Sendable {
  /// The full ARN of the key that was used.
  package let keyID: String?
  /// From GenerateDataKey and Encrypt.
  package let ciphertextBlob: Data?
  /// The key in clear. Must carry nothing where a recipient was named.
  package let plaintext: Data?
  /// CMS EnvelopedData for the attested key; see ``KMSEnvelope``.
  package let ciphertextForRecipient: Data?

  package init(keyID: String?, ciphertextBlob: [UInt8]?, plaintext: [UInt8]?, ciphertextForRecipient: [UInt8]?) {
    self.keyID = keyID
    self.ciphertextBlob = ciphertextBlob.map { Data($0) }
    self.plaintext = plaintext.map { Data($0) }
    self.ciphertextForRecipient = ciphertextForRecipient.map { Data($0) }
  }

  private enum CodingKeys: String, CodingKey {
    case keyID = "KeyId"
    case ciphertextBlob = "CiphertextBlob"
    case plaintext = "Plaintext"
    case ciphertextForRecipient = "CiphertextForRecipient"
  }

  /// - Throws: ``WireError/malformed(_:)`` when `body` is no such JSON object.
  package init(json body: [UInt8]) throws {
    do {
      self = try JSONDecoder().decode(KMSResponse.self, from: Data(body))
    } catch {
      throw WireError.malformed("KMS reply: not the JSON that was expected")
    }
  }

  /// The JSON body.
  package func encoded() throws -> [UInt8] { Array(try JSONEncoder().encode(self)) }
}
