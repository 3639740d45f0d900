/// Makes result lines of input lines with a model that continues texts: what the enclave does for a job, and an auditor
/// again. The same lines give the same bytes on every machine, in any company.
///
/// The lines of a whole job go through one generator, so that a text which has ended makes room for the next at once.
/// Results come in the lines' order all the same: those that are done early wait, within bounds.
///
/// Not for several callers at once.
package final class GenerationComputer {
  /// What holds for all lines of a job.
  package struct Settings: Sendable {
    /// Of what is drawn, for lines that do not say one.
    package var seed: UInt64
    /// Tokens of an output at most, for lines that do not say so.
    package var maximumTokens: Int
    /// The job's time: stands in the answers, and is the day of which templates tell.
    package var secondsSince1970: Int64
    /// How much is computed at once. None of it changes a result.
    package var limits: BatchGenerator.Limits
    /// At most so many; 0 takes the processors that there are.
    package var threads = 0

    /// - Parameters:
    ///   - maximumTokens: as the job says; nil for ``defaultMaximumTokens``.
    ///   - createdMs: when the job was made, in milliseconds since 1970.
    package init(seed: UInt64, maximumTokens: Int?, createdMs: UInt64, limits: BatchGenerator.Limits) {
      (self.seed, self.maximumTokens) = (seed, maximumTokens ?? Self.defaultMaximumTokens)
      secondsSince1970 = Int64(createdMs / 1000)
      self.limits = limits
    }

    /// Tokens of an output where neither the line nor the job says how many.
    package static let defaultMaximumTokens = 1024
  }

  /// A line of the input and its place among the items.
  package typealias Line = (index: Int, line: LineSplitter.Line)

  /// Lines that may be read beyond the first one without a result, and bytes that their results may have.
  private static let aheadLimit = 512
  private static let aheadBytes = 32 << 20

  private let encoder: PromptEncoder
  private let name: String
  private let settings: Settings
  private let generator: BatchGenerator
  private var constraints: ConstraintCache
  /// Items at work by their numbers as requests; `place` counts all lines of a run.
  private var atWork: [Int: (place: Int, index: Int, id: String, isChat: Bool, schema: ObjectIdentifier?)] = [:]
  /// The last of them, until it may begin.
  private var held: GenerationRequest?
  private var requests = 0
  /// Results by place, which wait for those before them.
  private var waiting: [Int: LineComputer.Result] = [:]
  private var waitingBytes = 0
  /// Lines read, and results given away.
  private var (read, given) = (0, 0)

  /// - Parameters:
  ///   - name: what the lines call the model.
  /// - Throws: `ModelError` for control tokens that cannot be told from a text.
  package init(model: GenerationModel, name: String, settings: Settings) throws(ModelError) {
    encoder = try PromptEncoder(
      tokenizer: model.tokenizer, conversations: model.conversations, config: model.config)
    (self.name, self.settings) = (name, settings)
    generator = model.generator(settings.limits, threads: settings.threads)
    constraints = ConstraintCache(prefixes: TokenPrefixes(model.decoder.bytes))
  }

  /// Computes all lines.
  ///
  /// - Parameters:
  ///   - next: gives the lines; nil at the end.
  ///   - finish: takes the results, in the same order, and may take them apart: nobody else holds them.
  ///   - afterStep: called after each pass over the model. Where a closure throws, nothing more is computed.
  /// - Throws: what the closures throw.
  package func run(
    next: () throws -> Line?, finish: (inout LineComputer.Result) throws -> Void, afterStep: () throws -> Void
  ) rethrows {
    defer { reset() }
    try generator.run(
      next: {
        while read - given < Self.aheadLimit, waitingBytes < Self.aheadBytes {
          if let request = held {
            if waitsForSchema(requests - 1) { return .later }
            held = nil
            return .request(request)
          }
          guard let line = try next() else { return .over }
          defer { read += 1 }
          held = request(line, place: read)
          if held == nil { try give(finish) }
        }
        return .later
      },
      finish: { number, result in
        take(number, result)
        try give(finish)
      }, afterStep: afterStep)
  }

  /// The results of some lines, in their order.
  package func compute(_ lines: [Line]) -> [LineComputer.Result] {
    var (rest, results) = (lines[...], [LineComputer.Result]())
    run {
      rest.popFirst()
    } finish: { result in
      results.append(result)
    } afterStep: {
    }
    return results
  }

  /// Wipes what is left of texts in memory: call it between jobs.
  package func wipe() { generator.wipe() }

  private func reset() {
    (atWork, waiting, waitingBytes, requests, read, given, held) = ([:], [:], 0, 0, 0, 0, nil)
  }

  /// Whether a request's schema is one too many: what is found out about each may take megabytes, and a line may bring
  /// its own.
  private func waitsForSchema(_ number: Int) -> Bool {
    guard let schema = atWork[number]?.schema else { return false }
    let others = Set(atWork.lazy.filter { $0.key != number }.compactMap(\.value.schema))
    return others.count >= ConstraintCache.limit && !others.contains(schema)
  }

  /// What is asked of the generator; nil for a line that is answered by its fault.
  private func request(_ input: Line, place: Int) -> GenerationRequest? {
    do throws(InputLineError) {
      let item = try GenerationItem(input.line)
      let prompt = try encoder.tokens(of: item, secondsSince1970: settings.secondsSince1970)
      let constraint = try constraints.constraint(for: item)
      let isChat = if case .messages = item.prompt { true } else { false }
      atWork[requests] = (place, input.index, item.id, isChat, constraint?.schema)
      requests += 1
      return GenerationRequest(
        prompt: prompt, item: item.id,
        sampling: item.settings(seed: settings.seed, maximumTokens: settings.maximumTokens), constraint: constraint)
    } catch {
      put(place, failed(.init(index: input.index, error)))
      return nil
    }
  }

  private func take(_ number: Int, _ result: Result<Generation, GenerationFailure>) {
    guard let item = atWork.removeValue(forKey: number) else { return }
    switch result {
    case .success(let made):
      let line = OutputLine.CompletionLine(
        index: item.index, customID: item.id, model: name, isChat: item.isChat, text: made.text, finish: made.finish,
        promptTokens: made.promptTokens, outputTokens: made.outputTokens, created: settings.secondsSince1970)
      // A text may end by itself and be cut all the same, where its line would be too long.
      let written = line.written()
      put(
        item.place,
        .init(
          isComputed: true, line: written.bytes, tokens: made.promptTokens + made.outputTokens,
          truncated: written.finish == .length))
    case .failure(let failure):
      put(
        item.place,
        failed(
          .init(index: item.index, customID: item.id, code: failure.code, message: failure.description)))
    }
  }

  private func failed(_ error: OutputLine.ErrorLine) -> LineComputer.Result {
    LineComputer.Result(isComputed: false, line: error.encoded(), tokens: 0, truncated: false)
  }

  private func put(_ place: Int, _ result: LineComputer.Result) {
    waiting[place] = result
    waitingBytes += result.line.count
  }

  /// Gives away the results whose turn it is.
  private func give(_ finish: (inout LineComputer.Result) throws -> Void) rethrows {
    while var result = waiting.removeValue(forKey: given) {
      given += 1
      waitingBytes -= result.line.count
      try finish(&result)
    }
  }
}

extension GenerationFailure {
  /// What a caller may branch on; the field's own words where it has some.
  var code: String {
    switch self {
    case .badSettings, .badPrompt: InputLineError.Code.invalidValue.rawValue
    case .promptTooLong: InputLineError.Code.contextLengthExceeded.rawValue
    case .doesNotFit: "memory_exceeded"
    case .notFinite: "not_computed"
    }
  }
}
