import ArgumentParser
import Client
import SealedCrypto
import Wire

extension KeyUse: ExpressibleByArgument {}

/// `ephemeral policy kms-lint`.
struct KeyPolicyLintCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kms-lint", abstract: "Find what in a KMS key policy defeats attestation.",
    discussion: """
      Run by the owner of the key, on what AWS says the key is now:
        aws kms get-key-policy --key-id ARN --policy-name default --query Policy --output text > policy.json
        aws kms describe-key --key-id ARN > key.json
        aws kms list-grants --key-id ARN > grants.json
        ephemeral policy kms-lint policy.json --use epoch --describe-key key.json --list-grants grants.json \\
          --measurements policy.yaml

      Every request that the policy can tell apart is tried, and what is not known of a request is taken in the
      attacker's favour: a Deny counts only where it must apply, an Allow wherever it may.

      Exit codes: 0 nothing wrong, 3 something weakens the policy, 21 something defeats attestation or the policy cannot
      be read.
      """)
  @Argument(help: ArgumentHelp("The key policy as JSON.", valueName: "key-policy.json"), completion: .file())
  var file: String
  @Option(help: "What the key is for: epoch (strictest) or model.")
  var use: KeyUse = .epoch
  @Option(help: ArgumentHelp("Output of `aws kms describe-key`.", valueName: "file"), completion: .file())
  var describeKey: String?
  @Option(help: ArgumentHelp("Output of `aws kms list-grants`.", valueName: "file"), completion: .file())
  var listGrants: String?
  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "The images that should be given secrets: a policy's source (.yaml) or the JSON of `image measure`.",
      valueName: "file"))
  var measurements: [String] = []
  @Flag(help: "One JSON object a line on standard output.")
  var json = false

  func run() throws {
    let report: KeyPolicyReport
    do {
      let policy = try KeyPolicyDocument(json: try PrivateFiles.read(file))
      var key: [KeyPolicyFinding] = []
      if let describeKey { key += try KeyDescription(json: try PrivateFiles.read(describeKey)).findings }
      if let listGrants { key += try KeyGrants(json: try PrivateFiles.read(listGrants), use: use).findings }
      let images = try measurements.flatMap { try KeyMeasurements.images(inFile: $0, nowMs: Timestamps.nowMs()) }
      report = try KeyPolicyLinter(policy, use: use).report(
        measurements: measurements.isEmpty ? nil : images, key: key)
    } catch let malformed as KeyPolicyDocument.Malformed {
      throw ClientError(
        .invalid, "\(file): \(malformed)", remedy: "take the policy as `aws kms get-key-policy` prints it")
    }
    show(report, on: Screen(json: json))
    if report.isDefeated { throw ExitCode(ExitStatus.invalid.rawValue) }
    if !report.isClean { throw ExitCode(ExitStatus.partial.rawValue) }
  }

  private func show(_ report: KeyPolicyReport, on screen: Screen) {
    for finding in report.findings {
      screen.line(
        .object([
          ("event", .text("finding")), ("id", .text(finding.id.rawValue)),
          ("severity", .text(finding.severity.rawValue)), ("place", .text(finding.place)),
          ("what", .text(finding.what)), ("why", .text(finding.why)), ("mend", .text(finding.mend)),
        ]))
      let severity = Screen.padded(finding.severity.rawValue, 9)
      screen.out(
        "\(finding.severity == .defeats ? screen.red(severity) : severity)\(finding.id.rawValue), "
          + "\(Shown.printable(finding.place)): \(Shown.printable(finding.what, limit: 400))")
      screen.out("         why:  \(finding.why)")
      if finding.severity != .informs { screen.out("         mend: \(finding.mend)") }
    }
    for image in report.images { screen.out("releases to PCR0 \(image[0].prefix(24))…, PCR1 \(image[1].prefix(8))…") }
    let unseen =
      (describeKey == nil ? ["DescribeKey"] : []) + (listGrants == nil ? ["ListGrants"] : [])
      + (measurements.isEmpty ? ["measurements"] : [])
    if !unseen.isEmpty { screen.note("not looked at: \(unseen.joined(separator: ", ")) (see --help)") }
    screen.line(
      .object([
        ("event", .text("verdict")), ("use", .text(use.rawValue)), ("clean", .bool(report.isClean)),
        ("defeated", .bool(report.isDefeated)),
        ("images", .array(report.images.map { .array($0.map { .text($0) }) })),
        ("not_looked_at", .array(unseen.map { .text($0) })),
      ]))
    screen.out(
      report.isDefeated
        ? screen.red("this policy does not hold")
        : report.isClean ? "nothing wrong found" : "this policy could hold better")
  }
}

