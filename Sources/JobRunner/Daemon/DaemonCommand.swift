import ArgumentParser
import CHost
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
    subcommands: [Run.self, Status.self])

  struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Run in the foreground until SIGTERM or SIGINT.",
      discussion: """
        The daemon holds no key and sees ciphertext only. It may be killed at any point: the queue's database and the
        object store hold everything, and a job that was under way is finished once.

        Example:
          ephemeral daemon run --store file:///srv/ephemeral --state /var/lib/ephemeral \\
            --worker vsock:16:5000 --relay-listen vsock::8000 --policy-key policy.pub --schedules jobs

        Each setting is a flag, an EPHEMERAL_… variable or a key of the file that --config names, in this order;
        `ephemeral config show --daemon` says which was taken. docs/operations/configuration.md has all keys.

        SIGTERM drains: nothing is claimed any more, attempts under way may end within --drain-seconds. A second SIGTERM
        or SIGINT ends at once. SIGHUP reads log level, schedules and policy again.
        """)

    @OptionGroup var flags: DaemonFlags

    func run() throws {
      chost_keep_heap_small()
      let signals = DaemonSignals()
      let configuration = try DaemonConfiguration(try flags.values())
      let sink = DaemonLog(format: configuration.logFormat, level: configuration.logLevel)
      let log = sink.logger
      do {
        let daemon = try Daemon(configuration, credentials: Self.credentials(configuration), log: log)
        try daemon.run(signals) {
          // Only what can change in a running daemon; the rest is checked all the same, so that a mistake is seen now.
          sink.level = try DaemonConfiguration(try flags.values()).logLevel
        }
      } catch {
        log.critical("\(error)")
        throw ExitCode(error is ObjectStoreError ? CLIError(error).status.rawValue : ExitStatus.other.rawValue)
      }
    }

    /// One source for the daemon's life: it renews what expires, and sees a changed file within a minute.
    private static func credentials(_ configuration: DaemonConfiguration) -> DefaultCredentials {
      var environment = ProcessInfo.processInfo.environment
      guard let profile = configuration.awsProfile else { return DefaultCredentials(environment) }
      environment["AWS_SHARED_CREDENTIALS_FILE"] = profile.file
      return DefaultCredentials(environment, profile: profile.name)
    }
  }

  struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "The running daemon and its workers (`workers list` explains the states).")
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .status)) }
  }
}
