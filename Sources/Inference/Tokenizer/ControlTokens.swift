/// Tokens that do something other than stand for text: `<|eot_id|>` ends a turn, say.
///
/// Whoever writes a document may spell one. Such a spelling must not end a turn or begin another, so it is broken up by a
/// mark before the document goes into a chat template, and the mark goes when the tokens were taken from what the
/// template made of it. The mark is a noncharacter of Unicode: no text has it by chance, and templates pass it on.
struct ControlTokens: Sendable {
  /// A text in which a control token cannot be kept from being one.
  struct Unmarkable: Error {}

  private static let marks = (0xfdd0...0xfdef).compactMap(Unicode.Scalar.init)

  private let trie: TokenTrie
  private let spellings: [[UInt8]]
  /// Looked for in what the normalizer makes of a text.
  private let normalized: AddedTokens
  private let normalizer: Normalizer

  /// Throws where a token is empty or too long.
  init(
    raw: [AddedTokens.Token], normalized: [AddedTokens.Token], normalizer: Normalizer
  ) throws(ModelError.Reason) {
    var seen: Set<[UInt8]> = []
    spellings = (raw + normalized).map(\.spelling).filter { !$0.isEmpty && seen.insert($0).inserted }
    trie = try TokenTrie(tokens: spellings.enumerated().map { ($1, Int32($0)) })
    self.normalized = try AddedTokens(normalized)
    self.normalizer = normalizer
  }

  /// A mark that occurs in none of the texts.
  static func mark(for texts: [String]) throws(Unmarkable) -> Unicode.Scalar {
    let free = marks.first { mark in !texts.contains { $0.unicodeScalars.contains(mark) } }
    guard let free else { throw Unmarkable() }
    return free
  }

  /// The text with a mark behind the first scalar of each spelling in it, and of a beginning of one at its end: what
  /// comes behind the text must not complete it.
  func marked(_ text: String, with mark: Unicode.Scalar) throws(Unmarkable) -> String {
    let places = places(in: Array(text.utf8))
    guard !places.isEmpty || !normalized.isEmpty else { return text }
    let mark = Array(String(mark).utf8)
    var result: [UInt8] = []
    var place = 0
    for byte in text.utf8 {
      if places.contains(place) { result += mark }
      result.append(byte)
      place += 1
    }
    if places.contains(place) { result += mark }
    guard !holds(result) else { throw Unmarkable() }
    return String(decoding: result, as: UTF8.self)
  }

  /// Whether there is a control token in a text that was marked.
  private func holds(_ text: [UInt8]) -> Bool {
    if !starts(in: text).isEmpty { return true }
    guard !normalized.isEmpty else { return false }
    var found = false
    normalizer.normalized(text).withUnsafeBufferPointer { text in
      normalized.part(text) { _, _, token in
        found = found || token != nil
        return !found
      }
    }
    return found
  }

  /// Where spellings begin.
  private func starts(in text: [UInt8]) -> [Int] {
    text.withUnsafeBufferPointer { text in text.indices.filter { trie.longest(text, from: $0) != nil } }
  }

  /// Where marks go.
  private func places(in text: [UInt8]) -> Set<Int> {
    var starts = starts(in: text)
    // A template may take blanks away that a text ends with.
    for end in [text.count, Self.endWithoutBlanks(text)] {
      starts += (max(0, end - trie.longest)..<end).filter { trie.node(behind: text[$0..<end]) != nil }
    }
    return Set(starts.map { min($0 + UTF8Text.length(text[$0]), text.count) })
  }

  private static func endWithoutBlanks(_ text: [UInt8]) -> Int {
    let scalars = String(decoding: text, as: UTF8.self).unicodeScalars
    guard let last = scalars.lastIndex(where: { !TemplateText.isBlank($0) }) else { return 0 }
    return String(scalars[...last]).utf8.count
  }

  /// Gives a text without a mark to `body`.
  static func withoutMark(
    _ mark: [UInt8], _ text: UnsafeBufferPointer<UInt8>, _ body: (UnsafeBufferPointer<UInt8>) -> Void
  ) {
    guard let first = mark.first, text.contains(first) else { return body(text) }
    var rest: [UInt8] = []
    var place = 0
    while place < text.count {
      if text[place...].starts(with: mark) {
        place += mark.count
      } else {
        rest.append(text[place])
        place += 1
      }
    }
    guard !rest.isEmpty else { return }
    rest.withUnsafeBufferPointer(body)
  }
}
