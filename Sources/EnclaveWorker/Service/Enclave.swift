import CPlatform
import Glibc
import SealedCrypto
import Wire

/// What is fixed for one boot: the measured image, the security module, the boot key, the way to KMS.
final class Enclave: Sendable {
  /// As it stands in receipts and statuses.
  static let software = "enclave-worker 0.1.0"

  let evidenceClass: Image.EvidenceClass
  /// The policy key of the measured image.
  let policyKey: VerifyingKey
  let module: any SecurityModule
  let kms: KMSClient
  /// Where the image says so: what holds this boot to one policy.
  let policyPin: PolicyPin?
  /// Ed25519, made at boot, attested with every statement, never stored.
  private let bootKey: SigningKey

  /// Takes entropy and time from the security module, then makes the boot key.
  ///
  /// - Throws: ``SecurityModuleError``, ``ImageError``: without a module or roots the worker does not start.
  init(image: Image, module: any SecurityModule) throws {
    evidenceClass = image.evidenceClass
    policyKey = image.policyKey
    self.module = module
    policyPin = image.pinsPolicy ? PolicyPin(module) : nil
    Self.stir(try module.random())
    let now = try module.milliseconds()
    // On Nitro the kernel's clock is the host's to skew until the hypervisor's replaces it. On a developer's machine it
    // belongs to somebody else and is only compared, before each certificate check.
    if image.moduleEndpoint == nil, cplatform_set_clock_ms(Int64(clamping: now)) != 0 {
      throw SecurityModuleError.unavailable("setting the clock: \(String(cString: strerror(errno)))")
    }
    bootKey = try SigningKey.generate()
    kms = try KMSClient(module: module, rootsPEM: image.kmsRoots)
  }

  /// The public half of the boot key.
  var key: VerifyingKey { bootKey.verifyingKey }

  /// The security module's clock in milliseconds since 1970.
  func milliseconds() throws -> UInt64 { try module.milliseconds() }

  /// Signs claims with the boot key, with a document over their digest.
  func sign<Claims: AttestedClaims>(_ claims: Claims) throws -> Signed<Claims> {
    try Signed.sign(claims, with: bootKey) { try self.module.attest(userData: $0) }
  }

  /// Mixes the module's bytes into the kernel's pool. Crediting them is init's part, which has the privilege.
  private static func stir(_ bytes: [UInt8]) {
    let descriptor = open("/dev/urandom", O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    _ = write(descriptor, bytes, bytes.count)
  }
}
