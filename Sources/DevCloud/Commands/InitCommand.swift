import ArgumentParser
import CPlatform
import SealedCrypto

/// `devcloud init`.
struct InitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init",
    abstract: "Makes a state directory: roots, KMS keys, credentials. One that is there already stays as it is.")

  @Option(help: ArgumentHelp("State directory; made when it is not there.", valueName: "dir"))
  var state: String

  @Flag(help: "For workers in QEMU: its KMS will take unsigned documents and no others.")
  var emulated = false

  func run() throws {
    let made = try DevelopmentState.create(
      at: state, now: cplatform_now_ms(), evidenceClass: emulated ? .emulated : .development)
    let loaded = try DevelopmentState(at: state)
    guard loaded.evidenceClass == (emulated ? .emulated : .development) else {
      throw StateError.unusable(state, "is a state of class \(loaded.evidenceClass.rawValue); take another directory")
    }
    for notice in loaded.notices { print(notice) }
    print(made ? "made a new state in \(state)" : "\(state) holds a state already; nothing was changed")
    print("attestation root  \(loaded.directory.path(of: "attestation-root.pem"))")
    print("KMS root          \(loaded.directory.path(of: "kms-roots.pem"))")
    print("KMS keys          \(loaded.directory.path(of: "keys.json"))")
    for key in loaded.keys.keys { print("                  \(key.arn)") }
    print("credentials       \(loaded.directory.path(of: "credentials")) (profiles host, publisher, owner)")
    let measure = emulated ? "ephemeral image measure" : "devcloud measure"
    if made { print("next: `devcloud allow` with the measurements of your worker (`\(measure)`)") }
  }
}
