import ArgumentParser
import Client
import SealedCrypto
import Wire

/// A policy from a file: a signed one, verified, or its YAML source.
struct PolicyFile {
  let claims: PolicyClaims
  /// Nil for a source.
  let signed: Signed<PolicyClaims>?
  /// Measurements of a source that have no note.
  let unexplained: Set<String>

  /// - Parameter key: verifies a signed one; asked for only then.
  init(_ path: String, key: () throws -> VerifyingKey) throws {
    let bytes = try PrivateFiles.read(path)
    // The tag of COSE_Sign1, which no text begins with.
    guard bytes.first == 0xD2 else {
      (claims, unexplained) = try PolicySource.read(bytes, file: path, nowMs: Timestamps.nowMs())
      signed = nil
      return
    }
    do {
      let signed = try UnverifiedStatement<PolicyClaims>(bytes).verified(by: try key())
      (claims, self.signed, unexplained) = (signed.claims, signed, [])
    } catch let error as ClientError {
      throw error
    } catch {
      throw ClientError(
        .rejected, "\(path) does not verify under this key: \(error)", remedy: "ask for the right policy or key",
        by: .securityOfficer)
    }
  }
}

/// The key that verifies signed policies: given, or the trust profile's.
struct PolicyKeyOptions: ParsableArguments {
  @OptionGroup var options: ClientOptions
  @Option(
    help: ArgumentHelp(
      "The public key of signed policies, or a file with it (default: the trust profile's).", valueName: "key"))
  var key: String?

  func verifyingKey() throws -> VerifyingKey {
    if let key { return try TrustArguments.policyKey(key) }
    return try options.context().profile().policyKey
  }
}

extension PolicyCommand {
  struct Initial: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "init", abstract: "Write a policy file with every key explained.",
      discussion: "Example:\n  ephemeral policy init policy.yaml")
    @Argument(help: "Where to write; a file that is there stays.", completion: .file())
    var file: String = "policy.yaml"

    func run() throws {
      try PrivateFiles.write(
        Array(PolicyTemplate.yaml.utf8), to: file, mode: PrivateFiles.publicMode, replacing: false)
      Screen(json: false).stage("wrote", "\(file): fill in what is …, then `ephemeral policy lint \(file)`")
    }
  }

  struct Lint: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say what in a policy is wrong or risky, before it is signed.",
      discussion: """
        Keys that are not known are named first, then values that cannot be, then risks. FILE is the YAML source or a
        signed policy. Ends with 0 when there is nothing to say, 3 with warnings, 20 with errors, 64 for a file that is
        no policy.

        Example:
          ephemeral policy lint policy.yaml --previous policy-3.cose --key policy.pub
        """)
    @Argument(help: "The policy file.", completion: .file())
    var file: String
    @Option(help: ArgumentHelp("The policy that it follows, signed or source.", valueName: "file"), completion: .file())
    var previous: String?
    @OptionGroup var verification: PolicyKeyOptions

    func run() throws {
      let screen = Screen(json: verification.options.json)
      let policy = try PolicyFile(file, key: verification.verifyingKey)
      let before = try previous.map { try PolicyFile($0, key: verification.verifyingKey) }
      let findings = PolicyLint.findings(
        policy.claims, unexplained: policy.unexplained, previous: before?.claims, nowMs: Timestamps.nowMs())
      PolicyCommand.report(findings, on: screen)
      if findings.isEmpty { screen.out("\(file): nothing to say") }
      if findings.contains(where: { $0.weight == .error }) { throw ExitCode(ExitStatus.rejected.rawValue) }
      if !findings.isEmpty { throw ExitCode(ExitStatus.partial.rawValue) }
    }
  }

  struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say in words what a new policy changes: what it widens and what it narrows.",
      discussion: """
        Each file is the YAML source or a signed policy. Ends with 0 when nothing differs or everything narrows, 3 when
        something widens or changes otherwise: that is what a reviewer has to think about.

        Example:
          ephemeral policy diff policy-3.cose policy.yaml --key policy.pub
        """)
    @Argument(help: "The policy before.", completion: .file())
    var old: String
    @Argument(help: "The policy after.", completion: .file())
    var new: String
    @OptionGroup var verification: PolicyKeyOptions

    func run() throws {
      let screen = Screen(json: verification.options.json)
      let (before, after) = (
        try PolicyFile(old, key: verification.verifyingKey), try PolicyFile(new, key: verification.verifyingKey)
      )
      let diff = PolicyDiff(from: before.claims, to: after.claims)
      for change in diff.changes {
        screen.line(.object([("direction", .text(change.direction.rawValue)), ("text", .text(change.text))]))
        screen.out("\(Screen.padded(change.direction.rawValue, 10))\(Shown.printable(change.text, limit: 400))")
      }
      if diff.changes.isEmpty { screen.out("no difference in what they allow") }
      if diff.needsThought { throw ExitCode(ExitStatus.partial.rawValue) }
    }
  }

  /// Findings on standard output, one a line.
  static func report(_ findings: [PolicyFinding], on screen: Screen, asNotes: Bool = false) {
    for finding in findings {
      screen.line(
        .object([
          ("weight", .text(finding.weight.rawValue)), ("place", .text(finding.place)), ("text", .text(finding.text)),
        ]))
      let line = "\(Screen.padded("\(finding.weight.rawValue):", 9))\(finding.place): \(finding.text)"
      if asNotes {
        screen.note(Shown.printable(line, limit: 400))
      } else {
        screen.out(Shown.printable(line, limit: 400))
      }
    }
  }
}
