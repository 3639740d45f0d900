import Crypto
import Inference
import SealedCrypto
import Wire

/// What became of one item.
struct ItemResult {
  let status: ItemStatus
  /// SHA-256 of the input line without its newline.
  let input: ContentDigest
  /// The output or error line without its newline.
  var line: [UInt8]
  let tokens: UInt64
  let truncated: Bool
}

/// Computes windows of one job with one model.
struct ItemComputer {
  let model: LoadedModel
  let claims: JobManifestClaims
  private let operation: ModelOperation

  /// - Throws: ``WorkerFault`` with `refused` for a prompt that the model does not have.
  init(model: LoadedModel, claims: JobManifestClaims) throws {
    (self.model, self.claims) = (model, claims)
    operation = model.embedding.operation
    if let prompt = claims.prompt, !model.embedding.tokenizer.promptNames.contains(prompt) {
      throw WorkerFault.refused("the model has no prompt of that name")
    }
  }

  /// The results of `window`, in its order. Each depends on its own line alone, bit for bit.
  func compute(_ window: [InputLine]) -> [ItemResult] {
    var results = [ItemResult?](repeating: nil, count: window.count)
    var readable: [(place: Int, item: InputItem, tokens: TokenizedInput)] = []
    for (place, input) in window.enumerated() {
      do {
        let item = try InputItem(input.line, format: format)
        try item.check(operation)
        if operation == .embed { try item.check(dimensions: model.embedding.dimensions) }
        let tokens = model.embedding.tokenize(item.text, pair: item.pair, prompt: claims.prompt)
        readable.append((place, item, tokens))
      } catch {
        results[place] = failed(input, .init(index: input.index, error))
      }
    }
    while !readable.isEmpty {
      do throws(EmbeddingModel.Failure) {
        let outputs = try model.embedding.embed(readable.map(\.tokens))
        for (entry, output) in zip(readable, outputs) {
          results[entry.place] = computed(window[entry.place], entry.item, entry.tokens, output)
        }
        break
      } catch {
        // One item that cannot be computed costs no other item its result.
        let entry = readable.remove(at: min(index(of: error), readable.count - 1))
        let input = window[entry.place]
        results[entry.place] = failed(
          input,
          .init(
            index: input.index, customID: entry.item.id, code: "not_computed",
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

  private var format: LineFormat { claims.inputFormat == .openAI ? .openAI : .idText }

  private func computed(
    _ input: InputLine, _ item: InputItem, _ tokens: TokenizedInput, _ output: [Float]
  ) -> ItemResult {
    ItemResult(
      status: .ok, input: digest(input), line: line(input.index, item, tokens, output),
      tokens: UInt64(tokens.ids.count), truncated: tokens.truncated)
  }

  private func line(_ index: Int, _ item: InputItem, _ tokens: TokenizedInput, _ output: [Float]) -> [UInt8] {
    guard operation == .embed else {
      return OutputLine.ScoresLine(
        index: index, customID: item.id, model: model.name, scores: output,
        labels: operation == .classify ? model.embedding.labels : nil, tokens: tokens.ids.count,
        truncated: tokens.truncated
      ).encoded()
    }
    // The manifest's `float` holds for all lines; otherwise a line may ask for it by itself.
    let encoding: EmbeddingEncoding = claims.encoding == "float" ? .float : item.encoding
    return OutputLine.EmbeddingLine(
      index: index, customID: item.id, model: model.name, embedding: output, tokens: tokens.ids.count,
      truncated: tokens.truncated
    ).encoded(encoding)
  }

  private func failed(_ input: InputLine, _ error: OutputLine.ErrorLine) -> ItemResult {
    ItemResult(status: .failed, input: digest(input), line: error.encoded(), tokens: 0, truncated: false)
  }

  /// A line over the limit was not kept; its leaf binds the empty string.
  private func digest(_ input: InputLine) -> ContentDigest { SHA256.digest(of: input.line.bytes ?? []) }
}
