import ArgumentParser

/// `ephemeral queue`: the operator's view. It asks the running daemon and never opens its database.
struct QueueCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "queue", abstract: "See and steer the daemon's queue (for the host's operator).",
    subcommands: [Stats.self, List.self, Inspect.self, Retry.self, Cancel.self, Pause.self, Resume.self, Drain.self])

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
    static let configuration = CommandConfiguration(abstract: "Bring a dead job back.")
    @Argument(help: "The job's name, or at least four digits of it.", completion: .queuedJobs) var job: String
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .retry, job: job)) }
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
      abstract: "Claim nothing more at all; what is under way goes on. Restart the daemon to end the drain.")
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .drain)) }
  }
}
