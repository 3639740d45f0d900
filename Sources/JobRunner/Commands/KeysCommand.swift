import ArgumentParser
import Client
import Foundation
import Inference
import SealedCrypto
import Wire

/// `ephemeral keys`.
struct KeysCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys", abstract: "Your keys: made here, never sent anywhere.",
    discussion: """
      identity.txt opens your results (also with the stock `age` 1.3), submitter.key signs your jobs, publisher.key signs
      models. `ephemeral keys export` prints the public halves.
      """,
    subcommands: [Generate.self, List.self, Export.self])

  struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make the keys that are missing.",
      discussion: """
        An existing key is never replaced: without the old identity the old results could not be opened.

        Example:
          ephemeral keys generate --publisher
        """)
    @OptionGroup var options: ClientOptions
    @Flag(help: "Make a publisher key too: it signs model manifests.")
    var publisher = false

    func run() throws {
      let context = try options.context()
      let keys = context.home.keys
      try context.home.create()
      if !keys.hasIdentity { try keys.generateIdentity(createdAt: Timestamps.text(Timestamps.nowMs())) }
      for purpose in [KeyRing.SigningPurpose.submitter] + (publisher ? [.publisher] : []) where !keys.has(purpose) {
        try keys.generate(purpose)
      }
      try KeysCommand.show(context)
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show the public halves of your keys.")
    @OptionGroup var options: ClientOptions

    func run() throws { try KeysCommand.show(try options.context()) }
  }

  struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print what the security officer needs for the policy.",
      discussion: """
        Examples:
          ephemeral keys export --name alice --model 3fa9…64 digits…
          ephemeral keys export --publisher --name models-team --model-key arn:aws:kms:…:key/…
        """)
    @OptionGroup var options: ClientOptions
    @Option(help: "What the policy shall call you (default: your login name).")
    var name: String?
    @Flag(help: "The publisher's key instead of the submitter's.")
    var publisher = false
    @Option(help: ArgumentHelp("Manifest digests of the models that you want to use.", valueName: "digest"))
    var model: [String] = []
    @Option(
      help: ArgumentHelp(
        "What you want to ask of them: embed, classify, score, generate; may be repeated (default: embed).",
        valueName: "operation"))
    var operation: [ModelOperation] = []
    @Option(help: ArgumentHelp("With --publisher: the KMS key of your models.", valueName: "arn"))
    var modelKey: String?

    func run() throws {
      let context = try options.context()
      let key = try context.home.keys.signingKey(publisher ? .publisher : .submitter).verifyingKey
      let name = self.name ?? NSUserName()
      context.screen.line(.object([("name", .text(name)), ("key", .text(Hex.encode(key.bytes)))]))
      if publisher {
        context.screen.out(
          "- name: \(Self.scalar(name))\n  key: \(Hex.encode(key.bytes))\n  model_key: \(modelKey ?? "# full ARN of your KMS key")"
        )
      } else {
        context.screen.out(Self.submitter(name, key, models: model, operations: operation))
      }
    }

    /// A name as YAML, in quotes where it needs them; JSON's are YAML's.
    private static func scalar(_ name: String) -> String {
      let isPlain = !name.isEmpty && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_".contains($0)) }
      return isPlain ? name : JSONLine.text(name).encoded
    }

    /// A submitter's entry of a policy file.
    static func submitter(_ name: String, _ key: VerifyingKey, models: [String] = [], operations: [ModelOperation] = [])
      -> String
    {
      let operations = operations.isEmpty ? [.embed] : operations
      return """
        - name: \(scalar(name))
          key: \(Hex.encode(key.bytes))
          operations: [\(operations.map(\.rawValue).joined(separator: ", "))]
          models: [\(models.joined(separator: ", "))]
        """
    }
  }

  private static func show(_ context: ClientContext) throws {
    let keys = context.home.keys
    if keys.hasIdentity {
      let recipient = try keys.recipient().text
      context.screen.line(
        .object([("key", .text("identity")), ("public", .text(recipient)), ("file", .text(keys.identityPath))]))
      context.screen.out("identity   \(recipient.prefix(40))…  \(keys.identityPath)")
    }
    for purpose in KeyRing.SigningPurpose.allCases where keys.has(purpose) {
      let text = Hex.encode(try keys.signingKey(purpose).verifyingKey.bytes)
      context.screen.line(
        .object([("key", .text(purpose.rawValue)), ("public", .text(text)), ("file", .text(keys.path(purpose)))]))
      context.screen.out("\(Screen.padded(purpose.rawValue, 11))\(text)  \(keys.path(purpose))")
    }
    if !keys.hasIdentity, !keys.has(.submitter) { context.screen.note("no keys yet: run `ephemeral keys generate`") }
  }
}
