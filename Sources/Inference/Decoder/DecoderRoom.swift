/// How a decoder shares out the memory that a worker has for it: weights, activations, and pages for keys and values.
///
/// None of it changes a result. One sequence of the model's whole context must fit, so that no text is refused in one
/// enclave that another, larger one would have computed.
package struct DecoderRoom: Sendable {
  /// What a generator may take.
  package let limits: BatchGenerator.Limits
  /// Sequences of the whole context that are in memory at once.
  package let wholeSequences: Int
  /// Tokens of all sequences whose keys and values are in memory at once.
  package let tokens: Int

  /// Tokens of one pass and sequences at once, the best first: less is slower.
  private static let choices: [(tokens: Int, sequences: Int)] = [(256, 64), (128, 32), (64, 16), (32, 4), (16, 1)]

  /// Nil where the model does not fit: ``leastBytes(_:holdsWeights:threads:)`` says how much is needed.
  ///
  /// - Parameters:
  ///   - bytes: memory for all of it.
  ///   - holdsWeights: the weights are in memory already, and not in `bytes`.
  ///   - threads: that compute; 0 takes the processors that there are.
  package init?(_ footprint: DecoderFootprint, bytes: UInt64, holdsWeights: Bool = false, threads: Int = 0) {
    let threads = threads > 0 ? threads : ThreadPool.processors
    let whole = footprint.cacheBytes(sequences: 1, tokens: footprint.contextLength)
    for choice in Self.choices {
      let fixed =
        (holdsWeights ? 0 : footprint.weightBytes + footprint.otherBytes)
        + footprint.schemaBytes
        + footprint.activationBytes(rows: choice.tokens, sequences: choice.sequences, threads: threads)
      guard bytes >= fixed, bytes - fixed >= whole else { continue }
      let most = footprint.cacheBytes(sequences: choice.sequences, tokens: footprint.contextLength)
      let cache = min(bytes - fixed, most)
      var limits = BatchGenerator.Limits(cacheBytes: Int(clamping: cache))
      (limits.tokensPerStep, limits.sequences) = (choice.tokens, choice.sequences)
      (self.limits, wholeSequences) = (limits, Int(clamping: cache / whole))
      tokens = Int(clamping: cache / footprint.pageBytes) * PagePool.tokens
      return
    }
    return nil
  }

  /// Bytes of the largest passes that are made: where memory is short, they are smaller.
  package static func passBytes(_ footprint: DecoderFootprint, threads: Int) -> UInt64 {
    footprint.activationBytes(rows: choices[0].tokens, sequences: choices[0].sequences, threads: threads)
  }

  /// Bytes below which the model does not run: its weights, one sequence of the whole context, and the smallest passes.
  package static func leastBytes(
    _ footprint: DecoderFootprint, holdsWeights: Bool = false, threads: Int = 0
  ) -> UInt64 {
    let least = choices[choices.count - 1]
    let threads = threads > 0 ? threads : ThreadPool.processors
    return (holdsWeights ? 0 : footprint.weightBytes + footprint.otherBytes)
      + footprint.schemaBytes
      + footprint.activationBytes(rows: least.tokens, sequences: least.sequences, threads: threads)
      + footprint.cacheBytes(sequences: 1, tokens: footprint.contextLength)
  }
}
