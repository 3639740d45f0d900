import ArgumentParser
import Client
import Inference
import Wire

extension ModelsCommand {
  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say what a model folder is, how it would run, and why it is refused.",
      discussion: """
        Nothing is uploaded and no key is needed. The folder is judged by the code that a worker judges it by: every
        setting, the header and each weight of the weight files; then one short text is computed in each precision. A
        folder with one GGUF file is a model, too.
        The exit code is 0 for a model that can be published, 21 for one that is refused, with file, part and reason,
        and 10 where there is no folder.

        Examples:
          ephemeral models verify all-MiniLM-L6-v2
          ephemeral models verify reranker/ --headers-only --json
          ephemeral models verify Llama-3.1-8B-Instruct-Q4_K_M/ --memory 12G --memory 24G
        """)
    @Argument(help: "The model's folder.", completion: .directory)
    var folder: String
    @Flag(help: "Read the headers of the weight files alone.")
    var headersOnly = false
    @Option(
      help: ArgumentHelp(
        "Memory of an enclave, such as 24G: says what a model that continues texts does with it. Once for each.",
        valueName: "size"))
    var memory: [String] = []
    @Flag(help: "One JSON object a line on standard output.")
    var json = false

    func run() throws {
      let sizes = try ModelsCommand.sizes(memory)
      let path = folder.count > 1 && folder.hasSuffix("/") ? String(folder.dropLast()) : folder
      let screen = Screen(json: json)
      if let decoder = try DecoderExamination(folder: path, readsWeights: !headersOnly) {
        return DecoderReport(decoder, sizes).write(to: screen)
      }
      let examined = try ModelExamination(folder: path, readsWeights: !headersOnly)
      let (model, config) = (examined.description, examined.config)
      let weights = model.parts.filter { $0.role == .weights }
      let weightBytes = weights.reduce(UInt64(0)) { $0 + UInt64($1.size) }
      func say(_ name: String, _ text: String) {
        screen.out(Screen.padded(name, 15) + Shown.printable(text, limit: 500))
      }
      say(
        "architecture",
        "\(model.architecture): \(config.layers) layers of width \(config.hiddenSize), \(config.heads) heads of \(config.headWidth), inside \(config.intermediateSize)"
      )
      say("computes", "\(model.operations.joined(separator: ", ")): \(Self.output(config))")
      say("reads", "\(model.maximumTokens) tokens at most")
      if !config.prompts.texts.isEmpty { say("prompts", Self.prompts(config.prompts)) }
      say(
        "weights",
        "\(model.format) \(model.elementTypes.joined(separator: ", ")), \(Shown.number(UInt64(model.parameters))) numbers, \(Shown.bytes(weightBytes)) in \(Shown.count(UInt64(weights.count), "file"))"
      )
      for run in examined.runs {
        let (held, each) = (run.footprint.weightBytes, run.footprint.activationBytesPerThread)
        let near = run.precision == .fp32 ? "" : run.nearness.map(Self.shown) ?? ""
        say(run.precision.rawValue, "\(Shown.bytes(held)) of weights, \(Shown.bytes(each)) more for each thread\(near)")
      }
      say("loading", "takes the weight files' \(Shown.bytes(weightBytes)) beside")
      say("policy", "must permit format \(model.format) and types \(model.elementTypes.joined(separator: ", "))")
      for part in model.parts {
        say(part.role == .weights ? "sealed" : "in clear", "\(part.name), \(Shown.bytes(UInt64(part.size)))")
      }
      screen.line(Self.line(examined, weightBytes))
    }

    private static func output(_ config: ModelConfig) -> String {
      switch config.output {
      case .embedding(let embedding):
        let dense = embedding.dense == nil ? "" : ", a dense layer"
        let length = embedding.normalizes ? ", length one" : ""
        return "\(config.dimensions) floats, \(embedding.pooling.rawValue) pooling\(dense)\(length)"
      case .classification(let head):
        let names = head.labels.prefix(5).joined(separator: ", ") + (head.labels.count > 5 ? ", …" : "")
        return "\(Shown.count(UInt64(head.labels.count), "label")) (\(names)), \(head.function.rawValue)"
      }
    }

    private static func shown(_ nearness: ModelExamination.Nearness) -> String {
      switch nearness {
      case .cosine(let cosine): "; one text's cosine to fp32 \(cosine)"
      case .difference(let difference): "; one text's scores are within \(difference) of fp32's"
      }
    }

    private static func prompts(_ prompts: Prompts) -> String {
      prompts.texts.keys.sorted().map { $0 == prompts.defaultName ? "\($0) (unless another is asked for)" : $0 }
        .joined(separator: ", ")
    }

    private static func line(_ examined: ModelExamination, _ weightBytes: UInt64) -> JSONLine {
      let model = examined.description
      return .object([
        ("event", .text("verified")), ("architecture", .text(model.architecture)), ("format", .text(model.format)),
        ("dtypes", .array(model.elementTypes.map { .text($0) })),
        ("operations", .array(model.operations.map { .text($0) })), ("dimensions", .unsigned(UInt64(model.dimensions))),
        ("maximum_tokens", .unsigned(UInt64(model.maximumTokens))), ("layers", .unsigned(UInt64(model.layers))),
        ("parameters", .unsigned(UInt64(model.parameters))), ("weight_file_bytes", .unsigned(weightBytes)),
        ("prompts", .array(examined.config.prompts.texts.keys.sorted().map { .text($0) })),
        (
          "precisions",
          .array(
            examined.runs.map { run in
              .object([
                ("precision", .text(run.precision.rawValue)), ("weight_bytes", .unsigned(run.footprint.weightBytes)),
                ("activation_bytes_per_thread", .unsigned(run.footprint.activationBytesPerThread)),
              ])
            })
        ),
        ("files", .array(model.parts.map { .text($0.name) })),
      ])
    }
  }
}
