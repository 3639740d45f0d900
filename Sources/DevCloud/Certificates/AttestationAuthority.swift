import CPlatform
import Crypto
import FoundationEssentials
import Synchronization
import SwiftASN1
import Wire
import X509

/// The development counterpart of the Nitro attestation PKI: root → regional → zonal → instance → leaf, P-384
/// throughout, with the lifetimes, path lengths and key usages of the real one (each DER at most 1024 bytes).
///
/// The root is made once and kept; what is below it is made at each start and again before it ends, and its private
/// keys never touch the disk.
final class AttestationAuthority: Sendable {
  /// What one enclave signs its documents with.
  struct Leaf: Sendable {
    let key: P384.Signing.PrivateKey
    let certificate: [UInt8]
    /// Root first.
    let bundle: [[UInt8]]
    /// Milliseconds since 1970, after which a fresh one is due.
    let renewAfter: Int64
  }

  private struct Instance: Sendable {
    let issuer: CertificateIssuer
    let bundle: [[UInt8]]
    let renewAfter: Int64
  }

  private static let minute: Int64 = 60_000
  private static let hour: Int64 = 60 * minute
  private static let day: Int64 = 24 * hour

  private let root: CertificateIssuer
  private let instance = Mutex<Instance?>(nil)
  /// The host's identifier, in the form of an EC2 instance id.
  let instanceID: String

  init(root: CertificateIssuer, instanceID: String) {
    self.root = root
    self.instanceID = instanceID
  }

  /// A new root, valid for thirty years.
  static func makeRoot(at now: Int64) throws -> CertificateIssuer {
    try CertificateIssuer.selfSigned(
      name: CertificateIssuer.name("development.nitro-enclaves"), curve: .p384, from: now - hour,
      until: now + 30 * 365 * day)
  }

  /// A fresh leaf, valid for three hours, for the enclave of this module id.
  func leaf(moduleID: String, at now: Int64) throws -> Leaf {
    let instance = try currentInstance(at: now)
    let key = P384.Signing.PrivateKey()
    let certificate = try instance.issuer.issue(
      publicKey: Certificate.PublicKey(key.publicKey), name: CertificateIssuer.name("\(moduleID).us-east-1.aws"),
      from: now - Self.minute, until: now + 3 * Self.hour,
      extensions: Certificate.Extensions {
        Critical(BasicConstraints.notCertificateAuthority)
        KeyUsage(digitalSignature: true, nonRepudiation: true)
      })
    return Leaf(
      key: key, certificate: try CertificateIssuer.der(certificate), bundle: instance.bundle,
      renewAfter: now + 2 * Self.hour)
  }

  private func currentInstance(at now: Int64) throws -> Instance {
    try instance.withLock { current in
      if let current, now < current.renewAfter { return current }
      let made = try makeInstance(at: now)
      current = made
      return made
    }
  }

  private func makeInstance(at now: Int64) throws -> Instance {
    func tag() -> String { Hex.encode((0..<8).map { _ in UInt8.random(in: 0...255) }) }
    let regional = try root.issueAuthority(
      name: CertificateIssuer.name("\(tag()).us-east-1.development.nitro-enclaves"), pathLength: 2,
      from: now - Self.hour, until: now + 20 * Self.day)
    let zonal = try regional.issueAuthority(
      name: CertificateIssuer.name("\(tag()).zonal.us-east-1.development.nitro-enclaves"), pathLength: 1,
      from: now - Self.hour, until: now + 6 * Self.day)
    let instance = try zonal.issueAuthority(
      name: CertificateIssuer.name("\(instanceID).us-east-1.development.nitro-enclaves"), pathLength: 0,
      from: now - Self.hour, until: now + Self.day, signsCRLs: false)
    return Instance(
      issuer: instance,
      bundle: try [root, regional, zonal, instance].map { try CertificateIssuer.der($0.certificate) },
      renewAfter: now + 20 * Self.hour)
  }
}
