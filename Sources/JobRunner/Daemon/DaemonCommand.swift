import ArgumentParser
import Foundation
import Glibc
import Logging
import ObjectStore
import SealedCrypto
import Wire

/// `ephemeral daemon`.
struct DaemonCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "daemon", abstract: "The host's daemon: queue, schedules, transfer to the enclave, KMS relay.",
    subcommands: [Run.self])

  struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Run in the foreground until SIGTERM or SIGINT.",
      discussion: """
        The daemon holds no key and sees ciphertext only. It may be killed at any point: the queue's database and the
        object store hold everything, and a job that was under way is finished once.

        Example:
          ephemeral daemon run --store file:///srv/ephemeral --state /var/lib/ephemeral \\
            --worker vsock:16:5000 --relay-listen vsock::8000 --policy-key policy.pub --schedules jobs
        """)

    @Option(help: "The object store: file:///folder or s3://bucket/prefix?region=…")
    var store: String
    @Option(help: "Folder of the queue's database and of the sockets (made with mode 0700).")
    var state: String
    @Option(help: "Where the enclave worker listens: vsock:CID:PORT, unix:/path, or vsock-mux:/path:PORT in QEMU.")
    var worker: String
    @Option(help: "Seconds without a word from the worker after which it counts as lost, and its job is tried again.")
    var workerSilence: Double = 60
    @Option(
      help:
        "Where the relay finds KMS: host:port, unix:/path of devcloud, or auto: by the policy's key (needs --policy-key)."
    )
    var relayTarget = "auto"
    @Option(help: "Where the relay listens: vsock::PORT on Nitro (default: unix socket in the state folder).")
    var relayListen: String?
    @Option(help: "What the worker is told (default: vsock:3:PORT, or the relay's socket); vsock:2:PORT in QEMU.")
    var relayAddress: String?
    @Option(help: "The operator's socket (default: daemon.sock in the state folder).")
    var socket: String?
    @Option(help: "File with the policy's public key in hexadecimal; without it no cancel and no policy's end is seen.")
    var policyKey: String?
    @Option(help: "Folder of schedule definitions (*.yaml).")
    var schedules: String?
    @Option(help: "AWS profile that the worker uses for KMS, as FILE:NAME (default: AWS's chain, see credentials.md).")
    var awsProfile: String?
    @Option(help: "Seconds between looks into the inbox.")
    var poll: Double = 1.0

    func run() throws {
      let signals = StopSignals()
      LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
      let log = Logger(label: "ephemeral")
      do {
        let daemon = try Daemon(try settings(), credentials: credentials(), log: log)
        try daemon.run { signals.wait() }
      } catch let error as ValidationError {
        throw error
      } catch {
        log.critical("\(error)")
        throw ExitCode(error is ObjectStoreError ? CLIError(error).status.rawValue : ExitStatus.other.rawValue)
      }
    }

    private func settings() throws -> Daemon.Settings {
      let folder = URL(filePath: state).standardizedFileURL.path
      guard relayTarget != "auto" || policyKey != nil else {
        throw ValidationError("--relay-target auto reads the policy: give --policy-key, or name the target.")
      }
      guard poll >= 0.05, poll <= 3600 else { throw ValidationError("--poll takes 0.05 to 3600 seconds.") }
      guard workerSilence >= 1, workerSilence <= 3600 else {
        throw ValidationError("--worker-silence takes 1 to 3600 seconds.")
      }
      do {
        return Daemon.Settings(
          storeURL: store, stateFolder: folder, worker: try WorkerAddress(worker), workerSilenceSeconds: workerSilence,
          relayTarget: try RelayTarget(relayTarget),
          policyKey: try policyKey.map(Self.readKey), schedulesFolder: schedules, pollSeconds: poll,
          socketPath: socket.map { URL(filePath: $0).standardizedFileURL.path } ?? folder + "/daemon.sock",
          relayEndpoint: try Endpoint(relayListen ?? "unix:\(folder)/relay.sock"),
          relayAddress: try relayAddress.map { try Endpoint($0) })
      } catch let error as WireError {
        throw ValidationError("\(error)")
      }
    }

    private static func readKey(_ path: String) throws -> VerifyingKey {
      guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
        throw CannotStart("the policy's key \(path) cannot be read")
      }
      guard let bytes = Hex.decode(text.trimmingCharacters(in: .whitespacesAndNewlines)),
        let key = try? VerifyingKey(bytes)
      else { throw ValidationError("\(path) does not hold a key in hexadecimal.") }
      return key
    }

    /// One source for the daemon's life: it renews what expires, and sees a changed file within a minute.
    private func credentials() throws -> DefaultCredentials {
      var environment = ProcessInfo.processInfo.environment
      guard let awsProfile else { return DefaultCredentials(environment) }
      guard let colon = awsProfile.lastIndex(of: ":") else { throw ValidationError("--aws-profile takes FILE:NAME.") }
      environment["AWS_SHARED_CREDENTIALS_FILE"] = String(awsProfile[..<colon])
      return DefaultCredentials(environment, profile: String(awsProfile[awsProfile.index(after: colon)...]))
    }
  }
}

/// SIGTERM and SIGINT, taken by the main thread. Made before any other thread, so that all inherit the mask.
private struct StopSignals {
  private var set = sigset_t()

  init() {
    sigemptyset(&set)
    sigaddset(&set, SIGTERM)
    sigaddset(&set, SIGINT)
    pthread_sigmask(SIG_BLOCK, &set, nil)
    signal(SIGPIPE, SIG_IGN)
  }

  func wait() {
    var set = self.set
    var received: Int32 = 0
    sigwait(&set, &received)
  }
}
