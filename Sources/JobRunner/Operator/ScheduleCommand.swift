import ArgumentParser

/// `ephemeral schedule`: definitions are files in the daemon's schedules folder; this asks the running daemon.
struct ScheduleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "schedule", abstract: "See schedules and run one now (for the host's operator).",
    subcommands: [List.self, Show.self, Next.self, RunNow.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The daemon's schedules.")
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .scheduleList)) }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "A schedule's runs, the newest first.")
    @Argument(help: "The schedule's name.") var name: String
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .scheduleShow, schedule: name)) }
  }

  struct Next: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "When a schedule is due, in UTC.")
    @Argument(help: "The schedule's name.") var name: String
    @Option(name: [.customShort("n"), .long], help: "So many times.") var count: Int = 5
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .scheduleNext, schedule: name, limit: count)) }
  }

  struct RunNow: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "run-now", abstract: "Run a schedule once: it takes every bundle that waits in its inbox.")
    @Argument(help: "The schedule's name.") var name: String
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .scheduleRun, schedule: name)) }
  }
}
