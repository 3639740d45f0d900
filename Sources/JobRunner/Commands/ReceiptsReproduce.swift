import ArgumentParser
import Client
import Inference
import SealedCrypto
import Wire

extension ReceiptsCommand {
  struct Reproduce: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Compute a job again, and compare every line with what its receipt binds.",
      discussion: """
        Fetches and verifies the job's receipt and results first, as `receipts verify` does. Then every item is computed
        again, on this machine, from what was submitted (--input) and the model's folder (--model-folder), in the
        precision that the receipt names. Each file of the folder must be the one that the published manifest lists, and
        each line of the input the one that was sealed: of a folder whose documents were sent with an instruction, name
        the same --instruction, and what went with it. A result depends on nothing else, on no machine: so its digest
        must be the receipt's.

        Exit code 0 when every item came out with the receipt's digest; 21 when one did not, which is named, and where
        receipt or results are not right; 20 when attestation or policy say no; 10 when input or folder lack something; 1
        when a file of the folder is not the published one; 4 when the job ended before an item was computed.

        Examples:
          ephemeral receipts reproduce 3fa9b2 --input reports/ --model-folder all-MiniLM-L6-v2
          ephemeral receipts reproduce 3fa9b2 --input pairs.jsonl --model-folder reranker/ --calibrate texts.txt --json
          ephemeral receipts reproduce 3fa9b2 --input reports/ --model-folder llama/ --instruction summarise.txt
        """)
    @Argument(help: "The job's name, or at least four digits of it.", completion: .ownJobs)
    var job: String
    @OptionGroup var options: ClientOptions
    @Option(help: ArgumentHelp("What was submitted.", valueName: "path"), completion: .file())
    var input: String
    @Option(help: ArgumentHelp("The folder that was published.", valueName: "folder"), completion: .directory)
    var modelFolder: String
    @Option(
      help: ArgumentHelp("The texts of `models publish --calibrate`, for int8.", valueName: "file"), completion: .file()
    )
    var calibrate: String?
    @OptionGroup var task: TaskOptions

    func run() throws {
      let context = try options.context()
      let screen = context.screen
      let profile = try context.profile()
      let store = try context.store()
      let (job, _) = try JobArgument.resolve(self.job, Ledger(home: context.home))
      let examined = try ResultsFetcher(home: context.home, profile: profile, store: store)
        .examine(job, identities: try context.home.keys.identities(), nowMs: Timestamps.nowMs())
      let receipt = try examined.verified().claims
      guard let results = examined.results else {
        throw ClientError(
          .jobFailed, "the job ended before its manifest verified: there are no items", remedy: "submit again")
      }
      let reproducer = try ResultReproducer(results, receipt: receipt)
      // The publisher may be gone from today's policy.
      let policy = try TrustStore(home: context.home).policies(profile).accepted(receipt.policyDigest)
      let published = try ModelCatalog(store: store, policy: policy).published(results.manifest.claims.model)
      let precision = reproducer.precision.rawValue
      screen.stage("receipt", "verified: \(Shown.count(results.recomputed.count, "item")) in \(precision)")
      let model = try reproducer.model(
        published, folder: modelFolder, texts: try calibrate.map(CalibrationFile.read) ?? [])
      screen.stage("model", "\(Shown.printable(published.claims.name)): each file is the published one")
      let found = try reproducer.reproduce(
        try InputArgument.open(input, context.home), with: model, named: published.claims.name, task: try task.task(),
        progress: { screen.progress("computed: \(Shown.number($0))") })
      try show(found, job, receipt, screen)
    }

    private func show(_ found: Reproduction, _ job: JobName, _ receipt: ReceiptClaims, _ screen: Screen) throws {
      screen.line(
        .object([
          ("event", .text("reproduced")), ("job", .text(job.hex)), ("reproduced", .bool(found.differingCount == 0)),
          ("precision", .text(found.precision.rawValue)), ("items", .unsigned(found.items)),
          ("differing", .unsigned(found.differingCount)),
          (
            "first_differing",
            .array(
              found.differences.map {
                .object([("index", .unsigned($0.index)), ("id", .optional($0.id)), ("what", .text($0.what))])
              })
          ),
          ("merkle_root", .text(receipt.job?.merkleRoot.hex ?? "")), ("software", .text(receipt.software)),
        ]))
      for difference in found.differences {
        let id = difference.id.map { " (\(Shown.printable($0)))" } ?? ""
        screen.out("  item \(difference.index)\(id): \(difference.what)")
      }
      let left = found.differingCount - UInt64(found.differences.count)
      if left > 0 { screen.out("  and \(Shown.count(left, "item")) more") }
      guard found.differingCount == 0 else {
        throw ClientError(
          .invalid,
          "\(found.differingCount) of \(Shown.count(found.items, "item")) come out otherwise than the receipt binds them",
          remedy:
            "compare this program's version with the receipt's, \(Shown.printable(receipt.software)); if they agree, "
            + "the results are not this model's: keep everything and ask", by: .operator_)
      }
      screen.out(
        found.items == 0
          ? "reproduced: the job has no item"
          : "reproduced: all \(Shown.count(found.items, "item")) in \(found.precision.rawValue) have the digests that the receipt binds"
      )
    }
  }
}
