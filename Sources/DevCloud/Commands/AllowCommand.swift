import ArgumentParser
import Wire

/// `devcloud allow`.
struct AllowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "allow",
    abstract: "Writes both key policies so that enclaves of these measurements alone are given keys.",
    discussion: "Replaces the policies that are there; a running devcloud obeys from the next request on.")

  @Option(help: ArgumentHelp("State directory.", valueName: "dir"))
  var state: String
  @Option(
    help: ArgumentHelp("Measurement of executable and image directory, 96 hexadecimal digits.", valueName: "hex"))
  var pcr0: String
  @Option(help: ArgumentHelp("Measurement of the executable.", valueName: "hex"))
  var pcr1: String
  @Option(help: ArgumentHelp("Measurement of the image directory.", valueName: "hex"))
  var pcr2: String

  func validate() throws {
    for (name, value) in [("pcr0", pcr0), ("pcr1", pcr1), ("pcr2", pcr2)] {
      guard let bytes = Hex.decode(value), bytes.count == 48 else {
        throw ValidationError("--\(name) is not 96 lower-case hexadecimal digits")
      }
      // What an enclave in debug mode has: to allow it is to allow every image.
      guard bytes != PCRBank.zero else { throw ValidationError("--\(name) is all zeros, as in debug mode") }
    }
  }

  func run() throws {
    let directory = StateDirectory(path: state)
    guard directory.contains("keys.json") else { throw StateError.notInitialised(state) }
    try DevelopmentState.writePolicies(PolicyTemplates(measurements: (pcr0, pcr1, pcr2)), in: directory)
    print(developmentNotice)
    print("\(directory.path(of: "keys/epoch-key/policy.json"))")
    print("\(directory.path(of: "keys/model-key/policy.json"))")
  }
}
