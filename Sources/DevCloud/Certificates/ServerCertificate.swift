import Crypto
import NIOSSL
import SwiftASN1
import X509

/// The TLS side of devcloud's KMS: a root that is made once and kept, and a server certificate made at each start.
enum ServerCertificate {
  /// KMS's own names in the one region; `localhost` for tools that are given an endpoint by hand.
  static let serverNames = ["kms.us-east-1.amazonaws.com", "kms-fips.us-east-1.amazonaws.com", "localhost"]

  private static let day: Int64 = 24 * 3_600_000

  /// A new root, valid for ten years.
  static func makeRoot(at now: Int64) throws -> CertificateIssuer {
    try CertificateIssuer.selfSigned(
      name: CertificateIssuer.name("development KMS root"), curve: .p256, from: now - 3_600_000,
      until: now + 3650 * day)
  }

  /// TLS 1.3 alone, X25519MLKEM768 first.
  static func configuration(root: CertificateIssuer, at now: Int64) throws -> TLSConfiguration {
    let key = P256.Signing.PrivateKey()
    let certificate = try root.issue(
      publicKey: Certificate.PublicKey(key.publicKey), name: CertificateIssuer.name(serverNames[0]),
      from: now - 3_600_000, until: now + 90 * day,
      extensions: Certificate.Extensions {
        Critical(BasicConstraints.notCertificateAuthority)
        Critical(KeyUsage(digitalSignature: true))
        try ExtendedKeyUsage([.serverAuth])
        SubjectAlternativeNames(
          serverNames.map { .dnsName($0) } + [.ipAddress(ASN1OctetString(contentBytes: [127, 0, 0, 1]))])
      })
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: [.certificate(try NIOSSLCertificate(bytes: CertificateIssuer.der(certificate), format: .der))],
      privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(key.derRepresentation), format: .der)))
    configuration.minimumTLSVersion = .tlsv13
    configuration.curves = [.x25519_MLKEM768, .x25519, .secp256r1]
    configuration.applicationProtocols = ["http/1.1"]
    return configuration
  }
}
