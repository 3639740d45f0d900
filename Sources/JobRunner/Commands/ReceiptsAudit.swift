import ArgumentParser
import Client
import SealedCrypto
import Wire

extension ReceiptsCommand {
  struct Audit: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Verify all receipts of a folder or store, and find what is missing.",
      discussion: """
        Every receipt is verified at its own time, by the policies that the trust profile accepted and those of
        --policies. Then each stream's chain is judged: gaps, forks, duplicates, wrong order, void numbers, nights. Whether
        something is missing at a stream's end only the submitter's ledger or a signed head tells.

        Every file of a folder is taken for a receipt. Exit code 0 when nothing is wrong, 3 when jobs are not decided yet,
        10 when there is no receipt, 21 when anything is wrong, missing or could not be read.

        Examples:
          ephemeral receipts audit s3://bucket/prefix --ledger
          ephemeral receipts audit evidence/receipts --policies evidence/policies --head nightly.head
          ephemeral receipts audit receipts/ --nights jobs/nightly-embeddings.yaml --since 2026-11-01 --until 2026-12-01
        """)
    @OptionGroup var audit: AuditOptions

    func run() throws {
      let prepared = try audit.prepare()
      let auditor = Auditor(profile: prepared.profile, archive: prepared.archive, plan: prepared.plan)
      var seen: UInt64 = 0
      let result = try auditor.audit(prepared.source) { _, _ in
        seen += 1
        if seen.isMultiple(of: 100) { prepared.context.screen.progress("receipts: \(Shown.number(seen))") }
      }
      try prepared.show(result)
    }
  }

  struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Audit, and write the evidence into a folder.",
      discussion: """
        The folder gets report.html (one page, for reading and printing), report.json, receipts.csv, and copies of the
        receipts that verified, of the policies by which they were judged and of the heads. What did not verify is listed
        with its reason and not copied. Same input, same bytes. Exit codes as with `receipts audit`; the folder is
        written in any case.

        Example:
          ephemeral receipts report s3://bucket/prefix --ledger --output evidence-2026-11
        """)
    @OptionGroup var audit: AuditOptions
    @Option(name: .shortAndLong, help: ArgumentHelp("A new folder.", valueName: "folder"), completion: .directory)
    var output: String

    func run() throws {
      let prepared = try audit.prepare()
      let result = try EvidenceBundle(profile: prepared.profile, archive: prepared.archive, plan: prepared.plan)
        .write(prepared.source, to: output)
      prepared.context.screen.line(.object([("event", .text("written")), ("folder", .text(output))]))
      prepared.context.screen.stage("wrote", "\(output)/ (report.html, report.json, receipts.csv, copies)")
      try prepared.show(result)
    }
  }

  struct Head: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Sign how far a stream goes, for an auditor.",
      discussion: """
        With it an auditor without your ledger sees whether the newest receipts were left out. It tells the stream's
        16 bytes, its last number, that number's manifest digest and the void numbers; not the stream's name.

        Example:
          ephemeral receipts head --stream nightly-embeddings --output nightly.head
        """)
    @OptionGroup var options: ClientOptions
    @Option(help: "The stream's name, or its 32 digits.")
    var stream: String
    @Option(name: .shortAndLong, help: ArgumentHelp("A new file.", valueName: "file"), completion: .file())
    var output: String

    func run() throws {
      let context = try options.context()
      let profile = try context.profile()
      let streams = try Ledger(home: context.home).streams(profile: profile.name)
      let found = streams.filter { $0.name == stream || Hex.encode($0.id) == stream.lowercased() }
      guard let chosen = found.first, found.count == 1 else {
        throw ClientError(
          .notFound, "the ledger has \(found.isEmpty ? "no" : "several") streams called \"\(stream.prefix(80))\"",
          remedy: "`ephemeral list` shows their names; several of one name have digits of their own")
      }
      let head = try chosen.head(signedBy: try context.home.keys.signingKey(.submitter), nowMs: Timestamps.nowMs())
      try PrivateFiles.write(head.bytes, to: output, mode: PrivateFiles.publicMode, replacing: false)
      context.screen.line(
        .object([
          ("event", .text("written")), ("file", .text(output)), ("stream", .text(Hex.encode(chosen.id))),
          ("sequence", .unsigned(head.claims.sequence)), ("manifest", .text(head.claims.manifest.hex)),
          ("voided", .array(head.claims.voided.map { .unsigned($0) })),
        ]))
      context.screen.out(
        "head of stream \(Shown.printable(chosen.name)) written to \(output): number \(head.claims.sequence), "
          + "\(head.claims.voided.count) void")
    }
  }
}
