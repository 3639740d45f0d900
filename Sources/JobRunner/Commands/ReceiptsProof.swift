import ArgumentParser
import Attestation
import Client
import Inference
import SealedCrypto
import Wire

extension ReceiptsCommand {
  /// What a proof may show of an item.
  enum Disclosure: String, CaseIterable {
    case input, output
  }

  struct Prove: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Prove one item of a job to somebody else.",
      discussion: """
        Fetches and verifies the job's results, and writes a small file: the receipt, the item's leaf and its path to the
        receipt's Merkle root, and what --disclose names. Whoever has the trust profile can verify it offline. It opens
        no other item. Note what it does give away: the receipt, and the plain SHA-256 of this item's input and output
        line, which somebody who guesses a line can check, also where the line is not disclosed.

        The input is not in the results: to disclose it, name the folder or file that was submitted with --input, by the
        same name.

        Examples:
          ephemeral receipts prove 3fa9b2 --item finance/annual-report.txt --disclose output
          ephemeral receipts prove 3fa9b2 --index 11 --disclose input,output --input reports/ --output item-11.proof
        """)
    @Argument(help: "The job's name, or at least four digits of it.", completion: .ownJobs)
    var job: String
    @OptionGroup var options: ClientOptions
    @Option(help: ArgumentHelp("The item's id.", valueName: "id"))
    var item: String?
    @Option(help: ArgumentHelp("Instead of an id: the item's place in the input, from 0.", valueName: "number"))
    var index: UInt64?
    @Option(help: ArgumentHelp("input, output, or input,output (default: neither).", valueName: "what"))
    var disclose: String?
    @Option(help: ArgumentHelp("What was submitted, to disclose an input.", valueName: "path"), completion: .file())
    var input: String?
    @OptionGroup var task: TaskOptions
    @Option(
      name: .shortAndLong, help: ArgumentHelp("A new file (default: JOB-INDEX.proof).", valueName: "file"),
      completion: .file())
    var output: String?

    func validate() throws {
      guard (item == nil) != (index == nil) else { throw ValidationError("Name the item with --item or --index.") }
      let disclosed = try disclosed()
      guard disclosed.contains(.input) == (input != nil) else {
        throw ValidationError("--disclose input and --input go together.")
      }
    }

    private func disclosed() throws -> Set<Disclosure> {
      Set(
        try (disclose ?? "").split(separator: ",").map { word in
          guard let disclosure = Disclosure(rawValue: String(word)) else {
            throw ValidationError("--disclose takes input, output, or input,output.")
          }
          return disclosure
        })
    }

    func run() throws {
      let context = try options.context()
      let profile = try context.profile()
      let store = try context.store()
      let (job, _) = try JobArgument.resolve(self.job, Ledger(home: context.home))
      let receipt = try ResultsFetcher(home: context.home, profile: profile, store: store)
        .examine(job, identities: try context.home.keys.identities(), nowMs: Timestamps.nowMs())
      let claims = try receipt.verified().claims
      guard let results = receipt.results else {
        throw ClientError(
          .jobFailed, "the job ended before its manifest verified: there are no items", remedy: "submit again")
      }
      let choice: ItemChoice = item.map { .id($0) } ?? .index(index ?? 0)
      let task = try task.task()
      let model = try task.map { _ in
        let policy = try TrustStore(home: context.home).policies(profile).accepted(claims.policyDigest)
        return try ModelCatalog(store: store, policy: policy).published(results.manifest.claims.model).claims.name
      }
      let proof = try ItemProver(results, receipt: receipt.bytes).prove(
        choice, input: try input.map { try InputArgument.open($0, context.home) }, task: task, model: model ?? "",
        disclosingOutput: try disclosed().contains(.output))
      let leaf = try ItemLeaf(decoding: proof.leaf)
      let path = output ?? "\(job.hex.prefix(12))-\(leaf.index).proof"
      // Disclosed lines are plaintext: readable by this user alone until he hands the file on.
      try PrivateFiles.write(proof.encoded(), to: path, replacing: false)
      context.screen.line(
        .object([
          ("event", .text("written")), ("job", .text(job.hex)), ("index", .unsigned(leaf.index)), ("file", .text(path)),
          ("discloses", .array(try disclosed().map(\.rawValue).sorted().map { .text($0) })),
        ]))
      context.screen.out(
        "proof of item \(leaf.index) written to \(path) (\(Shown.bytes(UInt64(proof.encoded().count)))); "
          + "`ephemeral receipts verify-item \(path)` shows what it proves")
      if try disclosed().contains(.input), results.manifest.claims.operation == ModelOperation.generate.rawValue {
        context.screen.note("the input line has the whole conversation: instruction and schema are disclosed with it")
      }
    }
  }

  struct VerifyItem: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "verify-item", abstract: "Show what a proof of one item proves.",
      discussion: """
        Needs the trust profile and its policies, no store, no network and no key.

        Exit code 0 when it proves the item, 20 when attestation or policy say no, 21 when the proof is not right.

        Examples:
          ephemeral receipts verify-item item-11.proof
          ephemeral receipts verify-item item-11.proof --receipt night-17.receipt --policies evidence/policies
        """)
    @Argument(help: "The proof's file.", completion: .file())
    var proof: String
    @OptionGroup var options: ClientOptions
    @Option(help: ArgumentHelp("The receipt that it must be of.", valueName: "file"), completion: .file())
    var receipt: String?
    @Option(
      help: ArgumentHelp("Further policies, signed by the profile's policy key; may be repeated.", valueName: "path"),
      completion: .file())
    var policies: [String] = []
    @Flag(help: "Print the disclosed lines.")
    var show = false

    func run() throws {
      let context = try options.context()
      let profile = try context.profile()
      let proof = try ItemProof(decoding: try PrivateFiles.read(self.proof, limit: ItemProof.limitBytes))
      if let receipt, try PrivateFiles.read(receipt) != proof.receipt {
        throw ClientError(.invalid, "the proof is of another receipt than \(receipt)", remedy: "name the right one")
      }
      let archive = try PolicyArchive(home: context.home, profile: profile, paths: policies)
      let check = ReceiptCheck(verifier: profile.verifier, policies: archive.policies)
      let (verdict, item) = try proof.verified(by: check)
      guard let item else {
        let (question, reason) = verdict.failure.map { ($0.question, $0.reason) } ?? (.form, "not verified")
        let isEvidence = [.chain, .policy, .measurements, .keyBinding].contains(question)
        throw ClientError(
          isEvidence ? .rejected : .invalid, "the proof's receipt does not verify: \(question.rawValue): \(reason)",
          remedy: "use the profile of this host, and with --policies the policies that were in force",
          by: .securityOfficer)
      }
      ItemReport(screen: context.screen, profile: profile).show(item)
      if show {
        for (name, line) in [("input:", item.input), ("output:", item.output)] {
          guard let line else { continue }
          context.screen.out(name)
          context.screen.out(Shown.printable(String(decoding: line, as: UTF8.self), limit: 1 << 22))
        }
      }
    }
  }
}

