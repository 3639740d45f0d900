/// What each token of a vocabulary adds to a text. Bytes, not characters: a token may end within a character, and the
/// next one bring its rest.
///
/// Where a tokenizer drops a blank at the beginning of a text (SentencePiece), that is not seen here: its token has it.
package struct TokenBytes: Sendable {
  /// Ids are from 0 to below this.
  package let count: Int
  private let bytes: [UInt8]
  /// Where each token's bytes begin; one more for the end.
  private let starts: [Int32]
  /// Tokens that add nothing, since they mean something else than text: the end, a role, padding.
  private let controls: TokenMask

  /// - Parameter tokens: each token's bytes in the order of the ids; nil for one that is not text, or where an id has no
  ///   token.
  package init(_ tokens: [[UInt8]?]) {
    count = tokens.count
    var bytes: [UInt8] = []
    var starts: [Int32] = [0]
    starts.reserveCapacity(tokens.count + 1)
    var controls = TokenMask(count: tokens.count)
    for (id, token) in tokens.enumerated() {
      if let token { bytes += token } else { controls.insert(Int32(id)) }
      starts.append(Int32(truncatingIfNeeded: bytes.count))
    }
    (self.bytes, self.starts, self.controls) = (bytes, starts, controls)
  }

  /// The bytes of a token; none for a control token and for an id out of range.
  package subscript(id: Int32) -> ArraySlice<UInt8> {
    guard id >= 0, Int(id) < count else { return [] }
    return bytes[Int(starts[Int(id)])..<Int(starts[Int(id) + 1])]
  }

  /// Whether a token means something else than text. Such a token must never be taken for the text that its name
  /// spells.
  package func isControl(_ id: Int32) -> Bool { id < 0 || Int(id) >= count || controls.contains(id) }
}
