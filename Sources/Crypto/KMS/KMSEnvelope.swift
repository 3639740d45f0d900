import Crypto
import CryptoExtras
import FoundationEssentials
import SwiftASN1
import Wire

/// Why a CMS envelope was not opened: it is not the one form that KMS makes, or not for this key.
package struct KMSEnvelopeError: Error, Equatable, CustomStringConvertible, Sendable {
  package let reason: String
  init(_ reason: String) { self.reason = reason }
  package var description: String { "CMS envelope: \(reason)" }
}

/// `CiphertextForRecipient`: CMS EnvelopedData (RFC 5652 §6) in BER, lengths definite or not.
///
/// One form is accepted, the one that KMS makes: version 2, one KeyTransRecipientInfo (version 2, `[0]` key identifier,
/// RSAES-OAEP with SHA-256 twice), content of type data under AES-256-CBC, in one or several OCTET STRINGs.
///
/// The envelope is made to a public key and carries no MAC: **it proves nothing about who made it**. TLS that ends in
/// the enclave does (protocol §2); nothing else may hand bytes to this function.
package enum KMSEnvelope {
  /// The largest envelope that is looked at; KMS's are under 600 bytes.
  package static let maximumBytes = 16 << 10

  /// The content: the data key.
  ///
  /// - Throws: ``KMSEnvelopeError``; ``SecretMemoryError``.
  package static func open(_ envelope: [UInt8], with key: KMSRecipientKey) throws -> SecretBytes {
    guard envelope.count <= maximumBytes else { throw KMSEnvelopeError("larger than \(maximumBytes) bytes") }
    let parts: EnvelopedData
    do {
      parts = try EnvelopedData(contentInfo: try BER.parse(envelope))
    } catch is ASN1Error {
      throw KMSEnvelopeError("its BER does not have the form that KMS makes: cut off, or a part of another type")
    }
    var contentKey = try key.decrypt(parts.encryptedKey)
    defer { contentKey.resetBytes(in: 0..<contentKey.count) }
    guard contentKey.count == 32 else { throw KMSEnvelopeError("a content key of \(contentKey.count) bytes") }
    guard !parts.content.isEmpty, parts.content.count.isMultiple(of: 16) else {
      throw KMSEnvelopeError("the content is not whole AES blocks")
    }
    guard
      var plaintext = try? AES._CBC.decrypt(
        parts.content, using: SymmetricKey(data: contentKey), iv: AES._CBC.IV(ivBytes: parts.iv))
    else { throw KMSEnvelopeError("the content does not decrypt") }
    defer { plaintext.resetBytes(in: 0..<plaintext.count) }
    guard !plaintext.isEmpty else { throw KMSEnvelopeError("the content is empty") }
    return try SecretBytes(copying: plaintext)
  }
}

/// What is used of an EnvelopedData.
private struct EnvelopedData {
  let encryptedKey: ArraySlice<UInt8>
  let iv: [UInt8]
  let content: ArraySlice<UInt8>

  private static let envelopedData: ASN1ObjectIdentifier = [1, 2, 840, 113_549, 1, 7, 3]
  private static let data: ASN1ObjectIdentifier = [1, 2, 840, 113_549, 1, 7, 1]
  private static let rsaesOAEP: ASN1ObjectIdentifier = [1, 2, 840, 113_549, 1, 1, 7]
  private static let mgf1: ASN1ObjectIdentifier = [1, 2, 840, 113_549, 1, 1, 8]
  private static let sha256: ASN1ObjectIdentifier = [2, 16, 840, 1, 101, 3, 4, 2, 1]
  private static let aes256CBC: ASN1ObjectIdentifier = [2, 16, 840, 1, 101, 3, 4, 1, 42]
  private static let tag0 = ASN1Identifier(tagWithNumber: 0, tagClass: .contextSpecific)
  private static let tag1 = ASN1Identifier(tagWithNumber: 1, tagClass: .contextSpecific)

