import CPlatform
import Crypto
import Synchronization
import Wire

@testable import EnclaveWorker

/// A security module that signs nothing: its documents are well-formed and worthless. It stands in these tests alone.
final class ScriptedModule: SecurityModule {
  private let offset = Mutex<Int64>(0)
  private let requests = Mutex<[SecurityModuleRequest]>([])
  private let failing = Mutex<String?>(nil)
  private let registers = Mutex<[UInt64: (isLocked: Bool, value: [UInt8])]>([:])

  /// Every request so far.
  var seen: [SecurityModuleRequest] { requests.withLock { $0 } }

  /// Moves the module's clock against the system's.
  func shiftClock(byMs milliseconds: Int64) { offset.withLock { $0 = milliseconds } }

  /// A register as it is now.
  func register(_ index: UInt64) -> (isLocked: Bool, value: [UInt8]) {
    registers.withLock { $0[index] ?? (false, [UInt8](repeating: 0, count: 48)) }
  }

  /// Answers everything with this error from now on.
  func fail(with name: String?) { failing.withLock { $0 = name } }

  func exchange(_ bytes: [UInt8]) throws -> [UInt8] {
    let request = try SecurityModuleRequest(bytes)
    requests.withLock { $0.append(request) }
    if let name = failing.withLock({ $0 }) { return SecurityModuleResponse.error(name).encoded() }
    switch request {
    case .attestation(let userData, let nonce, let publicKey):
      let now = UInt64(cplatform_now_ms() + offset.withLock { $0 })
      return SecurityModuleResponse.attestation(
        document: Self.document(timestamp: now, userData: userData, nonce: nonce, publicKey: publicKey)
      ).encoded()
    case .getRandom: return SecurityModuleResponse.random([UInt8](repeating: 7, count: 256)).encoded()
    case .describePCR(let index):
      let (isLocked, value) = register(index)
      return SecurityModuleResponse.describePCR(lock: isLocked, data: value).encoded()
    case .extendPCR(let index, let data):
      let (isLocked, old) = register(index)
      guard !isLocked else { return SecurityModuleResponse.error("ReadOnlyIndex").encoded() }
      let value = Array(SHA384.hash(data: old + data))
      registers.withLock { $0[index] = (false, value) }
      return SecurityModuleResponse.extendPCR(data: value).encoded()
    case .lockPCR(let index):
      let (isLocked, value) = register(index)
      guard !isLocked else { return SecurityModuleResponse.error("ReadOnlyIndex").encoded() }
      registers.withLock { $0[index] = (true, value) }
      return SecurityModuleResponse.lockPCR.encoded()
    default: return SecurityModuleResponse.error("InvalidOperation").encoded()
    }
  }

  static func document(timestamp: UInt64, userData: [UInt8]?, nonce: [UInt8]?, publicKey: [UInt8]?) -> [UInt8] {
    func nullable(_ bytes: [UInt8]?) -> CBOR { bytes.map { .bytes($0) } ?? .null }
    let zeros = CBOR.bytes([UInt8](repeating: 0, count: 48))
    let payload = CBOR.object([
      ("module_id", .text("test")), ("digest", .text("SHA384")), ("timestamp", .unsigned(timestamp)),
      ("pcrs", .map((0..<16).map { CBOR.Pair(.unsigned($0), zeros) })), ("certificate", .bytes([0])),
      ("cabundle", .array([.bytes([0])])), ("public_key", nullable(publicKey)), ("user_data", nullable(userData)),
      ("nonce", nullable(nonce)),
    ]).encoded()
    let protected = CBOR.map([CBOR.Pair(.unsigned(1), .negative(34))]).encoded()
    return CBOR.array([.bytes(protected), .map([]), .bytes(payload), .bytes([UInt8](repeating: 0, count: 96))])
      .encoded()
  }
}
