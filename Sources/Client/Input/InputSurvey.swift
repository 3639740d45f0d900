import Crypto
import Inference
import SealedCrypto
import Wire

/// Why one piece of input cannot be computed. Names the place, the code and the parameter, never the text.
package struct InputProblem: Sendable, Equatable, CustomStringConvertible {
  package let place: InputPlace
  /// As in ``InputLineError``.
  package let code: String
  /// The member at fault, such as `body.input`.
  package let param: String?
  package let message: String

  package var description: String { "\(place): \(param.map { "\($0) " } ?? "")\(message) [\(code)]" }
}

/// What the first pass over an input found, and all that the second pass needs to seal exactly that.
package struct InputSurvey: Sendable {
  package internal(set) var format = InputFormat.idText
  /// Items that can be computed.
  package internal(set) var items: UInt64 = 0
  /// Bytes of their lines, newlines counted.
  package internal(set) var bytes: UInt64 = 0
  /// SHA-256 over those bytes.
  package internal(set) var sha256 = SHA256.digest(of: [])
  /// Every problem up to ``InputSurveyor/problemLimit``, in input order.
  package internal(set) var problems: [InputProblem] = []
  /// All problems, also those beyond the limit.
  package internal(set) var problemCount: UInt64 = 0
  /// What the origin left out.
  package internal(set) var skipped = SkippedInput()
  /// Tokens in all; nil where the model's tokenizer is not public.
  package internal(set) var tokens: UInt64?
  /// Items longer than the model reads, whose end will be cut off.
  package internal(set) var truncated: UInt64 = 0
  /// The first items that will be cut.
  package internal(set) var truncatedPlaces: [InputPlace] = []
  /// Pieces by position that the second pass leaves out.
  var refused: Set<UInt64> = []
}

/// What counts the tokens of lines before anything is sealed.
package enum SurveyTokenizer: Sendable {
  case texts(ItemTokenizer)
  /// Of a model that continues texts, with the job's time, of which its template may tell.
  case prompts(PromptEncoder, secondsSince1970: Int64)
}