  /// ContentInfo ::= SEQUENCE { contentType, content [0] EXPLICIT EnvelopedData }
  init(contentInfo: ASN1Node) throws {
    let outer = try Self.children(contentInfo, .sequence, count: 2, "ContentInfo")
    try Self.require(outer[0], Self.envelopedData, "content type")
    let inner = try Self.children(outer[1], Self.tag0, count: 1, "content")
    // EnvelopedData ::= SEQUENCE { version, recipientInfos SET OF RecipientInfo, encryptedContentInfo }
    let parts = try Self.children(inner[0], .sequence, count: 3, "EnvelopedData")
    try Self.requireVersion2(parts[0])
    encryptedKey = try Self.recipient(try Self.children(parts[1], .set, count: 1, "recipientInfos")[0])
    // EncryptedContentInfo ::= SEQUENCE { contentType, algorithm, encryptedContent [0] IMPLICIT OCTET STRING }
    let content = try Self.children(parts[2], .sequence, count: 3, "encryptedContentInfo")
    try Self.require(content[0], Self.data, "inner content type")
    let algorithm = try Self.children(content[1], .sequence, count: 2, "content algorithm")
    try Self.require(algorithm[0], Self.aes256CBC, "content algorithm")
    iv = Array(try ASN1OctetString(berEncoded: algorithm[1]).bytes)
    guard iv.count == 16 else { throw KMSEnvelopeError("an IV of \(iv.count) bytes") }
    self.content = try ASN1OctetString(berEncoded: content[2], withIdentifier: Self.tag0).bytes
  }

  /// KeyTransRecipientInfo ::= SEQUENCE { version, rid [0] OCTET STRING, keyEncryptionAlgorithm, encryptedKey }
  private static func recipient(_ node: ASN1Node) throws -> ArraySlice<UInt8> {
    let parts = try children(node, .sequence, count: 4, "KeyTransRecipientInfo")
    try requireVersion2(parts[0])
    guard parts[1].identifier == tag0 else { throw KMSEnvelopeError("the recipient has no key identifier") }
    let algorithm = try children(parts[2], .sequence, count: 2, "key algorithm")
    try require(algorithm[0], rsaesOAEP, "key algorithm")
    // RSAES-OAEP-params ::= SEQUENCE { [0] hash, [1] mask generation, [2] label source DEFAULT empty } (RFC 8017 A.2.1)
    let parameters = try children(algorithm[1], .sequence, count: 2, "OAEP parameters")
    try require(hash: try children(parameters[0], tag0, count: 1, "OAEP hash")[0], "OAEP hash")
    let mask = try children(try children(parameters[1], tag1, count: 1, "MGF")[0], .sequence, count: 2, "MGF")
    try require(mask[0], mgf1, "MGF")
    try require(hash: mask[1], "MGF hash")
    let key = try ASN1OctetString(berEncoded: parts[3]).bytes
    guard key.count == 256 else { throw KMSEnvelopeError("an encrypted key of \(key.count) bytes") }
    return key
  }

  private static func children(
    _ node: ASN1Node, _ identifier: ASN1Identifier, count: Int, _ what: String
  ) throws -> [ASN1Node] {
    guard node.identifier == identifier, case .constructed(let nodes) = node.content else {
      throw KMSEnvelopeError("\(what) is of another type")
    }
    let children = Array(nodes)
    guard children.count == count else { throw KMSEnvelopeError("\(what) has \(children.count) parts, not \(count)") }
    return children
  }

  private static func require(_ node: ASN1Node, _ expected: ASN1ObjectIdentifier, _ what: String) throws {
    guard try ASN1ObjectIdentifier(berEncoded: node) == expected else {
      throw KMSEnvelopeError("\(what) is not the one that KMS uses")
    }
  }

  /// AlgorithmIdentifier { sha256, NULL or nothing }
  private static func require(hash node: ASN1Node, _ what: String) throws {
    guard node.identifier == .sequence, case .constructed(let nodes) = node.content,
      let first = nodes.first(where: { _ in true })
    else { throw KMSEnvelopeError("\(what) is of another type") }
    try require(first, sha256, what)
  }

  private static func requireVersion2(_ node: ASN1Node) throws {
    guard try Int(berEncoded: node) == 2 else { throw KMSEnvelopeError("not version 2") }
  }
}
