import Crypto
import FoundationEssentials

/// The stanza `ephemeralml-kms-v1` (protocol §3): the file key under a KMS data key.
///
///     -> ephemeralml-kms-v1 <key ARN> <CiphertextBlob>
///     <body>
///
/// The blob is in age's base64 (canonical, without padding). The body is ChaCha20-Poly1305 over the 16-byte file key,
/// under HKDF-SHA-256(data key, no salt, info = the stanza's type), no associated data: exactly 32 bytes.
///
/// The nonce is twelve zero bytes. That is safe because a data key is made for one file and wraps one file key, once;
/// a second file takes a second data key.
package enum KMSStanza {
  /// The first argument, and HKDF's `info`.
  package static let type = "ephemeralml-kms-v1"
  /// The longest key ARN that is looked at.
  package static let keyARNCharacters = 2048
  /// The longest CiphertextBlob (KMS's own limit).
  package static let ciphertextBlobBytes = 6144
  /// KMS's `KeySpec: AES_256`.
  package static let dataKeyBytes = 32

  /// Whether `text` is a full key ARN, `arn:<partition>:kms:<region>:<12 digits>:key/<id>`: no alias, no bare id.
  package static func isKeyARN(_ text: String) -> Bool {
    guard text.utf8.count <= keyARNCharacters else { return false }
    let parts = text.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    guard parts.count == 6, parts[0].elementsEqual("arn".utf8), parts[2].elementsEqual("kms".utf8) else { return false }
    let identifier = parts[5].dropFirst(4)
    return isLabel(parts[1]) && isLabel(parts[3]) && parts[4].count == 12 && parts[4].allSatisfy { 0x30...0x39 ~= $0 }
      && parts[5].starts(with: "key/".utf8) && !identifier.isEmpty
      && identifier.allSatisfy { 0x30...0x39 ~= $0 || 0x61...0x7A ~= $0 || 0x41...0x5A ~= $0 || $0 == 0x2D }
  }

  /// Lower-case letters, digits and hyphens, at least one.
  private static func isLabel(_ text: Substring.UTF8View) -> Bool {
    !text.isEmpty && text.allSatisfy { 0x30...0x39 ~= $0 || 0x61...0x7A ~= $0 || $0 == 0x2D }
  }

  private static let zeroNonce = [UInt8](repeating: 0, count: 12)

  private static func wrapKey(_ dataKey: SecretBytes) throws -> SymmetricKey {
    guard dataKey.count == dataKeyBytes else {
      throw AgeError(.key, "a data key of \(dataKey.count) bytes instead of \(dataKeyBytes)", at: type)
    }
    return HKDF<SHA256>.deriveKey(
      inputKeyMaterial: dataKey.symmetricKey(), info: Array(type.utf8), outputByteCount: 32)
  }

  /// The body for `fileKey`.
  static func seal(_ fileKey: SecretBytes, under dataKey: SecretBytes) throws -> [UInt8] {
    let key = try wrapKey(dataKey)
    let box = try fileKey.withUnsafeBytes {
      try ChaChaPoly.seal($0, using: key, nonce: ChaChaPoly.Nonce(data: zeroNonce))
    }
    return Array(box.ciphertext) + Array(box.tag)
  }

  /// The file key of `body`, or nil where it does not authenticate.
  static func open(_ body: [UInt8], under dataKey: SecretBytes) throws -> SecretBytes? {
    let key = try wrapKey(dataKey)
    let box = try ChaChaPoly.SealedBox(combined: zeroNonce + body)
    guard var opened = try? ChaChaPoly.open(box, using: key) else { return nil }
    defer { opened.resetBytes(in: 0..<opened.count) }
    return try SecretBytes(copying: opened)
  }
}

