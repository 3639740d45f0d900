import ArgumentParser

/// `ephemeral queue`: the operator's view. It asks the running daemon and never opens its database.
struct QueueCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "queue", abstract: "See and steer the daemon's queue (for the host's operator).",
    subcommands: [
      Stats.self, List.self, Inspect.self, Retry.self, Cancel.self, Pause.self, Resume.self, Drain.self,
      Undrain.self, Prune.self,
    ])

  struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Jobs by queue and state.")
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .stats)) }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Jobs in the order of their arrival.")
    @Option(help: "Only this queue.", completion: .queues) var queue: String?
    @Option(help: "Only this state: held, ready, running, retry_wait, finished, cancelled, dead.") var state: String?
    @Option(help: "At most so many.") var limit: Int = 100
    @OptionGroup var daemon: OperatorOptions
    func run() throws {
      try daemon.ask(OperatorRequest(verb: .list, queue: queue, state: state, limit: limit))
    }
  }

  struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "One job and its attempts.")
    @Argument(help: "The job's name, or at least four digits of it.", completion: .queuedJobs) var job: String
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .inspect, job: job)) }
  }

  struct Retry: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Bring a dead job back, or all of them.", discussion: OperatorOptions.partial)
    @Argument(help: "The job's name, or at least four digits of it.", completion: .queuedJobs) var job: String?
    @Flag(help: "Every dead job.") var allDead = false
    @Option(help: "With --all-dead: of this queue only.", completion: .queues) var queue: String?
    @OptionGroup var daemon: OperatorOptions
    func validate() throws {
      guard (job != nil) != allDead else { throw ValidationError("Name one job, or give --all-dead.") }
      guard queue == nil || allDead else { throw ValidationError("--queue goes with --all-dead.") }
    }
    func run() throws {
      try daemon.ask(OperatorRequest(verb: .retry, job: job, queue: queue, all: allDead ? true : nil))
    }
  }

  struct Cancel: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Stop a job at the operator's word.")
    @Argument(help: "The job's name, or at least four digits of it.", completion: .queuedJobs) var job: String
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .cancel, job: job)) }
  }

  struct Pause: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Claim nothing more from a queue; running jobs go on.")
    @Argument(help: "The queue.", completion: .queues) var queue: String
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .pause, queue: queue)) }
  }

  struct Resume: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Claim from a paused queue again.")
    @Argument(help: "The queue.", completion: .queues) var queue: String
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .resume, queue: queue)) }
  }

  struct Drain: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Claim nothing more at all; what is under way goes on. `queue undrain` or a restart ends it.")
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .drain)) }
  }

  struct Undrain: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Claim jobs again after a drain.")
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .undrain)) }
  }

  struct Prune: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Do the janitor's work at once: bundles out of the inbox, rows out of the queue.",
      discussion: """
        The daemon does this by itself, with the ages that it was started with. A job goes only when the store bears out
        how it ended, and never runs again. Receipts and results stay where they are.

        \(OperatorOptions.partial)
        """)
    @Option(help: "Only jobs that ended so: finished, cancelled, dead. Needs --older-than.") var state: String?
    @Option(help: ArgumentHelp("Only jobs that ended so many days ago. Needs --state.", valueName: "days"))
    var olderThan: Int?
    @OptionGroup var daemon: OperatorOptions
    func validate() throws {
      guard (state == nil) == (olderThan == nil) else { throw ValidationError("--state and --older-than go together.") }
    }
    func run() throws { try daemon.ask(OperatorRequest(verb: .prune, state: state, olderThanDays: olderThan)) }
  }
}
