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
    help: ArgumentHelp(
      "Measurement of executable and image directory, 96 hexadecimal digits; once for each image.", valueName: "hex"))
  var pcr0: [String]
  @Option(help: ArgumentHelp("Measurement of the executable, in the order of --pcr0.", valueName: "hex"))
  var pcr1: [String]
  @Option(help: ArgumentHelp("Measurement of the image directory, in the order of --pcr0.", valueName: "hex"))
  var pcr2: [String]
  @Option(help: ArgumentHelp("The register of the one policy that enclaves must be pinned to.", valueName: "hex"))
  var pcr16: String?

  func validate() throws {
    guard !pcr0.isEmpty, pcr1.count == pcr0.count, pcr2.count == pcr0.count else {
      throw ValidationError("--pcr0, --pcr1 and --pcr2 stand once for each image")
    }
    let values = pcr0.map { ("pcr0", $0) } + pcr1.map { ("pcr1", $0) } + pcr2.map { ("pcr2", $0) }
    for (name, value) in values + (pcr16.map { [("pcr16", $0)] } ?? []) {
      guard let bytes = Hex.decode(value), bytes.count == 48 else {
        throw ValidationError("--\(name) is not 96 lower-case hexadecimal digits")
      }
      // What an enclave in debug mode has: to allow it is to allow every image.
      guard bytes != PCRBank.zero else { throw ValidationError("--\(name) is all zeros, as in debug mode") }
    }
  }

  func run() throws {
    let state = try DevelopmentState(at: state)
    let directory = state.directory
    let images = pcr0.indices.map { (pcr0[$0], pcr1[$0], pcr2[$0]) }
    let templates = PolicyTemplates(images: images, pinnedPolicy: pcr16)
    try DevelopmentState.writePolicies(templates, in: directory)
    for notice in state.notices { print(notice) }
    print("\(directory.path(of: "keys/epoch-key/policy.json"))")
    print("\(directory.path(of: "keys/model-key/policy.json"))")
  }
}
