import Crypto
import CryptoExtras
import Foundation

/// Makes what KMS makes: CMS EnvelopedData with indefinite lengths, to a SubjectPublicKeyInfo.
enum TestEnvelope {
  static func make(_ content: [UInt8], to subjectPublicKeyInfo: [UInt8]) throws -> [UInt8] {
    let recipient = try _RSA.Encryption.PublicKey(derRepresentation: subjectPublicKeyInfo)
    let contentKey = SymmetricKey(size: .bits256)
    let iv = AES._CBC.IV()
    let encrypted = try AES._CBC.encrypt(content, using: contentKey, iv: iv)
    let wrapped = try contentKey.withUnsafeBytes { try recipient.encrypt(Data($0), padding: .PKCS1_OAEP_SHA256) }

    let sha256 = tlv(0x30, oid([0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01]))
    let mgf1 = tlv(0x30, oid([0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x08]) + sha256)
    let oaep = tlv(
      0x30,
      oid([0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x07])
        + tlv(0x30, tlv(0xA0, sha256) + tlv(0xA1, mgf1)))
    let info = tlv(
      0x30, tlv(0x02, [2]) + tlv(0x80, [UInt8](repeating: 9, count: 32)) + oaep + tlv(0x04, Array(wrapped)))
    let algorithm = tlv(
      0x30, oid([0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2A]) + tlv(0x04, Array(iv)))
    let middle = encrypted.count / 2
    let octets = tlv(0x04, Array(encrypted[..<middle])) + tlv(0x04, Array(encrypted[middle...]))
    let body = indefinite(
      0x30, oid([0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x01]) + algorithm + indefinite(0xA0, octets))
    let enveloped = indefinite(0x30, tlv(0x02, [2]) + tlv(0x31, info) + body)
    return indefinite(0x30, oid([0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x03]) + indefinite(0xA0, enveloped))
  }

  private static func oid(_ body: [UInt8]) -> [UInt8] { tlv(0x06, body) }
  private static func indefinite(_ tag: UInt8, _ body: [UInt8]) -> [UInt8] { [tag, 0x80] + body + [0, 0] }
  private static func tlv(_ tag: UInt8, _ body: [UInt8]) -> [UInt8] {
    let length: [UInt8] =
      body.count < 128 ? [UInt8(body.count)] : [0x82, UInt8(body.count >> 8), UInt8(body.count & 0xFF)]
    return [tag] + length + body
  }
}
