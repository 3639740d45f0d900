import ArgumentParser
import Client
import Inference
import Wire

extension ModelsCommand {
  /// Sizes of enclaves, as they were written and in bytes.
  static func sizes(_ texts: [String]) throws -> [(text: String, bytes: UInt64)] {
    try texts.map { text in
      guard let bytes = ByteSize.bytes(parsing: text) else {
        throw ClientError(.usage, "\(text.prefix(40)) is no size", remedy: "write 24G or 512M")
      }
      return (text, bytes)
    }
  }

  struct Fit: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Compute which decoders fit which enclaves, from their shapes alone.",
      discussion: """
        A folder needs no more than the model's config.json: no weights are looked at, and nothing is measured. For each
        size of an enclave stands how many sequences of the context are continued at once; 0 where the model does not fit
        with one. Of the memory, 512 MiB are left to the enclave's system, and an eighth of the rest to the worker.
        Quantised files are taken to be mixed as llama.cpp's converter mixes them.

        Examples:
          ephemeral models fit Llama-3.1-8B-Instruct --context 8192
          ephemeral models fit model-a/ model-b/ --memory 6G --memory 24G --threads 8
        """)
    @Argument(help: "Folders with a decoder's config.json.", completion: .directory)
    var folders: [String]
    @Option(help: ArgumentHelp("Tokens of a sequence (default: the model's own context).", valueName: "tokens"))
    var context: Int?
    @Option(
      help: ArgumentHelp("Memory of the enclave, such as 24G: once for each (default: 4G to 96G).", valueName: "size"))
    var memory: [String] = []
    @Option(help: ArgumentHelp("Processors of the enclave.", valueName: "count"))
    var threads = 4
    @Flag(help: "One JSON object a line on standard output.")
    var json = false

    func run() throws {
      let screen = Screen(json: json)
      let sizes = try ModelsCommand.sizes(memory.isEmpty ? ["4G", "6G", "12G", "24G", "48G", "96G"] : memory)
      guard (1...1024).contains(threads) else {
        throw ClientError(.usage, "an enclave has 1 to 1024 processors", remedy: "mend --threads")
      }
      screen.out(
        "| model | context | in | weights | a token | "
          + sizes.map { "\($0.0)" }.joined(separator: " | ") + " |")
      screen.out("|---|---|---|---|---|" + String(repeating: "---|", count: sizes.count))
      for folder in folders { try show(folder, sizes, screen) }
    }

    private func show(_ folder: String, _ sizes: [(text: String, bytes: UInt64)], _ screen: Screen) throws {
      let path = folder.count > 1 && folder.hasSuffix("/") ? String(folder.dropLast()) : folder
      let shape = try DecoderShape(folder: path, contextLength: context)
      let name = path.split(separator: "/").last.map(String.init) ?? path
      for way in shape.ways {
        let fits = sizes.map { DecoderFit(way.footprint, enclaveBytes: $0.bytes, threads: threads).sequences }
        screen.out(
          "| \(Shown.printable(name)) | \(Shown.number(UInt64(way.footprint.contextLength))) | \(way.name) | \(Shown.bytes(way.footprint.weightBytes)) | \(Shown.bytes(way.footprint.cacheBytesPerToken)) | "
            + fits.map { $0 == 0 ? "–" : "\($0)" }.joined(separator: " | ") + " |")
        screen.line(
          .object([
            ("event", .text("fit")), ("model", .text(name)), ("in", .text(way.name)),
            ("context", .unsigned(UInt64(way.footprint.contextLength))),
            ("weight_bytes", .unsigned(way.footprint.weightBytes)),
            ("cache_bytes_per_token", .unsigned(way.footprint.cacheBytesPerToken)),
            (
              "sequences",
              .array(
                zip(sizes, fits).map { size, fit in
                  .object([("memory_bytes", .unsigned(size.bytes)), ("sequences", .unsigned(UInt64(fit)))])
                })
            ),
          ]))
      }
    }
  }
}
