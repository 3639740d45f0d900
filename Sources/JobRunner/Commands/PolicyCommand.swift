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
      Keygen.self, Sign.self, Install.self, Show.self, KeyPolicyLintCommand.self, KeyPolicyGenerateCommand.self,
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
        Example of a policy file:
          version: 3
          valid_for_days: 90
          measurements:
            - {name: worker-1.4, pcr0: "…", pcr1: "…", pcr2: "…"}
          epoch_key: arn:aws:kms:eu-west-1:111122223333:key/…
          epoch_validity_hours: 168
          submitters:
            - {name: alice, key: "…", operations: [embed], models: ["…"]}
          publishers:
            - {name: models-team, key: "…", model_key: "arn:aws:kms:…:key/…"}

        The version must grow with every change: clients and workers refuse an older one, and a second one of the same
        version.

        Example:
          ephemeral policy sign policy.yaml --key policy.key --output policy.cose
        """)
    @Argument(help: "The policy file.")
    var file: String
    @Option(help: ArgumentHelp("The policy key.", valueName: "file"))
    var key: String
    @Option(name: .shortAndLong, help: ArgumentHelp("Where to write the signed policy.", valueName: "file"))
    var output: String = "policy.cose"
    @Flag(help: "One JSON object a line on standard output.")
    var json = false

    func run() throws {
      let claims = try PolicySource.claims(try PrivateFiles.read(file), file: file, nowMs: Timestamps.nowMs())
      let signed = try Signed<PolicyClaims>.sign(claims, with: try KeyRing.read(key))
      try PrivateFiles.write(signed.bytes, to: output, mode: PrivateFiles.publicMode)
      PolicyReport(screen: Screen(json: json)).show(signed)
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
    @Argument(help: "The signed policy.")
    var file: String
    @OptionGroup var options: ClientOptions

    func run() throws {
      let context = try options.context()
      let profile = try context.profile()
      let store = try context.store()
      let policy = try TrustStore(home: context.home).policies(profile)
        .accept(try PrivateFiles.read(file), nowMs: Timestamps.nowMs())
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
    @Argument(help: "A signed policy.")
    var file: String?
    @OptionGroup var options: ClientOptions
    @Option(help: ArgumentHelp("The policy's public key, or a file with it.", valueName: "key"))
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

/// A policy on the screen.
private struct PolicyReport {
  let screen: Screen

  func show(_ signed: Signed<PolicyClaims>) {
    let claims = signed.claims
    screen.line(
      .object([
        ("version", .unsigned(claims.version)), ("digest", .text(signed.digest.hex)),
        ("signer", .text(Hex.encode(signed.signer.bytes))), ("issued", .text(Timestamps.text(claims.issuedMs))),
        ("not_after", .text(Timestamps.text(claims.notAfterMs))), ("epoch_key", .text(claims.epochKey)),
        ("minimum_epoch", .unsigned(claims.minimumEpoch)),
        (
          "measurements",
          .array(claims.measurements.map { .object([("name", .text($0.name)), ("pcr0", .text(Hex.encode($0.pcr0)))]) })
        ),
        (
          "submitters",
          .array(
            claims.submitters.map {
              .object([
                ("name", .text($0.name)), ("key", .text(Hex.encode($0.key.bytes))),
                ("models", .array($0.models.map { .text($0.hex) })),
              ])
            })
        ),
        (
          "publishers",
          .array(
            claims.publishers.map {
              .object([
                ("name", .text($0.name)), ("key", .text(Hex.encode($0.key.bytes))), ("model_key", .text($0.modelKey)),
              ])
            })
        ),
      ]))
    screen.out(
      "version      \(claims.version), \(Timestamps.text(claims.issuedMs)) to \(Timestamps.text(claims.notAfterMs))")
    screen.out("digest       \(signed.digest.hex)")
    screen.out("signed by    \(Hex.encode(signed.signer.bytes))")
    for image in claims.measurements {
      screen.out("image        \(Shown.printable(image.name)), PCR0 \(Hex.encode(image.pcr0.prefix(12)))…")
    }
    screen.out("epoch key    \(claims.epochKey)")
    screen.out(
      "epochs       from \(claims.minimumEpoch), valid \(claims.epochValidityMs / 3_600_000) h, opened \(claims.epochGraceMs / 3_600_000) h longer"
    )
    for submitter in claims.submitters {
      screen.out(
        "submitter    \(Shown.printable(submitter.name)), key \(Hex.encode(submitter.key.bytes.prefix(8)))…: \(submitter.operations.joined(separator: ", ")) with \(Shown.count(UInt64(submitter.models.count), "model"))"
      )
    }
    for publisher in claims.publishers {
      screen.out(
        "publisher    \(Shown.printable(publisher.name)), key \(Hex.encode(publisher.key.bytes.prefix(8)))…, \(publisher.modelKey)"
      )
    }
    for recipient in claims.recoveryRecipients {
      screen.out("recovery     \((try? HybridRecipient(publicKey: recipient))?.description ?? "unusable recipient")")
    }
    screen.out(
      "KMS          \(claims.requireHybridTLS ? "hybrid key exchange required" : "any TLS 1.3 key exchange")\(claims.useFIPSEndpoint ? ", FIPS endpoint" : "")"
    )
  }
}
