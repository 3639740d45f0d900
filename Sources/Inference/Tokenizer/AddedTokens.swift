/// Tokens that are taken from a text as they stand, `[CLS]` for one: those of the raw text, or those of the
/// normalized one.
struct AddedTokens: Sendable {
  /// One of them.
  struct Token: Sendable {
    var utf8: [UInt8]
    /// As the model's file spells it; `utf8` may be what the normalizer makes of that.
    let spelling: [UInt8]
    let id: Int32
    /// Must not stand beside a letter, digit, mark or `_`.
    var singleWord = false
    /// Takes the white space before it.
    var stripsLeft = false
    /// Takes the white space behind it.
    var stripsRight = false
    /// Is looked for in the normalized text, and normalized itself.
    var normalized = false
    /// Is no text: it is left out where ids become text.
    var special = false

    /// Whether it begins and ends as brackets do: `<|user|>`, `[INST]`, `<<SYS>>`.
    var isMarkup: Bool {
      guard spelling.count > 2, let first = spelling.first, let last = spelling.last else { return false }
      return "<[{(".utf8.contains(first) && ">]})".utf8.contains(last)
    }

    init(utf8: [UInt8], id: Int32) { (self.utf8, spelling, self.id) = (utf8, utf8, id) }
  }

  /// Bytes of one token: at each place of a text so many may have to be compared.
  static let bytesLimit = 256
  static let countLimit = 1000

  let tokens: [Token]
  /// Leads to places in `tokens`.
  private let trie: TokenTrie
  /// Whether a token begins with a byte.
  private let begins: [Bool]

  /// Of tokens with the same content the first counts. Throws when one is empty or too long.
  init(_ tokens: [Token]) throws(ModelError.Reason) {
    var seen: Set<[UInt8]> = []
    self.tokens = tokens.filter { seen.insert($0.utf8).inserted }
    guard self.tokens.allSatisfy({ $0.utf8.count <= Self.bytesLimit }) else {
      throw .init("an added token is longer than \(Self.bytesLimit) bytes")
    }
    trie = try TokenTrie(tokens: self.tokens.enumerated().map { ($1.utf8, Int32($0)) })
    var begins = [Bool](repeating: false, count: 256)
    for token in self.tokens { begins[Int(token.utf8.first ?? 0)] = true }
    self.begins = begins
  }

  var isEmpty: Bool { tokens.isEmpty }

  /// Parts a text at the tokens, leftmost and longest first, until `body` says that it wants no more.
  ///
  /// `body` gets what lies between (never empty) with its place, or a token's id.
  func part(
    _ text: UnsafeBufferPointer<UInt8>,
    _ body: (_ between: UnsafeBufferPointer<UInt8>, _ place: Int, _ token: Int32?) -> Bool
  ) {
    func between(_ from: Int, _ to: Int) -> Bool {
      from >= to || body(UnsafeBufferPointer(rebasing: text[from..<to]), from, nil)
    }
    if isEmpty {
      _ = between(0, text.count)
      return
    }
    var (start, place) = (0, 0)
    while place < text.count {
      guard begins[Int(text[place])], let (index, end) = trie.longest(text, from: place) else {
        place += 1
        continue
      }
      let token = tokens[Int(index)]
      if !token.singleWord || isSingle(text, place, end) {
        let left = token.stripsLeft ? skipBack(text, from: place, to: start) : place
        let right = token.stripsRight ? skip(text, from: end) : end
        guard between(start, left), body(UnsafeBufferPointer(rebasing: text[0..<0]), left, token.id) else { return }
        start = right
      }
      place = end
    }
    _ = between(start, text.count)
  }

  private func isSingle(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
    if start > 0, UnicodeData.shared.flags(UTF8Text.scalar(text, before: start).scalar).contains(.wordPart) {
      return false
    }
    var next = end
    return end == text.count || !UnicodeData.shared.flags(UTF8Text.scalar(text, &next)).contains(.wordPart)
  }

  private func skip(_ text: UnsafeBufferPointer<UInt8>, from place: Int) -> Int {
    var place = place
    while place < text.count {
      var next = place
      guard UnicodeData.shared.flags(UTF8Text.scalar(text, &next)).contains(.whitespace) else { break }
      place = next
    }
    return place
  }

  private func skipBack(_ text: UnsafeBufferPointer<UInt8>, from place: Int, to bound: Int) -> Int {
    var place = place
    while place > bound {
      let (scalar, start) = UTF8Text.scalar(text, before: place)
      guard UnicodeData.shared.flags(scalar).contains(.whitespace) else { break }
      place = start
    }
    return max(place, bound)
  }
}
