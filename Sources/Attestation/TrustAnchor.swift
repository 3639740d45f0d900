import Crypto
import SealedCrypto
import SwiftASN1
import Wire
import X509

/// The one root of one class of evidence. Anchors are made here alone, so production's root is AWS's by type.
package struct TrustAnchor: Sendable {
  /// The class of whatever verifies under this root.
  package let evidenceClass: EvidenceClass
  /// SHA-256 of the root certificate's DER.
  package let sha256: ContentDigest
  let root: Certificate

  private init(_ evidenceClass: EvidenceClass, _ certificate: Certificate) throws {
    self.evidenceClass = evidenceClass
    root = certificate
    sha256 = try certificate.sha256()
  }

  /// The AWS Nitro Enclaves root that this program carries.
  ///
  /// - Throws: ``AttestationRefusal`` only where the program itself was damaged.
  package static func production() throws -> TrustAnchor {
    let anchor = try AttestationRefusal.wrapping(.certificate, "AWS root") {
      try TrustAnchor(.production, try Certificate(pemEncoded: AWSNitroRoot.pem))
    }
    guard anchor.sha256.hex == AWSNitroRoot.sha256 else {
      throw AttestationRefusal(.certificate, "AWS root", "its SHA-256 is \(anchor.sha256)")
    }
    return anchor
  }

  /// A development root, as devcloud writes it: one certificate in PEM.
  ///
  /// - Throws: ``AttestationRefusal`` when it is no certificate, or the AWS root under another name.
  package static func development(pem: String) throws -> TrustAnchor {
    try development(AttestationRefusal.wrapping(.certificate, "root.pem") { try Certificate(pemEncoded: pem) })
  }

  /// A development root in DER.
  ///
  /// - Throws: as ``development(pem:)``.
  package static func development(der: [UInt8]) throws -> TrustAnchor {
    try development(AttestationRefusal.wrapping(.certificate, "root") { try Certificate(derEncoded: der) })
  }

  /// SHA-256 of the certificate in `pem`, to compare with an anchor's.
  ///
  /// - Throws: ``AttestationRefusal`` when it is no certificate.
  static func fingerprint(pem: String) throws -> ContentDigest {
    try AttestationRefusal.wrapping(.certificate, "root.pem") { try Certificate(pemEncoded: pem).sha256() }
  }

  private static func development(_ certificate: Certificate) throws -> TrustAnchor {
    let anchor = try AttestationRefusal.wrapping(.certificate, "root") { try TrustAnchor(.development, certificate) }
    guard anchor.sha256.hex != AWSNitroRoot.sha256 else {
      throw AttestationRefusal(.evidenceClass, "root", "the AWS root belongs in a profile of class production")
    }
    return anchor
  }
}

extension Certificate {
  /// The DER as it is signed and sent.
  func derBytes() throws -> [UInt8] {
    var serializer = DER.Serializer()
    try serializer.serialize(self)
    return serializer.serializedBytes
  }

  /// SHA-256 of the DER.
  func sha256() throws -> ContentDigest { SHA256.digest(of: try derBytes()) }
}
