import ArgumentParser
import Client
import Queue

/// `ephemeral schedule`: definitions are files of the daemon's schedules folder, or are added at run time; this asks the
/// running daemon.
struct ScheduleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "schedule", abstract: "See and steer schedules, and run one now (for the host's operator).",
    discussion: """
      A schedule comes from a file of the daemon's schedules folder, read when it starts, or is added at run time and kept
      in its database. Where both have a name, or an inbox, the file wins, and `list` says so.

      Examples:
        ephemeral schedule add nightly.yaml
        ephemeral schedule next nightly -n 5
        ephemeral schedule pause nightly
      """,
    subcommands: [
      Add.self, List.self, Show.self, Next.self, Pause.self, Resume.self, RunNow.self, Remove.self,
    ])

  struct Add: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Add a schedule to the running daemon, durably.",
      discussion: """
        FILE is checked here and by the daemon; every mistake is named with its line. The same file again changes nothing.
        Nominal times count from now on. jobs/nightly-embeddings.yaml explains every key.
        """)
    @Argument(help: "The definition, a YAML file.", completion: .file()) var file: String
    @Flag(help: "Put it in the place of another added schedule of that name; a pause stays.") var replace = false
    @OptionGroup var daemon: OperatorOptions

    func run() throws {
      let text: String
      do {
        text = try ScheduleFile.readText(file)
        _ = try ScheduleFile.parse(text, file: file)
      } catch let error as ScheduleError {
        throw ClientError(
          .usage, "\(error)", remedy: "mend the file; jobs/nightly-embeddings.yaml explains every key", by: .operator_)
      }
      try daemon.ask(OperatorRequest(verb: .scheduleAdd, definition: text, file: file, replace: replace))
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "The daemon's schedules: state, origin, when each is due, and how many bundles wait.")
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .scheduleList)) }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "A schedule's definition and state, and its runs, the newest first.",
      discussion: """
        A run's status: completed (every member's receipt says so, or there was nothing to do), partial, failed (no member
        gave results), running, skipped (why stands beside it).
        """)
    @Argument(help: "The schedule's name.", completion: .schedules) var name: String
    @Option(name: .customLong("run"), help: ArgumentHelp("The members of this run.", valueName: "number"))
    var number: Int64?
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .scheduleShow, schedule: name, run: number)) }
  }

  struct Next: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "When a schedule is due, in its time zone and in UTC, and what daylight saving does to it.")
    @Argument(help: "The schedule's name.", completion: .schedules) var name: String
    @Option(name: [.customShort("n"), .long], help: "So many times.") var count: Int = 5
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .scheduleNext, schedule: name, limit: count)) }
  }

  struct Pause: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Stop the schedule's clock, durably. Its bundles go on to wait; runs under way go on.")
    @Argument(help: "The schedule's name.", completion: .schedules) var name: String
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .schedulePause, schedule: name)) }
  }

  struct Resume: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Let a paused schedule go on.",
      discussion: """
        Nominal times of the pause are made up for by one run at most, which takes all that waits: at once with
        `catchup: latest` and `all`; with `none` the next nominal time takes it.
        """)
    @Argument(help: "The schedule's name.", completion: .schedules) var name: String
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .scheduleResume, schedule: name)) }
  }

  struct RunNow: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "run-now",
      abstract: "Run a schedule once, paused or not: it takes every bundle that waits in its inbox.",
      discussion: """
        Reads the inbox first, for a minute at most. Exit code 3: it was not read to its end, and what lies there may need
        another run.
        """)
    @Argument(help: "The schedule's name.", completion: .schedules) var name: String
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .scheduleRun, schedule: name)) }
  }

  struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "rm", abstract: "Remove a schedule that was added at run time; its runs and jobs stay.",
      discussion: "Refused while bundles wait in its inbox, unless --force: they then stay held.")
    @Argument(help: "The schedule's name.", completion: .schedules) var name: String
    @Flag(help: "Although bundles wait: they stay held until a schedule has that inbox again.") var force = false
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .scheduleRemove, schedule: name, force: force)) }
  }
}
