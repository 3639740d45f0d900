import CPlatform
import Crypto
import Logging
import Synchronization
import Wire

/// Knows the enclaves of this machine: every process that connects is one, measured when it first does and given
/// registers of its own, which all its connections share and which end with it.
final class Hypervisor: Sendable {
  /// Enclaves that are kept before those whose process is gone are dropped.
  private static let enclavesKept = 32

  private let authority: AttestationAuthority
  private let enclaves = Mutex<[PeerProcess: SecurityModule]>([:])
  private let logger: Logger

  init(authority: AttestationAuthority, logger: Logger) {
    self.authority = authority
    self.logger = logger
  }

  /// The module of the process with this id.
  ///
  /// - Throws: ``StateError`` when it cannot be measured.
  func module(forProcess pid: Int32) throws -> SecurityModule {
    let process = try PeerProcess(pid: pid)
    return try enclaves.withLock { enclaves in
      if let module = enclaves[process] { return module }
      let measurement = try process.measure()
      let module = SecurityModule(
        measurement: measurement, instance: Array("\(process.pid) \(process.startTicks)".utf8), authority: authority)
      if enclaves.count >= Self.enclavesKept { enclaves = enclaves.filter { $0.key.isAlive } }
      enclaves[process] = module
      logger.notice(
        "enclave started",
        metadata: ["pid": "\(pid)", "module": "\(module.moduleID)", "pcr0": "\(Hex.encode(measurement.pcr0))"])
      return module
    }
  }
}
