import ArgumentParser
import Client
import ObjectStore
import SealedCrypto
import Wire

/// `ephemeral policy`.
struct PolicyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "policy", abstract: "The policy: who and what is allowed, signed offline.",
    subcommands: [
      Keygen.self, Initial.self, Lint.self, Diff.self, Sign.self, Install.self, Show.self, KeyPolicyLintCommand.self,
      KeyPolicyGenerateCommand.self,
    ])

  struct Keygen: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a policy key.",
      discussion: """
        Writes BASE.key (secret, mode 0600: keep it offline) and BASE.pub (64 hexadecimal digits: it goes into the
        enclave image and into every trust profile).

        Example:
          ephemeral policy keygen --output policy
        """)
    @Option(name: .shortAndLong, help: ArgumentHelp("Where to write: BASE.key and BASE.pub.", valueName: "base"))
    var output: String = "policy"
    @Flag(help: "One JSON object a line on standard output.")
    var json = false

    func run() throws {
      let screen = Screen(json: json)
      let key = try SigningKey.generate()
      let text = Hex.encode(key.verifyingKey.bytes)
      try KeyRing.write(key, to: "\(output).key")
      try PrivateFiles.write(
        Array("\(text)\n".utf8), to: "\(output).pub", mode: PrivateFiles.publicMode, replacing: false)
      screen.line(
        .object([("key", .text(text)), ("secret", .text("\(output).key")), ("public", .text("\(output).pub"))]))
      screen.stage("wrote", "\(output).key (keep it offline) and \(output).pub")
      screen.out(text)
    }
  }

  struct Sign: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check a policy file and sign it.",
      discussion: """
        `ephemeral policy init` writes a file with every key explained. The version must grow with every change: clients
        and workers refuse an older one, and a second one of the same version. With --previous that is checked here, and
        what `policy lint` finds is shown; an error of it is not signed.

        Example:
          ephemeral policy sign policy.yaml --key policy.key --previous policy-3.cose --output policy.cose
        """)
    @Argument(help: "The policy file.", completion: .file())
    var file: String
    @Option(help: ArgumentHelp("The policy key.", valueName: "file"), completion: .file())
    var key: String
    @Option(
      help: ArgumentHelp("The signed policy that this one follows; it must be under the same key.", valueName: "file"),
      completion: .file())
    var previous: String?
    @Option(
      name: .shortAndLong, help: ArgumentHelp("Where to write the signed policy.", valueName: "file"),
      completion: .file())
    var output: String = "policy.cose"
    @Flag(help: "One JSON object a line on standard output.")
    var json = false

    func run() throws {
      let screen = Screen(json: json)
      let now = Timestamps.nowMs()
      let (claims, unexplained) = try PolicySource.read(try PrivateFiles.read(file), file: file, nowMs: now)
      let key = try KeyRing.read(key)
      let before = try previous.map { try PolicyFile($0) { key.verifyingKey } }
      let findings = PolicyLint.findings(claims, unexplained: unexplained, previous: before?.claims, nowMs: now)
      PolicyCommand.report(findings, on: screen, asNotes: true)
      if let fatal = findings.first(where: { $0.weight == .error }) {
        throw ClientError(
          .rejected, "\(file) is not signed: \(fatal.place): \(fatal.text)", remedy: "mend it", by: .securityOfficer)
      }
      let signed = try Signed<PolicyClaims>.sign(claims, with: key)
      try PrivateFiles.write(signed.bytes, to: output, mode: PrivateFiles.publicMode)
      PolicyReport(screen: screen).show(signed)
    }
  }

  struct Install: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Verify a signed policy and put it into the store as the current one.",
      discussion: """
        Verified under the trust profile's policy key first; an older version than the one known is refused.

        Example:
          ephemeral policy install policy.cose
        """)
    @Argument(help: "The signed policy.", completion: .file())
    var file: String
    @OptionGroup var options: ClientOptions

    func run() throws {
      let context = try options.context()
      let profile = try context.profile()
      let store = try context.store()
      let policy = try TrustStore(home: context.home).policies(profile)
        .accept(try PrivateFiles.read(file), from: .file(file), nowMs: Timestamps.nowMs())
      _ = try store.put(try ObjectKey(StoreLayout.policy), policy.signed.bytes, .always)
      PolicyReport(screen: context.screen).show(policy.signed)
      context.screen.stage("installed", "\(store.location)/\(StoreLayout.policy)")
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Verify a policy and show what it allows.",
      discussion: """
        Without FILE, the store's current policy. Verified under the trust profile's key, or under --key.

        Examples:
          ephemeral policy show
          ephemeral policy show policy.cose --key policy.pub
        """)
    @Argument(help: "A signed policy.", completion: .file())
    var file: String?
    @OptionGroup var options: ClientOptions
    @Option(help: ArgumentHelp("The policy's public key, or a file with it.", valueName: "key"), completion: .file())
    var key: String?

    func run() throws {
      let context = try options.context()
      let verifier = try key.map { try TrustArguments.policyKey($0) } ?? context.profile().policyKey
      let bytes =
        try file.map { try PrivateFiles.read($0) } ?? context.store().getSmall(try ObjectKey(StoreLayout.policy))
      let signed: Signed<PolicyClaims>
      do {
        signed = try UnverifiedStatement<PolicyClaims>(bytes).verified(by: verifier)
      } catch {
        throw ClientError(
          .rejected, "the policy does not verify under this key: \(error)",
          remedy: "ask for the right policy or the right key",
          by: .securityOfficer)
      }
      PolicyReport(screen: context.screen).show(signed)
    }
  }
}
