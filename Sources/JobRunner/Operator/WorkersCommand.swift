import ArgumentParser

/// `ephemeral workers`: the daemon's enclave workers. It asks the running daemon.
struct WorkersCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "workers",
    abstract: "See the daemon's workers, and take one out of service (for the host's operator).",
    subcommands: [List.self, Drain.self, Undrain.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Each worker: endpoint, state and since when, its job, image, policy, last error.",
      discussion: """
        ready        has what it needs, and waits for a job
        busy         runs one
        not_ready    cannot be reached, or does not take what it is given; the last error says why
        quarantined  failed several attempts in a row and is given none for a while; `undrain` ends that

        With --json also its queues, the program that the daemon started for it, failures in a row, and the last fault of
        a worker that is well again.
        """)
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .workers)) }
  }

  struct Drain: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Give a worker no job any more, before an upgrade of its image; what is under way goes on.")
    @Argument(help: "The worker's name.") var name: String
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .workerDrain, worker: name)) }
  }

  struct Undrain: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Give a worker jobs again, after a drain or out of its quarantine.")
    @Argument(help: "The worker's name.") var name: String
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .workerUndrain, worker: name)) }
  }
}
