/// The regular expressions by which byte-level models part a text into words. tokenizer.json spells them out; those that
/// are known are computed by hand, in one pass over the text, and no other is.
enum SplitPattern: Sendable, Equatable {
  /// GPT-2's, which `ByteLevel` has built in.
  case gpt2
  /// Llama 3's and Qwen's: words with one sign before them, numbers of at most so many digits, line ends by themselves.
  case llama3(digits: Int)

  private static let gpt2Text = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

  private static func llama3Text(_ digits: String) -> String {
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"# + digits
      + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
  }

  /// The pattern that is spelled so; nil for one that is not known.
  init?(_ text: String) {
    switch text {
    case Self.gpt2Text: self = .gpt2
    case Self.llama3Text(#"\p{N}{1,3}"#): self = .llama3(digits: 3)
    case Self.llama3Text(#"\p{N}"#): self = .llama3(digits: 1)
    default: return nil
    }
  }

  /// Gives each word to `body` until that wants no more, and says whether it still does.
  func part(_ text: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) -> Bool) -> Bool {
    switch self {
    case .gpt2: return WordScanner.byteLevel(text, body)
    case .llama3(let digits):
      let scanner = SplitScanner(text: text, digits: digits)
      var start = 0
      while start < text.count {
        let end = scanner.end(from: start)
        guard body(start..<end) else { return false }
        start = end
      }
      return true
    }
  }
}

/// Finds the words of Llama 3's pattern, trying its alternatives in their order at each place:
///
///     (?i:'s|'t|'re|'ve|'m|'ll|'d)  [^\r\n\p{L}\p{N}]?\p{L}+  \p{N}{1,digits}
///      ?[^\s\p{L}\p{N}]+[\r\n]*     \s*[\r\n]+                \s+(?!\S)      \s+
struct SplitScanner {
  let text: UnsafeBufferPointer<UInt8>
  /// Of one number.
  let digits: Int

  private enum Kind {
    case letter, number, blank, other
  }

  /// The kind of the scalar at `place`, which moves behind it; nil at the end.
  @inline(__always)
  private func kind(_ place: inout Int) -> Kind? {
    guard place < text.count else { return nil }
    let flags = UnicodeData.shared.flags(UTF8Text.scalar(text, &place))
    if flags.contains(.letter) { return .letter }
    if flags.contains(.number) { return .number }
    return flags.contains(.whitespace) ? .blank : .other
  }

  private func isLineEnd(_ place: Int) -> Bool { text[place] == 0x0a || text[place] == 0x0d }

  /// The end of the word that begins at `start`, which is inside the text.
  func end(from start: Int) -> Int {
    if let end = contraction(start) { return end }
    var place = start
    let first = kind(&place)
    switch first {
    case .letter: return run(of: .letter, from: place)
    case .number: return run(of: .number, from: place, atMost: digits - 1)
    default: break
    }
    var next = place
    let second = kind(&next)
    if second == .letter, !isLineEnd(start) { return run(of: .letter, from: next) }
    if first == .other { return lineEnds(from: run(of: .other, from: place)) }
    if text[start] == 0x20, second == .other { return lineEnds(from: run(of: .other, from: next)) }
    return blanks(start)
  }

  private func run(of kind: Kind, from start: Int, atMost limit: Int = .max) -> Int {
    var (place, count) = (start, 0)
    while count < limit {
      var next = place
      guard self.kind(&next) == kind else { break }
      (place, count) = (next, count + 1)
    }
    return place
  }

  private func lineEnds(from start: Int) -> Int {
    var place = start
    while place < text.count, isLineEnd(place) { place += 1 }
    return place
  }

  /// Of a row of blanks what goes up to its last line end; else all of it at the text's end, and otherwise all but the
  /// last, unless it is alone: that one may belong to the next word.
  private func blanks(_ start: Int) -> Int {
    var (place, last, lineEnd) = (start, start, -1)
    while place < text.count {
      var next = place
      guard kind(&next) == .blank else { break }
      if isLineEnd(place) { lineEnd = next }
      (last, place) = (place, next)
    }
    if lineEnd > 0 { return lineEnd }
    return place == text.count || last == start ? place : last
  }

  /// `'s` and the like, in either case. Regular expressions take U+017F for an `s`, too.
  private func contraction(_ start: Int) -> Int? {
    guard text[start] == UInt8(ascii: "'"), start + 1 < text.count else { return nil }
    func letter(_ place: Int) -> UInt8 { place < text.count && text[place] < 0x80 ? text[place] | 0x20 : 0 }
    switch letter(start + 1) {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return start + 2
    case UInt8(ascii: "r") where letter(start + 2) == UInt8(ascii: "e"): return start + 3
    case UInt8(ascii: "v") where letter(start + 2) == UInt8(ascii: "e"): return start + 3
    case UInt8(ascii: "l") where letter(start + 2) == UInt8(ascii: "l"): return start + 3
    default:
      let isLongS = text[start + 1] == 0xc5 && start + 2 < text.count && text[start + 2] == 0xbf
      return isLongS ? start + 3 : nil
    }
  }
}
