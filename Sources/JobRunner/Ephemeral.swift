import ArgumentParser
import CPlatform

/// The program `ephemeral`: the analyst's, the model owner's, the security officer's and the host operator's verbs.
@main
struct Ephemeral: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ephemeral",
    abstract:
      "Confidential batch inference: seal documents, get sealed results and receipts that prove what computed them.",
    discussion: """
      First steps of an analyst:
        ephemeral setup --store s3://bucket/prefix --profile prod --class production --policy-key HEX
        ephemeral submit reports/ --wait
        ephemeral results get JOB

      Settings: flags, then EPHEMERAL_STORE, EPHEMERAL_PROFILE, EPHEMERAL_MODEL, EPHEMERAL_TENANT, then
      ./ephemeral.yaml, then the home's config.yaml ($EPHEMERAL_HOME, by default ~/.config/ephemeral).

      Exit codes: 0 done, 1 other failure, 3 done in part, 4 the job failed, 5 try again, 6 waited long enough,
      10 not found, 20 attestation or policy says no, 21 a receipt or a sealed file is not right, 64 wrong usage.
      """,
    version: "ephemeral \(Version.full)",
    groupedSubcommands: [
      CommandGroup(
        name: "Analyst",
        subcommands: [
          SetupCommand.self, SubmitCommand.self, SyncCommand.self, StatusCommand.self, ListCommand.self,
          WatchCommand.self,
          CancelCommand.self, ResendCommand.self, AbandonCommand.self, ResultsCommand.self, ReceiptsCommand.self,
          KeysCommand.self, TrustCommand.self,
        ]),
      CommandGroup(name: "Model owner", subcommands: [ModelsCommand.self]),
      CommandGroup(name: "Security officer", subcommands: [PolicyCommand.self, AttestCommand.self, ImageCommand.self]),
      CommandGroup(
        name: "Host operator",
        subcommands: [
          DaemonCommand.self, WorkersCommand.self, QueueCommand.self, ScheduleCommand.self, EpochsCommand.self,
          DatabaseCommand.self, DoctorCommand.self,
        ]),
      CommandGroup(name: "Everybody", subcommands: [ConfigCommand.self]),
    ])

  /// Runs one command and ends the process with the exit code that its outcome has.
  static func main() {
    cplatform_tune_allocator()
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      CLIError.end(with: error, of: Self.self)
    }
  }
}