/// The first pass: judges every piece, digests the lines that the job will have, and counts tokens.
///
/// Memory: one line, and 16 bytes for each id seen.
package struct InputSurveyor {
  /// Problems that are kept word by word.
  package static let problemLimit = 1000

  private let tokenizer: SurveyTokenizer?
  private let plan: LinePlan
  private let prompt: String?
  private let dimensions: Int?
  private let maximumItems: UInt64
  private let maximumBytes: UInt64

  /// - Parameters:
  ///   - tokenizer: the model's, where it stands in clear beside the manifest.
  ///   - plan: what is to be computed, of which lines.
  ///   - prompt: the name of the model's prompt; nil for its default.
  ///   - dimensions: length of the model's embeddings.
  ///   - maximumItems: the policy's bounds.
  package init(
    tokenizer: SurveyTokenizer?, plan: LinePlan = LinePlan(), prompt: String? = nil, dimensions: Int?,
    maximumItems: UInt64, maximumBytes: UInt64
  ) {
    self.tokenizer = tokenizer
    self.plan = plan
    self.prompt = prompt
    self.dimensions = dimensions
    self.maximumItems = min(maximumItems, UInt64(Limits.itemsPerJob))
    self.maximumBytes = min(maximumBytes, Limits.inputBytes)
  }

  /// Reads the whole input once.
  ///
  /// - Parameter progress: called now and then with the number of pieces read.
  /// - Throws: ``ClientError`` when the input cannot be read, or is over the policy's bounds as a whole.
  package func survey(_ origin: any InputOrigin, progress: (UInt64) -> Void = { _ in }) throws -> InputSurvey {
    var survey = InputSurvey()
    survey.tokens = tokenizer == nil ? nil : 0
    var hasher = SHA256()
    var lines = CanonicalLines(origin.kind, plan)
    // Schemas are compiled without a vocabulary, to see whether they can be.
    var constraints = ConstraintCache(prefixes: TokenPrefixes(TokenBytes([])))
    var seen: [ShortDigest: InputPlace] = [:]
    var position: UInt64 = 0
    survey.skipped = try origin.forEach { piece in
      defer { position += 1 }
      if position.isMultiple(of: 256) { progress(position) }
      do throws(InputLineError) {
        let line = try lines.line(piece, position: position)
        let tokens = try check(line.item, &constraints)
        if let first = seen[ShortDigest(line.item.id)] {
          throw InputLineError(
            code: .duplicateID, message: "the id stands at \(first) already", param: lines.idParameter,
            line: line.item.line)
        }
        seen[ShortDigest(line.item.id)] = piece.place
        count(tokens, piece.place, &survey)
        hasher.update(data: line.bytes + [0x0A])
        survey.items += 1
        survey.bytes += UInt64(line.bytes.count) + 1
      } catch {
        survey.refused.insert(position)
        survey.problemCount += 1
        if survey.problems.count < Self.problemLimit {
          survey.problems.append(
            InputProblem(place: piece.place, code: error.code.rawValue, param: error.param, message: error.message))
        }
      }
      try checkBounds(survey)
    }
    progress(position)
    survey.format = lines.format ?? .idText
    survey.sha256 = hasher.value()
    return survey
  }

  /// Refuses what cannot be computed, and counts tokens where the tokenizer is known.
  private func check(
    _ item: LineItem, _ constraints: inout ConstraintCache
  ) throws(InputLineError) -> (count: Int, truncated: Bool)? {
    switch item {
    case .input(let item):
      try item.check(plan.operation)
      try item.check(dimensions: dimensions ?? item.dimensions ?? 0)
      guard case .texts(let tokenizer) = tokenizer else { return nil }
      let tokens = tokenizer.tokenize(item.text, pair: item.pair, prompt: prompt)
      return (tokens.ids.count, tokens.truncated)
    case .generation(let item):
      _ = try constraints.constraint(for: item)
      guard case .prompts(let encoder, let secondsSince1970) = tokenizer else { return nil }
      let tokens = try encoder.tokens(of: item, secondsSince1970: secondsSince1970)
      guard tokens.count < encoder.contextLength else {
        let failure = GenerationFailure.promptTooLong(tokens: tokens.count, limit: encoder.contextLength)
        throw InputLineError(
          code: .contextLengthExceeded, message: failure.description, line: item.line, id: item.id)
      }
      return (tokens.count, false)
    }
  }

  private func count(_ tokens: (count: Int, truncated: Bool)?, _ place: InputPlace, _ survey: inout InputSurvey) {
    guard let tokens else { return }
    survey.tokens = (survey.tokens ?? 0) + UInt64(tokens.count)
    guard tokens.truncated else { return }
    survey.truncated += 1
    if survey.truncatedPlaces.count < 20 { survey.truncatedPlaces.append(place) }
  }

  private func checkBounds(_ survey: InputSurvey) throws {
    guard survey.items <= maximumItems else {
      throw ClientError(
        .input, "more than \(maximumItems) items, which the policy does not allow", remedy: "split the input")
    }
    guard survey.bytes <= maximumBytes else {
      throw ClientError(
        .input, "more than \(maximumBytes) bytes, which the policy does not allow", remedy: "split the input")
    }
  }
}

/// The second pass: writes exactly the lines that the survey digested.
package struct InputEmitter {
  /// Writes every line with its newline.
  ///
  /// - Throws: ``ClientError`` of kind `input` when the input is not what it was in the first pass; what was written so
  ///   far must not be used then.
  package static func emit(
    _ origin: any InputOrigin, _ survey: InputSurvey, _ plan: LinePlan = LinePlan(), to sink: any ByteSink
  ) throws {
    var hasher = SHA256()
    var lines = CanonicalLines(origin.kind, plan)
    var position: UInt64 = 0
    let changed = ClientError(
      .input, "\(origin.name) changed while it was read", remedy: "submit again when nobody is writing to it")
    _ = try origin.forEach { piece in
      defer { position += 1 }
      guard !survey.refused.contains(position) else { return }
      guard let line = try? lines.line(piece, position: position) else { throw changed }
      let bytes = line.bytes + [0x0A]
      hasher.update(data: bytes)
      try sink.write(bytes)
    }
    guard hasher.value() == survey.sha256 else { throw changed }
  }
}

/// The first half of an id's SHA-256: two ids that share it cannot be found on purpose or by chance.
private struct ShortDigest: Hashable {
  private let high: UInt64
  private let low: UInt64

  init(_ id: String) {
    let bytes = SHA256.digest(of: id.utf8).bytes
    high = bytes[0..<8].reduce(0) { $0 << 8 | UInt64($1) }
    low = bytes[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
  }
}
