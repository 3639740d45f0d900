import ArgumentParser
import Attestation
import CPlatform
import Glibc
import Logging

/// `devcloud run`.
struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Serves the security module and KMS until SIGTERM.",
    discussion: """
      Prints `devcloud ready` on standard output when everything listens, with `--kms-port` after a line that names the
      address. The request log is on standard error.
      """)

  @Option(help: ArgumentHelp("State directory of `devcloud init`.", valueName: "dir"))
  var state: String
  @Option(help: ArgumentHelp("Unix socket of the security module; an emulated state has none.", valueName: "path"))
  var nsmSocket: String?
  @Option(help: ArgumentHelp("Unix socket of KMS; the bytes on it are TLS.", valueName: "path"))
  var kmsSocket: String
  @Option(help: ArgumentHelp("Port of KMS on 127.0.0.1 as well; 0 takes a free one.", valueName: "port"))
  var kmsPort: Int?

  func validate() throws {
    guard kmsPort.map({ (0...65535).contains($0) }) ?? true else { throw ValidationError("--kms-port is no port") }
  }

  func run() async throws {
    let logger = Logger(label: "devcloud", factory: { StreamLogHandler.standardError(label: $0) })
    let now = cplatform_now_ms()
    let state = try DevelopmentState(at: self.state)
    for notice in state.notices { logger.notice("\(notice)") }
    let modules = try modules(state, logger)
    defer { modules?.stop() }

    let service = KeyService(
      keys: state.keys, callers: state.callers, verifier: try state.verifier, logger: logger)
    let server = KeyServiceServer(
      service: service, tls: try ServerCertificate.configuration(root: state.tlsRoot, at: now), logger: logger)
    modules?.start()
    // The KMS socket is for the owner alone, as the security module's is; NIO has no parameter for it.
    umask(0o077)
    try await server.run(socket: try Self.absolute(kmsSocket), port: kmsPort) { port in
      if let port { print("kms on https://127.0.0.1:\(port)") }
      print("devcloud ready")
      fflush(nil)
    }
    logger.notice("stopped")
  }

  /// An emulated enclave brings its own module: one here would write documents that this state's KMS refuses.
  private func modules(_ state: DevelopmentState, _ logger: Logger) throws -> SecurityModuleServer? {
    guard state.evidenceClass == .development else {
      guard nsmSocket == nil else { throw ValidationError("an emulated state has no security module: no --nsm-socket") }
      return nil
    }
    guard let nsmSocket else { throw ValidationError("--nsm-socket is missing") }
    let authority = AttestationAuthority(root: state.attestationRoot, instanceID: state.instanceID)
    return try SecurityModuleServer(
      path: Self.absolute(nsmSocket), hypervisor: Hypervisor(authority: authority, logger: logger), logger: logger)
  }

  private static func absolute(_ path: String) throws -> String {
    if path.hasPrefix("/") { return path }
    guard let here = getcwd(nil, 0) else { throw StateError.unusable(path, String(cString: strerror(errno))) }
    defer { free(here) }
    return String(cString: here) + "/" + path
  }
}
