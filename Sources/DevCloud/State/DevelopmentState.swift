import Attestation
import CPlatform
import FoundationEssentials
import SealedCrypto
import Wire

/// Everything of a state directory that `devcloud run` needs, loaded and checked against itself.
///
/// | file | what | mode |
/// |---|---|---|
/// | `attestation-root.pem`, `private/attestation-root.key.pem` | root of the development attestation chain | 0644, 0600 |
/// | `kms-roots.pem`, `private/kms-root.key.pem` | root of the KMS server's certificate | 0644, 0600 |
/// | `evidence-class` | `development` or `emulated`: which documents KMS takes; a state without it is of development | 0644 |
/// | `instance-id` | the host's name in module ids | 0644 |
/// | `keys.json` | `{"epoch_key": ARN, "model_key": ARN}`; written last by init | 0644 |
/// | `keys/epoch-key/`, `keys/model-key/` | `key.json`, `policy.json` (both read at each request), `material` | 0644, 0644, 0600 |
/// | `credentials` | an AWS profile file: `[host]`, `[publisher]`, `[owner]` | 0600 |
struct DevelopmentState {
  static let region = "us-east-1"
  static let profiles = ["host", "publisher", "owner"]

  let directory: StateDirectory
  /// Never production: which documents KMS takes, and that it takes no others.
  let evidenceClass: EvidenceClass
  let attestationRoot: CertificateIssuer
  let tlsRoot: CertificateIssuer
  let instanceID: String
  let keys: KeyRing
  let callers: [Caller]

  /// Loads a state.
  ///
  /// - Throws: ``StateError/notInitialised(_:)`` when there is none, or what is wrong with it.
  init(at path: String) throws {
    directory = StateDirectory(path: path)
    guard directory.contains("keys.json") else { throw StateError.notInitialised(path) }
    evidenceClass = try Self.evidenceClass(directory)
    attestationRoot = try CertificateIssuer(
      certificatePEM: directory.readText("attestation-root.pem"),
      keyPEM: directory.readText("private/attestation-root.key.pem"))
    tlsRoot = try CertificateIssuer(
      certificatePEM: directory.readText("kms-roots.pem"), keyPEM: directory.readText("private/kms-root.key.pem"))
    instanceID = String(try directory.readText("instance-id").prefix { !$0.isNewline })
    keys = try KeyRing(directory)
    callers = try Caller.read(try directory.readText("credentials"), file: directory.path(of: "credentials"))
  }

  /// What the commands say first.
  var notices: [String] { evidenceClass == .emulated ? [developmentNotice, emulatedNotice] : [developmentNotice] }

  /// The judge of the documents in requests to KMS.
  ///
  /// - Throws: ``AttestationRefusal`` where the state's root is none.
  var verifier: AttestationVerifier {
    get throws {
      guard evidenceClass == .development else { return AttestationVerifier(.emulated) }
      return AttestationVerifier(try .development(pem: try attestationRoot.certificatePEM()))
    }
  }

  private static func evidenceClass(_ directory: StateDirectory) throws -> EvidenceClass {
    guard directory.contains("evidence-class") else { return .development }
    switch try directory.readText("evidence-class").prefix(while: { !$0.isNewline }) {
    case "development": return .development
    case "emulated": return .emulated
    default: throw StateError.malformed(directory.path(of: "evidence-class"), "neither development nor emulated")
    }
  }

  /// Makes a new state. A directory that holds one already is left as it is.
  ///
  /// - Returns: whether anything was made.
  /// - Throws: ``StateError``, or what a library throws.
  static func create(at path: String, now: Int64, evidenceClass: EvidenceClass = .development) throws -> Bool {
    let directory = StateDirectory(path: path)
    try directory.makeDirectory()
    guard !directory.contains("keys.json") else { return false }
    try directory.makeDirectory("private")
    try directory.makeDirectory("keys")

    let attestationRoot = try AttestationAuthority.makeRoot(at: now)
    try directory.write("private/attestation-root.key.pem", Array(attestationRoot.keyPEM().utf8), access: .owner)
    try directory.write("attestation-root.pem", Array(attestationRoot.certificatePEM().utf8), access: .everyone)
    let tlsRoot = try ServerCertificate.makeRoot(at: now)
    try directory.write("private/kms-root.key.pem", Array(tlsRoot.keyPEM().utf8), access: .owner)
    try directory.write("kms-roots.pem", Array(tlsRoot.certificatePEM().utf8), access: .everyone)
    let instanceID = "i-0" + Hex.encode((0..<8).map { _ in UInt8.random(in: 0...255) })
    try directory.write("instance-id", Array("\(instanceID)\n".utf8), access: .everyone)
    try directory.write("evidence-class", Array("\(evidenceClass.rawValue)\n".utf8), access: .everyone)
    try directory.write("credentials", Array(try Caller.newCredentials(profiles).utf8), access: .owner)
    try KeyRing.create(in: directory, now: now)
    return true
  }

  /// Writes both key policies.
  ///
  /// - Throws: ``StateError``.
  static func writePolicies(_ templates: PolicyTemplates, in directory: StateDirectory) throws {
    try directory.write("keys/epoch-key/policy.json", templates.epochKey(), access: .everyone)
    try directory.write("keys/model-key/policy.json", templates.modelKey(), access: .everyone)
  }
}