/// `ephemeral policy kms-generate`.
struct KeyPolicyGenerateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kms-generate", abstract: "Write the right KMS key policy for the given images.",
    discussion: """
      The result passes `kms-lint`. It names no account as a whole, so that IAM policies decide on nothing; only the
      administrators can change it, so name two. During an image upgrade give both images; afterwards only the new one.

      Examples:
        ephemeral policy kms-generate --use epoch --account 111122223333 \\
          --admin arn:aws:iam::111122223333:role/key-admin --admin arn:aws:iam::111122223333:role/break-glass \\
          --instance-role arn:aws:iam::444455556666:role/ephemeral-host --measurement worker.json > epoch-key.json
        ephemeral policy kms-generate --use model … --publisher arn:aws:iam::111122223333:role/model-publisher \\
          --policy policy.yaml --output model-key.json
      """)
  @Option(help: "What the key is for: epoch or model.")
  var use: KeyUse
  @Option(help: ArgumentHelp("The account that owns the key.", valueName: "id"))
  var account: String
  @Option(help: ArgumentHelp("Role that may change the policy; give two.", valueName: "arn"))
  var admin: [String]
  @Option(help: ArgumentHelp("Role of the host's instance.", valueName: "arn"))
  var instanceRole: String
  @Option(help: ArgumentHelp("Role that encrypts models (for a model key).", valueName: "arn"))
  var publisher: String?
  @Option(
    help: ArgumentHelp("JSON of `ephemeral image measure`; may be repeated.", valueName: "file"), completion: .file())
  var measurement: [String] = []
  @Option(help: ArgumentHelp("The policy's source, whose measurements are taken.", valueName: "policy.yaml"))
  var policy: String?
  @Flag(help: "Demand the image's signer too.")
  var pcr8 = false
  @Option(
    help: ArgumentHelp(
      "Demand this signed policy by PCR16 (SHA-256 of its bytes, as `policy show` prints it); may be repeated.",
      valueName: "hex"))
  var policyDigest: [String] = []
  @Option(
    name: .shortAndLong, help: ArgumentHelp("Where to write (default: standard output).", valueName: "file"),
    completion: .file())
  var output: String?

  func validate() throws {
    guard measurement.isEmpty != (policy == nil) else {
      throw ValidationError("Give either --measurement or --policy.")
    }
  }

  func run() throws {
    let screen = Screen(json: false, resultsOnOutput: true)
    let nowMs = Timestamps.nowMs()
    let images = try (measurement + (policy.map { [$0] } ?? [])).flatMap {
      try KeyMeasurements.images(inFile: $0, nowMs: nowMs)
    }
    let digests = try policyDigest.map { text in
      guard let digest = ContentDigest(hex: text) else {
        throw ValidationError("--policy-digest \(text.prefix(80)) is not 64 lower-case hexadecimal digits.")
      }
      return digest
    }
    let bytes = try KeyPolicyGenerator(
      use: use, account: account, administrators: admin, instanceRole: instanceRole, publisher: publisher,
      measurements: images, demandsSigner: pcr8, policyDigests: digests
    ).policy()
    if let output {
      try PrivateFiles.write(bytes, to: output, mode: PrivateFiles.publicMode)
      screen.stage("wrote", output)
    } else {
      try StandardStream(1).write(bytes)
    }
    for image in images {
      screen.stage("image", "\(Shown.printable(image.name)), PCR0 \(Hex.encode(image.pcr0.prefix(12)))…")
    }
    if KeyPolicyGenerator.accountOfIdentity(instanceRole) == account {
      screen.note(
        "warning: the host runs in the key's own account; whoever administers that account can come to the keys")
    }
    if admin.count == 1 { screen.note("warning: one administrator; if that role is deleted only AWS Support helps") }
    if !digests.isEmpty { screen.note("note: KMS's acceptance of PCR16 has not been tried on real hardware") }
  }
}