/// What a verified item proof says.
struct ItemReport {
  let screen: Screen
  let profile: TrustProfile

  func show(_ item: ProvenItem) {
    let (claims, leaf) = (item.receipt.claims, item.leaf)
    let image = item.receipt.attestation.image
    let suffix = profile.evidenceClass == .production ? "" : " (\(profile.evidenceClass.rawValue.uppercased()))"
    screen.line(
      .object([
        ("event", .text("item")), ("verified", .bool(true)), ("job", .text(claims.bundle.hex)),
        ("outcome", .text(claims.outcome.rawValue)), ("index", .unsigned(leaf.index)),
        ("items", .unsigned(item.job.items)),
        ("status", .text(leaf.status == .ok ? "ok" : "failed")), ("input_sha256", .text(leaf.input.hex)),
        ("output_sha256", .text(leaf.output.hex)), ("input_disclosed", .bool(item.input != nil)),
        ("output_disclosed", .bool(item.output != nil)), ("model", .text(item.job.model.hex)),
        ("image", .optional(image?.name)), ("pcr0", .optional(image.map { Hex.encode($0.pcr0) })),
        ("policy_version", .unsigned(claims.policyVersion)), ("ended", .text(Timestamps.text(claims.endedMs))),
        ("evidence_class", .text(profile.evidenceClass.rawValue)),
      ]))
    screen.out("proven\(suffix):")
    screen.out(
      "  item        \(leaf.index) (from 0) of \(item.job.items) of job \(claims.bundle.hex), \(claims.outcome.rawValue)"
    )
    screen.out("  status      \(leaf.status == .ok ? "computed" : "failed: the output line is an error")")
    screen.out("  input       SHA-256 \(leaf.input.hex), \(Self.shown(item.input))")
    screen.out("  output      SHA-256 \(leaf.output.hex), \(Self.shown(item.output))")
    screen.out("  model       manifest \(item.job.model.hex), \(Shown.printable(item.job.precision))")
    screen.out(
      "  image       \(Shown.printable(image?.name ?? "?")), PCR0 \(Hex.encode((image?.pcr0 ?? []).prefix(16)))…")
    screen.out("  time        \(Timestamps.text(claims.startedMs)) to \(Timestamps.text(claims.endedMs))")
    screen.out("  policy      version \(claims.policyVersion), \(claims.policyDigest.hex.prefix(16))…")
    screen.out("  submitter   key \(item.job.submitter.hex.prefix(16))…, number \(item.job.sequence) of its stream")
    screen.out("not proven:")
    if item.input == nil || item.output == nil {
      let lines = item.input == nil ? item.output == nil ? "input and output are" : "the input is" : "the output is"
      screen.out("  what \(lines): only the digest is known")
    }
    screen.out(
      "  anything about the other \(item.job.items - 1) items, whom the key belongs to, or that the input is true")
  }

  private static func shown(_ line: [UInt8]?) -> String {
    line.map { "disclosed: \(Shown.bytes(UInt64($0.count))), the digest is right" } ?? "not disclosed"
  }
}
