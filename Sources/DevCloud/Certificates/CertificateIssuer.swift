import Crypto
import FoundationEssentials
import SwiftASN1
import X509

/// A certificate with its private key, able to issue others.
struct CertificateIssuer: Sendable {
  /// The curves that devcloud uses.
  enum Curve {
    case p256
    case p384

    fileprivate func makeKey() -> Certificate.PrivateKey {
      switch self {
      case .p256: Certificate.PrivateKey(P256.Signing.PrivateKey())
      case .p384: Certificate.PrivateKey(P384.Signing.PrivateKey())
      }
    }
  }

  let certificate: Certificate
  private let key: Certificate.PrivateKey

  private init(certificate: Certificate, key: Certificate.PrivateKey) {
    self.certificate = certificate
    self.key = key
  }

  /// Reads what ``certificatePEM()`` and ``keyPEM()`` gave.
  ///
  /// - Throws: when either is malformed or the two do not belong together.
  init(certificatePEM: String, keyPEM: String) throws {
    certificate = try Certificate(pemEncoded: certificatePEM)
    key = try Certificate.PrivateKey(pemEncoded: keyPEM)
    guard key.publicKey == certificate.publicKey else {
      throw StateError.malformed("certificate", "does not belong to the private key beside it")
    }
  }

  func certificatePEM() throws -> String { try certificate.serializeAsPEM().pemString + "\n" }
  func keyPEM() throws -> String { try key.serializeAsPEM().pemString + "\n" }

  /// Every development certificate says what it is in its name.
  static func name(_ commonName: String) throws -> DistinguishedName {
    try DistinguishedName {
      CountryName("US")
      OrganizationName("EphemeralML")
      OrganizationalUnitName("DEVELOPMENT")
      CommonName(commonName)
    }
  }

  static func der(_ certificate: Certificate) throws -> [UInt8] {
    var serializer = DER.Serializer()
    try serializer.serialize(certificate)
    return serializer.serializedBytes
  }

  /// A new root. Times are milliseconds since 1970.
  static func selfSigned(name: DistinguishedName, curve: Curve, from: Int64, until: Int64) throws -> CertificateIssuer {
    let key = curve.makeKey()
    let certificate = try make(
      publicKey: key.publicKey, subject: name, issuer: name, from: from, until: until,
      extensions: Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
        SubjectKeyIdentifier(hash: key.publicKey)
        Critical(KeyUsage(digitalSignature: true, keyCertSign: true, cRLSign: true))
      }, signer: key)
    return CertificateIssuer(certificate: certificate, key: key)
  }

  /// An authority below this one, on P-384.
  func issueAuthority(
    name: DistinguishedName, pathLength: Int, from: Int64, until: Int64, signsCRLs: Bool = true
  ) throws -> CertificateIssuer {
    let child = Curve.p384.makeKey()
    let usage =
      signsCRLs ? KeyUsage(digitalSignature: true, keyCertSign: true, cRLSign: true) : KeyUsage(keyCertSign: true)
    let certificate = try issue(
      publicKey: child.publicKey, name: name, from: from, until: until,
      extensions: Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: pathLength))
        AuthorityKeyIdentifier(keyIdentifier: SubjectKeyIdentifier(hash: key.publicKey).keyIdentifier)
        SubjectKeyIdentifier(hash: child.publicKey)
        Critical(usage)
      })
    return CertificateIssuer(certificate: certificate, key: child)
  }

  /// A certificate signed by this one.
  func issue(
    publicKey: Certificate.PublicKey, name: DistinguishedName, from: Int64, until: Int64,
    extensions: Certificate.Extensions
  ) throws -> Certificate {
    try Self.make(
      publicKey: publicKey, subject: name, issuer: certificate.subject, from: from, until: until,
      extensions: extensions, signer: key)
  }

  private static func make(
    publicKey: Certificate.PublicKey, subject: DistinguishedName, issuer: DistinguishedName, from: Int64, until: Int64,
    extensions: Certificate.Extensions, signer: Certificate.PrivateKey
  ) throws -> Certificate {
    try Certificate(
      version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey,
      notValidBefore: Date(timeIntervalSince1970: Double(from / 1000)),
      notValidAfter: Date(timeIntervalSince1970: Double(until / 1000)), issuer: issuer, subject: subject,
      extensions: extensions, issuerPrivateKey: signer)
  }
}
