import ArgumentParser

/// The program `load`: the real daemon under more work than it ever sees in a test, with figures at the end.
///
/// `make load` and `make soak` run it. The daemon is the program itself, as a process of its own over a real store; the
/// workers are light ones (``LightWorker``): they speak the real protocol and compute nothing, so that the host is measured
/// and not the inference.
@main
struct Load: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "load", abstract: "The daemon under load: figures, and whether every job was committed exactly once.",
    subcommands: [Backlog.self, Soak.self])
}

/// What both kinds of load take.
struct LoadOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Where bundles and results lie (default: a folder of its own).", valueName: "url"))
  var store: String?
  @Option(help: ArgumentHelp("Folder of store, queue, logs and report; what is in it goes.", valueName: "folder"))
  var folder = ".load"
  @Option(help: "Light workers.")
  var workers = 4
  @Option(help: ArgumentHelp("How long a light worker takes for a job.", valueName: "milliseconds"))
  var job = 0
  @Option(help: ArgumentHelp("Size of a bundle.", valueName: "bytes"))
  var bundle = 4096
}
