import Crypto
import CryptoExtras
import FoundationEssentials
import Wire

/// The RSA-2048 key pair of one KMS request: its public half goes into the attestation document, the private half opens
/// the one reply and is forgotten.
///
/// The private key lives in BoringSSL's own memory for the length of the request.
package struct KMSRecipientKey {
  private let key: _RSA.Encryption.PrivateKey

  /// A fresh key.
  package init() throws { key = try _RSA.Encryption.PrivateKey(keySize: .bits2048) }

  /// Reads a key that was made elsewhere: golden data.
  ///
  /// - Throws: whatever is wrong with the PEM text.
  package init(pem: String) throws { key = try _RSA.Encryption.PrivateKey(pemRepresentation: pem) }

  /// SubjectPublicKeyInfo in DER, the form that KMS takes (RFC 5280 §4.1).
  package var subjectPublicKeyInfo: [UInt8] { Array(key.publicKey.derRepresentation) }

  /// RSAES-OAEP with SHA-256 for hash and MGF1 (RFC 8017 §7.1).
  ///
  /// - Throws: ``KMSEnvelopeError`` when the bytes are not for this key.
  func decrypt(_ bytes: some Collection<UInt8>) throws -> Data {
    do {
      return try key.decrypt(Data(bytes), padding: .PKCS1_OAEP_SHA256)
    } catch {
      throw KMSEnvelopeError("the encrypted key is not for this recipient")
    }
  }
}
