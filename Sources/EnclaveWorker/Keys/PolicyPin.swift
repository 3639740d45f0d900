import Crypto
import SealedCrypto
import Wire

/// Binds one boot to one policy, for images whose measured directory says `pin-policy: yes` (protocol §9): PCR16 becomes
/// SHA-384(48 zero bytes ‖ SHA-256 of the policy's COSE bytes) and is locked, before any request to KMS. From then on
/// every document of this boot shows the policy, and a KMS key policy can demand that one exactly.
///
/// Invariant: a register that was touched never leads to another policy than the one in it. The module's registers
/// outlive nothing but the boot, so another policy takes a restart.
struct PolicyPin: Sendable {
  /// The register that belongs to the program, by this project's convention.
  static let register: UInt64 = 16
  private static let zeros = [UInt8](repeating: 0, count: 48)
  private let module: any SecurityModule

  init(_ module: any SecurityModule) { self.module = module }

  /// What the register holds once `policy` (the digest of its COSE bytes) is pinned.
  static func value(of policy: ContentDigest) -> [UInt8] { Array(SHA384.hash(data: zeros + policy.bytes)) }

  /// Extends and locks the register, or finds this very policy there. What an interrupted call left half done, the next
  /// one with the same policy completes.
  ///
  /// - Throws: ``WorkerFault`` with `refused` where the register holds anything else; ``SecurityModuleError``.
  func pin(_ policy: ContentDigest) throws {
    let wanted = Self.value(of: policy)
    var (isLocked, value) = try module.describe(register: Self.register)
    if !isLocked, value == Self.zeros { value = try module.extend(register: Self.register, with: policy.bytes) }
    guard value == wanted else { throw WorkerFault.refused("this boot is pinned to another policy") }
    if !isLocked { try module.lock(register: Self.register) }
    isLocked = try module.describe(register: Self.register).isLocked
    guard isLocked else { throw SecurityModuleError.malformed("PCR16 is not locked after LockPCR") }
  }
}