/// A recipient by a KMS data key that was made for this one file.
package struct KMSStanzaRecipient: AgeRecipient {
  /// The full ARN of the key under which KMS wrapped the data key.
  package let keyARN: String
  /// What KMS returned beside the data key.
  package let ciphertextBlob: [UInt8]
  private let dataKey: SecretBytes

  /// - Parameter dataKey: 32 bytes, fresh from `GenerateDataKey`; never used for another file.
  /// - Throws: ``AgeError`` of kind `key` for an ARN, blob or data key outside the bounds of ``KMSStanza``.
  package init(keyARN: String, ciphertextBlob: [UInt8], dataKey: SecretBytes) throws {
    guard KMSStanza.isKeyARN(keyARN) else { throw AgeError(.key, "not a full KMS key ARN", at: KMSStanza.type) }
    guard 1...KMSStanza.ciphertextBlobBytes ~= ciphertextBlob.count else {
      throw AgeError(.key, "a CiphertextBlob of \(ciphertextBlob.count) bytes", at: KMSStanza.type)
    }
    guard dataKey.count == KMSStanza.dataKeyBytes else {
      throw AgeError(.key, "a data key of \(dataKey.count) bytes", at: KMSStanza.type)
    }
    self.keyARN = keyARN
    self.ciphertextBlob = ciphertextBlob
    self.dataKey = dataKey
  }

  package func wrap(_ fileKey: SecretBytes) throws -> AgeStanza {
    let blob = String(decoding: AgeBase64.encode(ciphertextBlob), as: UTF8.self)
    return AgeStanza(
      type: KMSStanza.type, arguments: [keyARN, blob], body: try KMSStanza.seal(fileKey, under: dataKey))
  }
}

/// An identity by KMS: the one who may have `Decrypt` answered.
///
/// The ARN is compared with the expected one before KMS is asked. The encryption context is the closure's business, and
/// it computes it from verified data, never from the stanza (protocol §2).
package struct KMSStanzaIdentity: AgeIdentity {
  private let expectedKeyARN: String
  private let unwrapDataKey: (_ ciphertextBlob: [UInt8]) throws -> SecretBytes

  /// - Parameters:
  ///   - expectedKeyARN: the full key ARN of the policy.
  ///   - unwrap: asks KMS for the data key; it checks that the reply names the same key.
  package init(expectedKeyARN: String, unwrap: @escaping (_ ciphertextBlob: [UInt8]) throws -> SecretBytes) {
    self.expectedKeyARN = expectedKeyARN
    unwrapDataKey = unwrap
  }

  package func unwrap(_ stanzas: [AgeStanza]) throws -> AgeUnwrapping {
    var candidates: [(blob: [UInt8], body: [UInt8])] = []
    var otherKeys = 0
    for (index, stanza) in stanzas.enumerated() where stanza.type == KMSStanza.type {
      let (keyARN, blob) = try Self.arguments(stanza, "stanza \(index + 1) (\(KMSStanza.type))")
      if keyARN == expectedKeyARN { candidates.append((blob, stanza.body)) } else { otherKeys += 1 }
    }
    guard !candidates.isEmpty || otherKeys > 0 else { return .notForMe("no stanza of type \(KMSStanza.type)") }
    guard !candidates.isEmpty else { return .notForMe("the \(KMSStanza.type) stanza names another KMS key") }
    for candidate in candidates {
      let dataKey = try unwrapDataKey(candidate.blob)
      if let fileKey = try KMSStanza.open(candidate.body, under: dataKey) { return .fileKey(fileKey) }
    }
    return .notForMe("the \(KMSStanza.type) stanza does not open under its data key")
  }

  private static func arguments(_ stanza: AgeStanza, _ place: String) throws -> (keyARN: String, blob: [UInt8]) {
    guard stanza.arguments.count == 2, let keyARN = stanza.arguments.first, let text = stanza.arguments.last else {
      throw AgeError(.header, "\(stanza.arguments.count) arguments after the type instead of 2", at: place)
    }
    guard KMSStanza.isKeyARN(keyARN) else { throw AgeError(.header, "not a full KMS key ARN", at: place) }
    guard let blob = AgeBase64.decode(text.utf8), 1...KMSStanza.ciphertextBlobBytes ~= blob.count else {
      throw AgeError(.header, "the CiphertextBlob is not canonical base64 of 1 to 6144 bytes", at: place)
    }
    guard stanza.body.count == AgeFormat.wrappedFileKeyBytes else {
      throw AgeError(.header, "a body of \(stanza.body.count) bytes instead of 32", at: place)
    }
    return (keyARN, blob)
  }
}
