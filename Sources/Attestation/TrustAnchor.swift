import Crypto
import SealedCrypto
import SwiftASN1
import Wire
import X509

/// What the evidence of one class rests on: its one root, or for the emulated class nothing. Anchors are made here alone,
/// so production's root is AWS's by type.
package struct TrustAnchor: Sendable {
  /// The class of whatever verifies by this anchor.
  package let evidenceClass: EvidenceClass
  /// Nil for the emulated class alone, whose documents nobody signs.
  let root: Root?

  /// A class's root.
  struct Root: Sendable {
    let certificate: Certificate
    let sha256: ContentDigest

    fileprivate init(_ certificate: Certificate) throws {
      self.certificate = certificate
      sha256 = try certificate.sha256()
    }
  }

  /// SHA-256 of the root certificate's DER; nil where there is no root.
  package var rootSHA256: ContentDigest? { root?.sha256 }

  private init(_ evidenceClass: EvidenceClass, _ root: Root?) {
    self.evidenceClass = evidenceClass
    self.root = root
  }

  /// No root: QEMU's documents are unsigned, and whoever accepts them accepts anybody's.
  package static var emulated: TrustAnchor { TrustAnchor(.emulated, nil) }

  /// The AWS Nitro Enclaves root that this program carries.
  ///
  /// - Throws: ``AttestationRefusal`` only where the program itself was damaged.
  package static func production() throws -> TrustAnchor {
    let root = try AttestationRefusal.wrapping(.certificate, "AWS root") {
      try Root(try Certificate(pemEncoded: AWSNitroRoot.pem))
    }
    guard root.sha256.hex == AWSNitroRoot.sha256 else {
      throw AttestationRefusal(.certificate, "AWS root", "its SHA-256 is \(root.sha256)")
    }
    return TrustAnchor(.production, root)
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
    let root = try AttestationRefusal.wrapping(.certificate, "root") { try Root(certificate) }
    guard root.sha256.hex != AWSNitroRoot.sha256 else {
      throw AttestationRefusal(.evidenceClass, "root", "the AWS root belongs in a profile of class production")
    }
    return TrustAnchor(.development, root)
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
