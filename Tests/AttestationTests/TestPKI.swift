import Crypto
import Foundation
import SealedCrypto
import SwiftASN1
import Wire
import X509

@testable import Attestation

/// A hypervisor's certificates, made in the test: root, regional, zonal, instance, leaf.
struct TestPKI {
  /// One certificate of the path; what AWS puts there unless a test says otherwise.
  struct Level {
    var name: String
    var constraints: BasicConstraints?
    var usage: KeyUsage?
    var notBefore = TestPKI.time - 3600
    var notAfter = TestPKI.time + 3600
    var extra: [Certificate.Extension] = []
    var signatureAlgorithm = Certificate.SignatureAlgorithm.ecdsaWithSHA384
  }

  /// The time of documents, in seconds.
  static let time: TimeInterval = 1_780_000_000
  /// The same in milliseconds.
  static let timeMs = UInt64(time) * 1000

  static var levels: [Level] {
    let authority = KeyUsage(digitalSignature: true, keyCertSign: true, cRLSign: true)
    return [
      Level(name: "root", constraints: .isCertificateAuthority(maxPathLength: nil), usage: authority),
      Level(name: "regional", constraints: .isCertificateAuthority(maxPathLength: 2), usage: authority),
      Level(name: "zonal", constraints: .isCertificateAuthority(maxPathLength: 1), usage: authority),
      Level(
        name: "instance", constraints: .isCertificateAuthority(maxPathLength: 0), usage: KeyUsage(keyCertSign: true)),
      Level(
        name: "leaf", constraints: .notCertificateAuthority,
        usage: KeyUsage(digitalSignature: true, nonRepudiation: true)),
    ]
  }

  let certificates: [[UInt8]]
  let leafKey: P384.Signing.PrivateKey

  init(_ change: (inout [Level]) -> Void = { _ in }) throws {
    var levels = Self.levels
    change(&levels)
    var certificates: [[UInt8]] = []
    var issuerKey = P384.Signing.PrivateKey()
    var issuer = try DistinguishedName { CommonName(levels[0].name) }
    var key = issuerKey
    for level in levels {
      let subject = try DistinguishedName { CommonName(level.name) }
      var extensions = level.extra
      if let constraints = level.constraints { extensions.append(try .init(constraints, critical: true)) }
      if let usage = level.usage { extensions.append(try .init(usage, critical: level.name != "leaf")) }
      let certificate = try Certificate(
        version: .v3, serialNumber: .init(), publicKey: .init(key.publicKey),
        notValidBefore: Date(timeIntervalSince1970: level.notBefore),
        notValidAfter: Date(timeIntervalSince1970: level.notAfter), issuer: issuer, subject: subject,
        signatureAlgorithm: level.signatureAlgorithm, extensions: try .init(extensions),
        issuerPrivateKey: .init(issuerKey))
      certificates.append(try certificate.derBytes())
      (issuer, issuerKey, key) = (subject, key, P384.Signing.PrivateKey())
    }
    self.certificates = certificates
    leafKey = issuerKey
  }

  var anchor: TrustAnchor {
    get throws { try TrustAnchor.development(der: certificates[0]) }
  }

  var verifier: AttestationVerifier {
    get throws { AttestationVerifier(try anchor) }
  }
}

/// A document that the test's hypervisor signs; every part can be spoilt before the signature.
struct TestDocument {
  var pairs: [CBOR.Pair]
  var protected: [UInt8] = [0xA1, 0x01, 0x38, 0x22]
  var unprotected: [CBOR.Pair] = []
  var payloadSuffix: [UInt8] = []
  var isTagged = false
  var indefinite = false

  static let image = MeasurementTuple(
    name: "test image", pcr0: Array(repeating: 0xA0, count: 48), pcr1: Array(repeating: 0xA1, count: 48),
    pcr2: Array(repeating: 0xA2, count: 48), pcr8: nil)

  init(_ pki: TestPKI, userData: [UInt8]? = nil, nonce: [UInt8]? = nil, publicKey: [UInt8]? = nil) {
    func nullable(_ bytes: [UInt8]?) -> CBOR { bytes.map { .bytes($0) } ?? .null }
    let zero = [UInt8](repeating: 0, count: 48)
    let registers = [Self.image.pcr0, Self.image.pcr1, Self.image.pcr2] + Array(repeating: zero, count: 13)
    pairs = [
      .init(.text("module_id"), .text("i-0123456789abcdef0-enc0123456789abcdef")),
      .init(.text("digest"), .text("SHA384")), .init(.text("timestamp"), .unsigned(TestPKI.timeMs)),
      .init(
        .text("pcrs"), .map(registers.enumerated().map { .init(.unsigned(UInt64($0.offset)), .bytes($0.element)) })),
      .init(.text("certificate"), .bytes(pki.certificates.last ?? [])),
      .init(.text("cabundle"), .array(pki.certificates.dropLast().map { .bytes($0) })),
      .init(.text("public_key"), nullable(publicKey)), .init(.text("user_data"), nullable(userData)),
      .init(.text("nonce"), nullable(nonce)),
    ]
  }

  subscript(key: String) -> CBOR? {
    get { pairs.first { $0.key == .text(key) }?.value }
    set {
      guard let index = pairs.firstIndex(where: { $0.key == .text(key) }) else {
        if let newValue { pairs.append(.init(.text(key), newValue)) }
        return
      }
      if let newValue { pairs[index] = .init(.text(key), newValue) } else { pairs.remove(at: index) }
    }
  }

  /// Puts another value into a register; nil takes the register out.
  mutating func setRegister(_ index: UInt64, _ value: [UInt8]?) {
    guard case .map(var registers)? = self["pcrs"] else { return }
    registers.removeAll { $0.key == .unsigned(index) }
    if let value { registers.append(.init(.unsigned(index), .bytes(value))) }
    self["pcrs"] = .map(registers)
  }

  func signed(_ key: P384.Signing.PrivateKey) throws -> [UInt8] {
    var payload = CBOR.map(pairs).encoded()
    if indefinite { payload = [0xBF] + payload.dropFirst() + [0xFF] }
    payload += payloadSuffix
    let message = COSESign1.signedBytes(protected: protected, externalAAD: [], payload: payload)
    let signature = Array(try key.signature(for: message).rawRepresentation)
    let array = CBOR.array([.bytes(protected), .map(unprotected), .bytes(payload), .bytes(signature)])
    return (isTagged ? CBOR.tagged(18, array) : array).encoded()
  }
}

/// The refusal that `body` throws; nil when it throws none.
func refusal(_ body: () throws -> Void) -> AttestationRefusal? {
  do {
    try body()
    return nil
  } catch {
    return error as? AttestationRefusal
  }
}
