import Glibc

do {
  try WorkerCommand(arguments: Array(CommandLine.arguments.dropFirst())).run()
} catch {
  Log.fatal("\(error)\n\(WorkerCommand.usage)")
  exit(64)
}
