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

/// The first pass: judges every piece, digests the lines that the job will have, and counts tokens.
///
/// Memory: one line, and 16 bytes for each id seen.
package struct InputSurveyor {
  /// Problems that are kept word by word.
  package static let problemLimit = 1000

  private let tokenizer: ItemTokenizer?
  private let operation: ModelOperation
  private let prompt: String?
  private let dimensions: Int?
  private let maximumItems: UInt64
  private let maximumBytes: UInt64

  /// - Parameters:
  ///   - tokenizer: the model's, where it stands in clear beside the manifest.
  ///   - operation: what is to be computed.
  ///   - prompt: the name of the model's prompt; nil for its default.
  ///   - dimensions: length of the model's embeddings.
  ///   - maximumItems: the policy's bounds.
  package init(
    tokenizer: ItemTokenizer?, operation: ModelOperation = .embed, prompt: String? = nil, dimensions: Int?,
    maximumItems: UInt64, maximumBytes: UInt64
  ) {
    self.tokenizer = tokenizer
    self.operation = operation
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
    var lines = CanonicalLines(origin.kind)
    var seen: [ShortDigest: InputPlace] = [:]
    var position: UInt64 = 0
    survey.skipped = try origin.forEach { piece in
      defer { position += 1 }
      if position.isMultiple(of: 256) { progress(position) }
      do throws(InputLineError) {
        let line = try lines.line(piece, position: position)
        try line.item.check(operation)
        try line.item.check(dimensions: dimensions ?? line.item.dimensions ?? 0)
        if let first = seen[ShortDigest(line.item.id)] {
          throw InputLineError(
            code: .duplicateID, message: "the id stands at \(first) already", param: lines.idParameter,
            line: line.item.line)
        }
        seen[ShortDigest(line.item.id)] = piece.place
        count(line.item, piece.place, &survey)
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

  private func count(_ item: InputItem, _ place: InputPlace, _ survey: inout InputSurvey) {
    guard let tokenizer else { return }
    let tokens = tokenizer.tokenize(item.text, pair: item.pair, prompt: prompt)
    survey.tokens = (survey.tokens ?? 0) + UInt64(tokens.ids.count)
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
  package static func emit(_ origin: any InputOrigin, _ survey: InputSurvey, to sink: any ByteSink) throws {
    var hasher = SHA256()
    var lines = CanonicalLines(origin.kind)
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

/// The job's lines of an input's pieces, the same in both passes.
struct CanonicalLines {
  private let kind: InputKind
  /// Known after the first piece that tells.
  private(set) var format: InputFormat?

  init(_ kind: InputKind) {
    self.kind = kind
    format = kind == .textFiles ? .idText : nil
  }

  /// Which member holds the id.
  var idParameter: String? { kind == .textFiles ? nil : format == .openAI ? "custom_id" : "id" }

  /// The line that a piece becomes, and what it says.
  mutating func line(_ piece: InputPiece, position: UInt64) throws(InputLineError) -> (bytes: [UInt8], item: InputItem)
  {
    let number = Int(clamping: position + 1)
    guard let bytes = piece.bytes else { throw Self.tooLong(number) }
    switch piece.place {
    case .file(let path):
      let line = InputItem.idTextLine(id: path, text: String(decoding: bytes, as: UTF8.self))
      guard line.count <= LineLimits.lineBytes else { throw Self.tooLong(number) }
      return (line, try InputItem(parsing: line, line: number, format: .idText))
    case .line(let lineNumber):
      let lineFormat: LineFormat
      switch format {
      case .openAI: lineFormat = .openAI
      case .idText: lineFormat = .idText
      case nil: lineFormat = try LineFormat.detect(firstLine: bytes)
      }
      format = lineFormat == .openAI ? .openAI : .idText
      return (bytes, try InputItem(parsing: bytes, line: lineNumber, format: lineFormat))
    }
  }

  private static func tooLong(_ number: Int) -> InputLineError {
    InputLineError(code: .lineTooLong, message: "longer than \(LineLimits.lineBytes) bytes", line: number)
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
