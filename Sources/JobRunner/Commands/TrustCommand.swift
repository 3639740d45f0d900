import ArgumentParser
import Attestation
import Client
import SealedCrypto
import Wire

/// `ephemeral trust`.
struct TrustCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trust", abstract: "Trust profiles: one class of evidence, its root, one policy key.",
    subcommands: [Add.self, List.self, Show.self])

  struct Add: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Install a trust profile.",
      discussion: """
        Check the policy key with the security officer by another way than the one it came by: who can change it decides
        what you trust. A profile is never changed afterwards; a production profile takes the AWS root and no other.

        Examples:
          ephemeral trust add prod --class production --policy-key 1f0c…
          ephemeral trust add dev --class development --root attestation-root.pem --policy-key policy.pub
          ephemeral trust add qemu --class emulated --policy-key policy.pub
        """)
    @Argument(help: "Your name for it.")
    var name: String
    @OptionGroup var options: ClientOptions
    @Option(name: .customLong("class"), help: "Class of evidence: production, development or emulated.")
    var evidenceClass: EvidenceClass
    @Option(help: ArgumentHelp("Root certificate of a development class.", valueName: "file.pem"), completion: .file())
    var root: String?
    @Option(
      help: ArgumentHelp("The policy's public key: 64 hexadecimal digits, or a file with them.", valueName: "key"),
      completion: .file())
    var policyKey: String

    func run() throws {
      let context = try options.context()
      try context.home.create()
      let profile = try TrustStore(home: context.home).add(
        name: name, evidenceClass: evidenceClass, rootPEM: try root.map(TrustArguments.pem),
        policyKey: try TrustArguments.policyKey(policyKey))
      try TrustCommand.show(profile, context)
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show all trust profiles.")
    @OptionGroup var options: ClientOptions

    func run() throws {
      let context = try options.context()
      let trust = TrustStore(home: context.home)
      for name in try trust.names() {
        let profile = try trust.load(name)
        context.screen.line(
          .object([("profile", .text(name)), ("evidence_class", .text(profile.evidenceClass.rawValue))]))
        context.screen.out("\(Screen.padded(name, 20))\(profile.evidenceClass.rawValue)")
      }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show a trust profile and what was accepted under it.")
    @Argument(help: "Its name (default: the one in use).", completion: .profiles)
    var name: String?
    @OptionGroup var options: ClientOptions

    func run() throws {
      let context = try options.context()
      let profile = try name.map { try TrustStore(home: context.home).load($0) } ?? context.profile()
      try TrustCommand.show(profile, context)
    }
  }

  private static func show(_ profile: TrustProfile, _ context: ClientContext) throws {
    let screen = context.screen
    let policy = try TrustStore(home: context.home).policies(profile).newest()
    screen.banner(profile.evidenceClass)
    screen.line(
      .object([
        ("profile", .text(profile.name)), ("evidence_class", .text(profile.evidenceClass.rawValue)),
        ("root_sha256", .optional(profile.anchor.rootSHA256?.hex)),
        ("policy_key", .text(Hex.encode(profile.policyKey.bytes))),
        ("policy_version", .optional(policy?.claims.version)), ("policy_digest", .optional(policy?.digest.hex)),
      ]))
    screen.out(
      """
      profile      \(profile.name)
      class        \(profile.evidenceClass.rawValue)
      root         \(profile.anchor.rootSHA256.map { "SHA-256 \($0)" } ?? "none: nobody signs emulated evidence")
      policy key   \(Hex.encode(profile.policyKey.bytes))
      policy       \(policy.map { "version \($0.claims.version), \($0.digest), until \(Timestamps.text($0.claims.notAfterMs))" } ?? "none accepted yet")
      """)
  }
}
