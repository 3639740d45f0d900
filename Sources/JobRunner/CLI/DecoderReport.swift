import Client
import Inference

/// What `models verify` says of a model that continues texts.
struct DecoderReport {
  private let examined: DecoderExamination
  private var model: ModelDescription { examined.description }
  private var config: DecoderConfig { examined.config }
  /// Threads whose memory is counted.
  private static let threads = 4

  private let sizes: [(text: String, bytes: UInt64)]

  /// - Parameter sizes: of enclaves that it is to tell of.
  init(_ examined: DecoderExamination, _ sizes: [(text: String, bytes: UInt64)]) {
    (self.examined, self.sizes) = (examined, sizes)
  }

  func write(to screen: Screen) {
    func say(_ name: String, _ text: String) {
      screen.out(Screen.padded(name, 15) + Shown.printable(text, limit: 500))
    }
    let weights = model.parts.filter { $0.role == .weights }
    let fileBytes = weights.reduce(UInt64(0)) { $0 + UInt64($1.size) }
    say(
      "architecture",
      "\(model.architecture): \(config.layers) layers of width \(config.hiddenSize), \(config.heads) heads of \(config.headWidth) over \(config.keyValueHeads) of keys, inside \(config.intermediateSize)"
    )
    say("computes", "generate: \(conversations)")
    say("reads", "\(Shown.number(UInt64(model.maximumTokens))) tokens at most, prompt and output together")
    say(
      "weights",
      "\(model.format) \(model.elementTypes.joined(separator: ", ")), \(Shown.number(UInt64(model.parameters))) numbers, \(Shown.bytes(fileBytes)) in \(Shown.count(UInt64(weights.count), "file"))"
    )
    for run in examined.runs {
      let own = model.format == "gguf" ? " in the file's own numbers" : ""
      say(
        run.precision.rawValue,
        "\(Shown.bytes(run.footprint.weightBytes)) of weights\(own), \(Shown.bytes(run.footprint.cacheBytesPerToken)) more for each token of a sequence\(Self.shown(run.look))"
      )
      say("", Self.passes(run.footprint))
      for (text, bytes) in sizes {
        let fit = DecoderFit(run.footprint, enclaveBytes: bytes, threads: Self.threads)
        say("", "in an enclave of \(text): \(Self.shown(fit, run.footprint))")
      }
    }
    say("loading", "packs the weights as they arrive: memory for at most a tenth more")
    say("policy", "must permit format \(model.format) and types \(model.elementTypes.joined(separator: ", "))")
    for part in model.parts {
      say(part.role == .weights ? "sealed" : "in clear", "\(part.name), \(Shown.bytes(UInt64(part.size)))")
    }
    screen.line(line(fileBytes))
  }

  private var conversations: String {
    if let refusal = examined.conversations.refusal {
      return "completions only; conversations are refused, since its template cannot be read: \(refusal)"
    }
    return examined.conversations.files == nil
      ? "completions only; it has no chat template" : "completions, and conversations by its own template"
  }

  private static func passes(_ footprint: DecoderFootprint) -> String {
    let passes = DecoderRoom.passBytes(footprint, threads: threads)
    let least = DecoderFit.leastEnclaveBytes(footprint, threads: threads)
    return
      "up to \(Shown.bytes(passes)) for passes on \(threads) threads; one sequence of the whole context needs an enclave of \(gibibytes(least))"
  }

  private static func shown(_ fit: DecoderFit, _ footprint: DecoderFootprint) -> String {
    guard fit.sequences > 0 else { return "it does not fit with one sequence of the whole context" }
    return
      "\(Shown.number(UInt64(fit.tokens))) tokens at once, \(Shown.count(UInt64(fit.sequences), "sequence")) of the whole context"
  }

  private static func shown(_ look: DecoderExamination.Look) -> String {
    switch look {
    case .none, .reference: ""
    case .noMemory(let available): "; not computed, since this machine has \(Shown.bytes(available)) free"
    case .cosine(let cosine, let precision): "; one text's logits have a cosine of \(cosine) to \(precision.rawValue)"
    }
  }

  static func gibibytes(_ bytes: UInt64) -> String {
    let tenths = (bytes * 10 + 1 << 30 - 1) >> 30
    return "\(tenths / 10).\(tenths % 10) GiB"
  }

  private func line(_ fileBytes: UInt64) -> JSONLine {
    .object([
      ("event", .text("verified")), ("architecture", .text(model.architecture)), ("format", .text(model.format)),
      ("dtypes", .array(model.elementTypes.map { .text($0) })),
      ("operations", .array(model.operations.map { .text($0) })), ("dimensions", .unsigned(0)),
      ("maximum_tokens", .unsigned(UInt64(model.maximumTokens))), ("layers", .unsigned(UInt64(model.layers))),
      ("parameters", .unsigned(UInt64(model.parameters))), ("weight_file_bytes", .unsigned(fileBytes)),
      ("conversations", .bool(examined.conversations.files != nil)),
      (
        "precisions",
        .array(
          examined.runs.map { run in
            .object([
              ("precision", .text(run.precision.rawValue)), ("weight_bytes", .unsigned(run.footprint.weightBytes)),
              ("cache_bytes_per_token", .unsigned(run.footprint.cacheBytesPerToken)),
              (
                "least_enclave_bytes",
                .unsigned(DecoderFit.leastEnclaveBytes(run.footprint, threads: Self.threads))
              ),
            ])
          })
      ),
      ("files", .array(model.parts.map { .text($0.name) })),
    ])
  }
}
