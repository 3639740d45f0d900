/// Makes result lines of input lines with a model: what the enclave does for a job, and an auditor again. The same lines
/// give the same bytes on every machine.
package struct LineComputer: Sendable {
  /// What became of one line.
  package struct Result: Sendable {
    package let isComputed: Bool
    /// The output or error line without its newline.
    package var line: [UInt8]
    /// Of the input; 0 where nothing was computed.
    package let tokens: Int
    package let truncated: Bool

    package init(isComputed: Bool, line: [UInt8], tokens: Int, truncated: Bool) {
      (self.isComputed, self.line, self.tokens, self.truncated) = (isComputed, line, tokens, truncated)
    }
  }

  private let model: EmbeddingModel
  private let name: String
  private let format: LineFormat
  private let writesFloats: Bool
  private let prompt: String?

  /// - Parameters:
  ///   - name: what the lines call the model.
  ///   - writesFloats: embeddings are lists of numbers for every line, whatever it asks for.
  ///   - prompt: the name of one of the model's prompts; nil for its default.
  package init(model: EmbeddingModel, name: String, format: LineFormat, writesFloats: Bool, prompt: String?) {
    (self.model, self.name, self.format) = (model, name, format)
    (self.writesFloats, self.prompt) = (writesFloats, prompt)
  }

  /// The results of lines with their places among the items, in their order. Each depends on its own line alone, bit for
  /// bit.
  package func compute(_ lines: [(index: Int, line: LineSplitter.Line)]) -> [Result] {
    var results = [Result?](repeating: nil, count: lines.count)
    var readable: [(place: Int, item: InputItem, tokens: TokenizedInput)] = []
    for (place, input) in lines.enumerated() {
      do {
        let item = try InputItem(input.line, format: format)
        try item.check(model.operation)
        if model.operation == .embed { try item.check(dimensions: model.dimensions) }
        readable.append((place, item, model.tokenize(item.text, pair: item.pair, prompt: prompt)))
      } catch {
        results[place] = failed(.init(index: input.index, error))
      }
    }
    while !readable.isEmpty {
      do throws(EmbeddingModel.Failure) {
        let outputs = try model.embed(readable.map(\.tokens))
        for (entry, output) in zip(readable, outputs) {
          results[entry.place] = Result(
            isComputed: true, line: line(lines[entry.place].index, entry.item, entry.tokens, output),
            tokens: entry.tokens.ids.count, truncated: entry.tokens.truncated)
        }
        break
      } catch {
        // One item that cannot be computed costs no other item its result.
        let entry = readable.remove(at: min(index(of: error), readable.count - 1))
        results[entry.place] = failed(
          .init(
            index: lines[entry.place].index, customID: entry.item.id, code: "not_computed",
            message: "the model gives no finite result"))
      }
    }
    return results.compactMap { $0 }
  }

  /// Its place in the batch that was refused.
  private func index(of failure: EmbeddingModel.Failure) -> Int {
    switch failure {
    case .badInput(let index), .notFinite(let index): index
    }
  }

  private func line(_ index: Int, _ item: InputItem, _ tokens: TokenizedInput, _ output: [Float]) -> [UInt8] {
    guard model.operation == .embed else {
      return OutputLine.ScoresLine(
        index: index, customID: item.id, model: name, scores: output,
        labels: model.operation == .classify ? model.labels : nil, tokens: tokens.ids.count,
        truncated: tokens.truncated
      ).encoded()
    }
    return OutputLine.EmbeddingLine(
      index: index, customID: item.id, model: name, embedding: output, tokens: tokens.ids.count,
      truncated: tokens.truncated
    ).encoded(writesFloats ? .float : item.encoding)
  }

  private func failed(_ error: OutputLine.ErrorLine) -> Result {
    Result(isComputed: false, line: error.encoded(), tokens: 0, truncated: false)
  }
}
