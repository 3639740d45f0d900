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

extension ItemResult {
  /// Takes the line out of a result: it has one holder, and can be wiped.
  init(taking result: inout LineComputer.Result, input: ContentDigest) {
    self.init(
      status: result.isComputed ? .ok : .failed, input: input, line: result.line, tokens: UInt64(result.tokens),
      truncated: result.truncated)
    result.line = []
  }
}

extension InputLine {
  /// SHA-256 of the line. One over the limit was not kept; its leaf binds the empty string.
  var digest: ContentDigest { SHA256.digest(of: line.bytes ?? []) }
}

/// Computes the items of one job with one model. Each result depends on its own line alone, bit for bit.
protocol ItemComputer {
  /// Computes all items, appends their results in input order, and tells the host how far it is.
  ///
  /// - Throws: ``WorkerFault``, ``HostLost``.
  func compute(_ items: InputItems, into results: ResultFiles, telling link: JobLink) throws
}

/// Embeddings and scores: window by window.
struct WindowComputer: ItemComputer {
  private let computer: LineComputer

  /// - Throws: ``WorkerFault`` with `refused` for a prompt that the model does not have.
  init(_ model: EmbeddingModel, name: String, claims: JobManifestClaims) throws {
    if let prompt = claims.prompt, !model.tokenizer.promptNames.contains(prompt) {
      throw WorkerFault.refused("the model has no prompt of that name")
    }
    // The manifest's `float` holds for all lines; otherwise a line may ask for it by itself.
    computer = LineComputer(
      model: model, name: name, format: claims.inputFormat == .openAI ? .openAI : .idText,
      writesFloats: claims.encoding == "float", prompt: claims.prompt)
  }

  func compute(_ items: InputItems, into results: ResultFiles, telling link: JobLink) throws {
    while var window = try items.next() {
      var computed = computer.compute(window.map { ($0.index, $0.line) })
      var lines = window.indices.map { ItemResult(taking: &computed[$0], input: window[$0].digest) }
      InputLine.wipe(&window)
      try results.append(&lines)
      try link.progress(done: results.count)
    }
  }
}
