import ArgumentParser
import Attestation
import Client
import SealedCrypto
import Wire

/// `ephemeral attest`.
struct AttestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attest", abstract: "Attestation documents: what they say, and whether it is proven.",
    subcommands: [Show.self, Verify.self])

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show what a document claims; nothing is verified.",
      discussion: "FILE is a document, or an announcement, receipt or status that carries one.")
    @Argument(help: "The file.", completion: .file())
    var file: String
    @Flag(help: "One JSON object a line on standard output.")
    var json = false

    func run() throws {
      let screen = Screen(json: json)
      let fields = try UnverifiedAttestation(try DocumentArgument.read(file)).unprovenFields()
      screen.note("UNVERIFIED: anyone could have written this; `ephemeral attest verify` says what is proven")
      AttestCommand.show(screen, fields, more: [("verified", .bool(false))])
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Verify a document's form, signature and chain, and show its fields.",
      discussion: """
        Under the AWS Nitro Enclaves root, unless --profile, --root or --emulated name another class. Certificates must be valid at the
        document's own time (leaves live for three hours), or at the time that --at gives. Exit code 0, or 20.

        Of a statement its own signature is verified too, and that the document binds this very statement and its key.
        With --profile, an image of the newest accepted policy must match as well. Whether a statement is fit for use is
        another question: ask `submit --dry-run` for announcements, `receipts verify` for receipts.

        Examples:
          ephemeral attest verify document.cose
          ephemeral attest verify announcement.cose --root attestation-root.pem --at now --json
        """)
    @Argument(help: "A document, or an announcement, receipt or status that carries one.", completion: .file())
    var file: String
    @Option(help: ArgumentHelp("document, now, or a time such as 2026-11-22T12:00:00Z.", valueName: "time"))
    var at: String = "document"
    @Option(help: ArgumentHelp("A development root.", valueName: "file.pem"), completion: .file())
    var root: String?
    @Flag(help: "An emulator's document: nobody signed it, and it proves nothing.")
    var emulated = false
    @OptionGroup var options: ClientOptions

    func run() throws {
      let screen = Screen(json: options.json)
      let bytes = try PrivateFiles.read(file)
      let carrier: DocumentCarrier
      let verified: VerifiedAttestation
      do {
        let (verifier, measurements) = try verifier()
        screen.banner(verifier.anchor.evidenceClass)
        carrier = try DocumentCarrier(bytes)
        verified = try carrier.verify(by: verifier, at: try moment(), measurements: measurements)
      } catch let refusal as AttestationRefusal {
        screen.line(
          .object([
            ("verified", .bool(false)), ("reason", .text(refusal.reason.rawValue)), ("place", .text(refusal.place)),
            ("detail", .text(refusal.detail)),
          ]))
        throw refusal
      }
      AttestCommand.show(
        screen, verified.fields,
        more: [
          ("verified", .bool(true)), ("evidence_class", .text(verified.evidenceClass.rawValue)),
          ("image", .optional(verified.image?.name)), ("statement", .optional(carrier.kind?.rawValue)),
        ])
      for link in verified.chain {
        screen.out(
          "certificate  \(Shown.printable(link.subject))  \(Timestamps.text(link.notBeforeMs)) to \(Timestamps.text(link.notAfterMs))"
        )
      }
      let what = carrier.kind.map { "\($0.rawValue), signed and bound by its document" } ?? "a document alone"
      screen.out("attestation verified: \(verified.evidenceClass.rawValue), \(what)")
    }

    func validate() throws {
      guard !emulated || (root == nil && options.profile == nil) else {
        throw ValidationError("--emulated stands alone: it is a class of evidence, as --root and --profile name one.")
      }
    }

    private func verifier() throws -> (AttestationVerifier, [MeasurementTuple]?) {
      if emulated { return (AttestationVerifier(.emulated), nil) }
      if let root { return (AttestationVerifier(try TrustAnchor.development(pem: try TrustArguments.pem(root))), nil) }
      guard options.profile != nil else { return (AttestationVerifier(try TrustAnchor.production()), nil) }
      let context = try options.context()
      let profile = try context.profile()
      guard let policy = try TrustStore(home: context.home).policies(profile).newest() else {
        throw ClientError(
          .rejected, "no policy was accepted under the profile \(profile.name) yet: no image is known to it",
          remedy: "run `ephemeral setup --store URL` once, or verify without --profile")
      }
      return (profile.verifier, policy.claims.measurements)
    }

    private func moment() throws -> AttestationVerifier.Moment {
      if at == "document" { return .documentTime }
      if at == "now" { return .at(ms: Timestamps.nowMs()) }
      guard let time = Timestamps.milliseconds(at) else {
        throw ClientError(
          .usage, "--at \(at.prefix(40)) is no time", remedy: "give document, now, or 2026-11-22T12:00:00Z")
      }
      return .at(ms: time)
    }
  }

  private static func show(_ screen: Screen, _ fields: DocumentFields, more: [(String, JSONLine)]) {
    let registers = fields.pcrs.sorted { $0.key < $1.key }
    let time = Timestamps.text(fields.timeMs)
    let optional = [
      ("user_data", fields.userData), ("nonce", fields.nonce), ("public_key", fields.publicKey),
    ]
    screen.line(
      .object(
        more + [
          ("module_id", .text(fields.moduleID)), ("timestamp", .unsigned(fields.timeMs)), ("time", .text(time)),
          ("pcrs", .object(registers.map { ("\($0.key)", .text(Hex.encode($0.value))) })),
        ] + optional.map { name, value in (name, .optional(value.map { Hex.encode($0) })) }))
    screen.out("module       \(Shown.printable(fields.moduleID))")
    screen.out("time         \(time)")
    for (index, value) in registers where !value.allSatisfy({ $0 == 0 }) {
      screen.out("PCR\(Screen.padded("\(index)", 10))\(Hex.encode(value))")
    }
    for (name, value) in optional {
      guard let value else { continue }
      screen.out(
        "\(Screen.padded(name, 13))\(Hex.encode(value.prefix(48)))\(value.count > 48 ? "… (\(value.count) bytes)" : "")"
      )
    }
  }
}

/// A document from a file, which may be a statement around it. For showing only: no signature is looked at.
private enum DocumentArgument {
  static func read(_ path: String) throws -> [UInt8] {
    let bytes = try PrivateFiles.read(path)
    let inner =
      (try? UnverifiedStatement<AnnouncementClaims>(bytes))?.attestation
    return inner ?? bytes
  }
}
