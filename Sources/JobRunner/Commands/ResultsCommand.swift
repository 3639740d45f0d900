import ArgumentParser
import Client
import Glibc
import SealedCrypto
import Wire

extension ResultsFormat: ExpressibleByArgument {}

/// `ephemeral results`.
struct ResultsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "results", abstract: "Fetch, verify, open and convert results.",
    subcommands: [Get.self, Neighbours.self])

  struct Get: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Verify a job's receipt and write its results.",
      discussion: """
        Everything is verified before anything is written: the receipt's evidence, the digests of the sealed files, and
        every line against the receipt's Merkle root. The folder appears whole or not at all. Of a job that failed or was
        refused there is no output: the folder has the receipt, the reason, and the items' errors. Exit code: the job's
        outcome, 0 completed, 3 partial, 4 failed or refused, also with --output -.

        jsonl: output.jsonl, errors.jsonl where items failed (OpenAI's batch output; embeddings as little-endian floats in
        base64). npy: embeddings.npy, and ids.jsonl with the id of each row. text: texts/ID.txt or texts/ID.json for each
        made text, and texts.jsonl with the file of each id and how its text ended.

        Examples:
          ephemeral results get 3fa9b2 --output night-17
          ephemeral results get 3fa9b2 --format npy --output night-17-npy
          ephemeral results get 3fa9b2 --format text --output summaries
          ephemeral results get 3fa9b2 --output - | jq .custom_id
        """)
    @Argument(help: "The job's name, or at least four digits of it.", completion: .ownJobs)
    var job: String
    @OptionGroup var options: ClientOptions
    @Option(help: "jsonl, npy or text.")
    var format: ResultsFormat = .jsonl
    @Option(
      name: .shortAndLong, help: ArgumentHelp("A new folder, or - (default: results-JOB).", valueName: "folder"),
      completion: .directory)
    var output: String?
    @Flag(help: "Replace an older folder of results.")
    var force = false

    func run() throws {
      let context = try options.context()
      let screen = output == "-" ? Screen(json: options.json, resultsOnOutput: true) : context.screen
      let profile = try context.profile()
      let (job, entry) = try JobArgument.resolve(self.job, Ledger(home: context.home))
      let output = self.output ?? "results-\(job.hex.prefix(12))"
      if output == "-", format == .npy, isatty(STDOUT_FILENO) == 1 {
        throw ClientError(.usage, "an array is no text for a terminal", remedy: "name a folder with --output")
      }
      if output == "-", format != .jsonl {
        throw ClientError(.usage, "\(format.rawValue) makes several files", remedy: "name a folder with --output")
      }
      let fetcher = ResultsFetcher(home: context.home, profile: profile, store: try context.store())
      let receipt = try fetcher.examine(
        job, identities: try context.home.keys.identities(), nowMs: Timestamps.nowMs(),
        progress: { screen.progress("downloading: \(Shown.bytes($0))") })
      if entry == nil {
        screen.note("this job is not in your ledger; the manifest in its results was verified instead")
      }
      let report = ReceiptReport(screen: screen, profile: profile)
      if output != "-" { report.showLines(receipt) }
      _ = try receipt.verified()
      guard let results = receipt.results else {
        throw ClientError(
          .jobFailed, "the job was refused before its manifest verified: there are no results, only the receipt",
          remedy: "submit again; if it stays so, the bundle does not reach the enclave as it was sealed", by: .operator_
        )
      }
      let writer = ResultsWriter(results, receipt: receipt.bytes)
      if output == "-" {
        try writer.writeOutput(to: StandardStream(STDOUT_FILENO))
      } else {
        let names = try writer.write(format, to: output, replacing: force)
        screen.line(
          .object([("event", .text("written")), ("folder", .text(output)), ("files", .array(names.map { .text($0) }))]))
        screen.stage("wrote", "\(output)/ (\(names.joined(separator: ", ")))")
      }
      if results.truncated > 0 { screen.stage("cut off", Shown.count(results.truncated, "item")) }
      let status = try report.outcome(receipt)
      if status != .done { throw ExitCode(status.rawValue) }
    }
  }

  struct Neighbours: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show the nearest neighbours of some documents by their embeddings.",
      discussion: """
        A look at whether the embeddings make sense, by cosine. FILE is an output.jsonl, or the folder that it lies in.

        Examples:
          ephemeral results neighbours night-17 --count 3
          ephemeral results neighbours night-17 --id maritime/port-congestion.txt --texts jobs/sample
        """)
    @Argument(help: "An output.jsonl, or a folder with one.", completion: .file())
    var file: String
    @Option(help: "Neighbours of each document.")
    var count: Int = 3
    @Option(help: "How many documents, spread over the file.")
    var documents: Int = 3
    @Option(help: "This document; may be repeated.")
    var id: [String] = []
    @Option(
      help: ArgumentHelp("Show the first line of each document from this folder.", valueName: "folder"),
      completion: .directory)
    var texts: String?
    @Flag(help: "One JSON object a line on standard output.")
    var json = false

    func run() throws {
      let screen = Screen(json: json)
      let inFolder = "\(file)/output.jsonl"
      let neighbours = try Client.Neighbours(outputFile: PrivateFiles.exists(inFolder) ? inFolder : file)
      for group in try neighbours.groups(documents: documents, named: id, nearest: count) {
        screen.line(
          .object([
            ("id", .text(group.id)),
            (
              "nearest",
              .array(group.nearest.map { .object([("id", .text($0.id)), ("cosine", .double(Double($0.cosine)))]) })
            ),
          ]))
        screen.out(screen.bold(shown(group.id)))
        for near in group.nearest { screen.out("  \(Self.three(near.cosine))  \(shown(near.id))") }
      }
    }

    /// The id, and the document's first line where it can be had.
    private func shown(_ id: String) -> String {
      let name = Shown.printable(id, limit: 100)
      guard let texts, !id.split(separator: "/").contains(".."),
        let bytes = try? PrivateFiles.readIfPresent("\(texts)/\(id)", limit: 1 << 20),
        let line = bytes.split(separator: 0x0A).first
      else { return name }
      return "\(Screen.padded(name + "  ", 36))\(Shown.printable(String(decoding: line, as: UTF8.self), limit: 70))"
    }

    private static func three(_ value: Float) -> String {
      let thousandths = Int((value * 1000).rounded())
      let digits = String(abs(thousandths) % 1000)
      return
        "\(thousandths < 0 ? "-" : "")\(abs(thousandths) / 1000).\(String(repeating: "0", count: 3 - digits.count))\(digits)"
    }
  }
}
