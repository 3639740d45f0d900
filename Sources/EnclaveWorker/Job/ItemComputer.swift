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
  private let computer: LineComputer

  /// - Throws: ``WorkerFault`` with `refused` for a prompt that the model does not have.
  init(model: LoadedModel, claims: JobManifestClaims) throws {
    guard case .encoder(let embedding) = model.model else {
      throw WorkerFault.refused("this worker does not compute \(model.model.operation.rawValue)")
    }
    if let prompt = claims.prompt, !embedding.tokenizer.promptNames.contains(prompt) {
      throw WorkerFault.refused("the model has no prompt of that name")
    }
    // The manifest's `float` holds for all lines; otherwise a line may ask for it by itself.
    computer = LineComputer(
      model: embedding, name: model.name, format: claims.inputFormat == .openAI ? .openAI : .idText,
      writesFloats: claims.encoding == "float", prompt: claims.prompt)
  }

  /// The results of `window`, in its order. Each depends on its own line alone, bit for bit.
  func compute(_ window: [InputLine]) -> [ItemResult] {
    zip(window, computer.compute(window.map { ($0.index, $0.line) })).map { input, result in
      ItemResult(
        status: result.isComputed ? .ok : .failed,
        // A line over the limit was not kept; its leaf binds the empty string.
        input: SHA256.digest(of: input.line.bytes ?? []), line: result.line, tokens: UInt64(result.tokens),
        truncated: result.truncated)
    }
  }
}
