import Crypto
import Inference
import SealedCrypto
import Wire

/// What computing a job again came to.
package struct Reproduction: Sendable, Equatable {
  /// An item that came out otherwise than the receipt binds it.
  package struct Difference: Sendable, Equatable {
    /// The item's place in the input, from 0.
    package let index: UInt64
    /// The item's id; nil where its line told none.
    package let id: String?
    /// What differs, in words.
    package let what: String
  }

  /// Items that the receipt binds, all of them computed again.
  package fileprivate(set) var items: UInt64 = 0
  /// The first ones.
  package fileprivate(set) var differences: [Difference] = []
  /// All of them.
  package fileprivate(set) var differingCount: UInt64 = 0
  /// What was computed in.
  package let precision: Precision

  /// Differences that are kept one by one.
  package static let differenceLimit = 20
}

/// Computes a job again from the submitted input and the model's folder, and holds every line to the one that the
/// receipt's Merkle root binds. Memory: one window of items, and the model.
package struct ResultReproducer {
  /// Items computed together: texts are the faster the more there are.
  private static let (windowItems, textWindowItems) = (64, 512)
  private static let windowBytes = 4 << 20

  private let results: OpenedResults
  /// What the receipt says that was computed in.
  package let precision: Precision

  /// - Parameters:
  ///   - results: opened and held to the receipt's root.
  ///   - receipt: verified.
  /// - Throws: ``ClientError`` of kind `jobFailed` for a job that ended before anything was computed, `usage` for a
  ///   precision that this program does not compute in.
  package init(_ results: OpenedResults, receipt: ReceiptClaims) throws {
    let isEmpty = receipt.outcome == .completed && results.manifest.claims.inputItems == 0
    guard results.recomputed.count > 0 || isEmpty else {
      throw ClientError(
        .jobFailed,
        "the job ended \(receipt.outcome.rawValue) before an item was computed: there is nothing to compare",
        remedy: "`ephemeral results get` says why it ended so")
    }
    let word = receipt.job?.precision ?? ""
    guard let precision = Precision(rawValue: word) else {
      throw ClientError(
        .usage, "this program does not compute in \(word.prefix(16))", remedy: "use a newer one")
    }
    self.results = results
    self.precision = precision
  }

  /// Computes every item again.
  ///
  /// - Parameters:
  ///   - input: what was submitted; lines that no item is made of are passed over.
  ///   - model: loaded by ``model(_:folder:texts:)``.
  ///   - name: the model's in its manifest, which the lines repeat.
  ///   - task: what was asked about each document, where lines were made of them.
  ///   - progress: items so far.
  /// - Throws: ``ClientError`` of kind `notFound` for an input that lacks an item, `rejected` where the model does
  ///   something else than the manifest asks for.
  package func reproduce(
    _ input: any InputOrigin, with model: JobModel, named name: String, task: DocumentTask? = nil,
    progress: (UInt64) -> Void = { _ in }
  ) throws -> Reproduction {
    let claims = results.manifest.claims
    guard model.operation.rawValue == claims.operation else {
      throw ClientError(
        .rejected, "the manifest asks to \(claims.operation.prefix(16)), which this model does not",
        remedy: "keep the receipt and ask", by: .operator_)
    }
    let compute = try computer(model, name)
    let windowItems = model.operation == .generate ? Self.textWindowItems : Self.windowItems
    var found = Reproduction(precision: precision)
    var window: [Expected] = []
    var windowBytes = 0
    func computeWindow() {
      let lines = window.map { (index: Int(clamping: $0.record.index), line: $0.input) }
      for (expected, result) in zip(window, compute(lines)) {
        found.items += 1
        guard let what = Self.difference(expected, result) else { continue }
        found.differingCount += 1
        guard found.differences.count < Reproduction.differenceLimit else { continue }
        let id = try? OutputLine(parsing: expected.line).customID
        found.differences.append(.init(index: expected.record.index, id: id, what: what))
      }
      window.removeAll(keepingCapacity: true)
      windowBytes = 0
      progress(found.items)
    }

    let items = try results.openItems()
    var next = try items.next()
    var plan = CanonicalLines(input.kind, LinePlan(operation: model.operation, task: task, model: name))
    var position: UInt64 = 0
    // Numbers the lines as the enclave did, since an error names its line.
    var splitter = LineSplitter(limit: Limits.inputLineBytes)
    _ = try input.forEach { piece in
      defer { position += 1 }
      // What was left out when it was submitted has no record, and is no line of the sealed input.
      guard let item = next, let bytes = Self.line(piece, position, &plan),
        SHA256.digest(of: bytes) == item.record.input
      else { return }
      for line in splitter.feed(bytes + [UInt8(ascii: "\n")]) {
        window.append(Expected(record: item.record, line: item.line, input: line))
      }
      windowBytes += bytes.count
      next = try items.next()
      if window.count >= windowItems || windowBytes >= Self.windowBytes { computeWindow() }
    }
    computeWindow()
    if let missing = next {
      let id = (try? OutputLine(parsing: missing.line).customID).map { " (\($0.prefix(80)))" } ?? ""
      throw ClientError(
        .notFound, "\(input.name) does not hold item \(missing.record.index)\(id) as it was submitted",
        remedy: "name the folder or file that was submitted, unchanged" + DocumentTask.reminder(model.operation))
    }
    return found
  }

  private struct Expected {
    let record: ItemRecord
    /// What the receipt binds.
    let line: [UInt8]
    let input: LineSplitter.Line
  }

  /// What computes lines as the enclave did.
  private func computer(
    _ model: JobModel, _ name: String
  ) throws -> ([GenerationComputer.Line]) -> [LineComputer.Result] {
    let claims = results.manifest.claims
    switch model {
    case .encoder(let model):
      return LineComputer(
        model: model, name: name, format: claims.inputFormat == .openAI ? .openAI : .idText,
        writesFloats: claims.encoding == "float", prompt: claims.prompt
      ).compute
    case .decoder(let model):
      let computer = try GenerationComputer(
        model: model, name: name,
        settings: GenerationComputer.Settings(
          seed: claims.seed, maximumTokens: claims.maximumOutputTokens.map { Int($0) },
          createdMs: claims.createdMs, limits: Self.limits(for: model)))
      return computer.compute
    }
  }

  /// Memory for keys and values: several sequences, and one of the whole context in any case.
  private static func limits(for model: GenerationModel) -> BatchGenerator.Limits {
    let bytes = max(4 << 30, DecoderRoom.leastBytes(model.footprint, holdsWeights: true))
    return DecoderRoom(model.footprint, bytes: bytes, holdsWeights: true)?.limits
      ?? BatchGenerator.Limits(cacheBytes: Int(clamping: bytes))
  }

  /// The job's line of a piece; nil for one that is too long. It need not be one that can be read: what the enclave said
  /// of it is compared as well.
  private static func line(_ piece: InputPiece, _ position: UInt64, _ plan: inout CanonicalLines) -> [UInt8]? {
    (try? plan.line(piece, position: position))?.bytes ?? (piece.place.isLine ? piece.bytes : nil)
  }

  /// What a result has otherwise than its record and line; nil where they are the same.
  private static func difference(_ expected: Expected, _ result: LineComputer.Result) -> String? {
    let record = expected.record
    guard (record.status == .ok) == result.isComputed else {
      return result.isComputed ? "can be computed, and the receipt binds an error" : "cannot be computed"
    }
    if SHA256.digest(of: result.line) != record.output { return other(expected.line, result.line) }
    guard record.tokens == UInt64(result.tokens), record.truncated == result.truncated else {
      return "another number of tokens"
    }
    return nil
  }

  /// By how much two lines that ought to be one differ, where both hold numbers: tells a rounding from a falsehood.
  private static func other(_ bound: [UInt8], _ computed: [UInt8]) -> String {
    if case .completion(let left)? = try? OutputLine(parsing: bound),
      case .completion(let right)? = try? OutputLine(parsing: computed), left.text != right.text
    {
      let same = zip(left.text.utf8, right.text.utf8).prefix { $0 == $1 }.count
      return "another text from byte \(same) on"
    }
    guard let left = numbers(bound), let right = numbers(computed), left.count == right.count else {
      return "another line"
    }
    let greatest = zip(left, right).map { abs($0 - $1) }.max() ?? 0
    return greatest == 0 ? "another line of the same numbers" : "its numbers differ by up to \(greatest)"
  }

  private static func numbers(_ line: [UInt8]) -> [Float]? {
    switch try? OutputLine(parsing: line) {
    case .embedding(let line): line.embedding
    case .scores(let line): line.scores.map(\.score)
    case .completion, .error, nil: nil
    }
  }
}
