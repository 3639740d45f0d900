import Glibc

let command: WorkerCommand
do {
  command = try WorkerCommand(arguments: Array(CommandLine.arguments.dropFirst()))
} catch {
  Log.fatal(WorkerCommand.usage)
  exit(64)
}
do {
  try command.run()
} catch {
  Log.fatal("\(error)")
  exit(1)
}
