import ArgumentParser
import Client
import Glibc
import SealedCrypto
import Wire

/// `ephemeral receipts`.
struct ReceiptsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "receipts", abstract: "Receipts: what an enclave says of a job, signed and attested.",
    subcommands: [
      Get.self, Verify.self, Reproduce.self, Prove.self, VerifyItem.self, Audit.self, Report.self, Head.self,
    ])

  struct Get: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Verify a job's receipt and write it to a file.",
      discussion: "Example:\n  ephemeral receipts get 3fa9b2 --output night-17.receipt")
    @Argument(help: "The job's name, or at least four digits of it.", completion: .ownJobs)
    var job: String
    @OptionGroup var options: ClientOptions
    @Option(
      name: .shortAndLong, help: ArgumentHelp("A new file (default: JOB.receipt).", valueName: "file"),
      completion: .file())
    var output: String?

    func run() throws {
      let context = try options.context()
      let profile = try context.profile()
      let (job, _) = try JobArgument.resolve(self.job, Ledger(home: context.home))
      let fetcher = ResultsFetcher(home: context.home, profile: profile, store: try context.store())
      let receipt = try fetcher.examine(
        job, identities: [], nowMs: Timestamps.nowMs(), downloading: false)
      _ = try receipt.verified()
      let path = output ?? "\(job.hex.prefix(12)).receipt"
      try PrivateFiles.write(receipt.bytes, to: path, mode: PrivateFiles.publicMode, replacing: false)
      context.screen.line(.object([("event", .text("written")), ("job", .text(job.hex)), ("file", .text(path))]))
      context.screen.out("receipt verified and written to \(path)")
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show the verdict on a receipt, line by line.",
      discussion: """
        With a job's name, the receipt and the sealed results are fetched, their digests compared, and every item opened
        with your identity is held against the receipt's Merkle root. With a file, the receipt alone is judged; that
        needs no store and no network.

        Exit code 0 when it verifies, 20 when attestation or policy say no, 21 when the receipt or the files are not right.

        Examples:
          ephemeral receipts verify 3fa9b2
          ephemeral receipts verify night-17.receipt --json
        """)
    @Argument(help: "A job's name, at least four digits of it, or a receipt's file.", completion: .file())
    var target: String
    @OptionGroup var options: ClientOptions
    @Option(help: ArgumentHelp("With a file: the job that it must be of.", valueName: "name"))
    var job: String?

    func run() throws {
      let context = try options.context()
      let profile = try context.profile()
      let ledger = Ledger(home: context.home)
      let receipt: ExaminedReceipt
      if Self.isFile(target) {
        let job = try self.job.map { try JobArgument.resolve($0, ledger).job }
        receipt = try ResultsFetcher(home: context.home, profile: profile, store: nil)
          .examine(receipt: try PrivateFiles.read(target), job: job)
      } else {
        guard !Self.looksLikeFile(target) else {
          throw ClientError(.notFound, "there is no file \(target)", remedy: "check the name, or give a job's name")
        }
        let (job, _) = try JobArgument.resolve(target, ledger)
        let identities = context.home.keys.hasIdentity ? try context.home.keys.identities() : []
        receipt = try ResultsFetcher(home: context.home, profile: profile, store: try context.store())
          .examine(job, identities: identities, nowMs: Timestamps.nowMs())
      }
      context.screen.out("receipt of job \(receipt.job.hex)")
      let report = ReceiptReport(screen: context.screen, profile: profile)
      report.showLines(receipt)
      _ = try report.outcome(receipt)
    }

    /// What can be no job's name was meant for a file.
    private static func looksLikeFile(_ text: String) -> Bool { !text.allSatisfy(\.isHexDigit) }

    private static func isFile(_ path: String) -> Bool {
      var status = stat()
      return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }
  }
}
