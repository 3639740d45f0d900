/// How a normalized text is parted into the words that the model sees: Hugging Face's pre-tokenizers, one after the
/// other.
struct PreTokenizer: Sendable {
  enum Step: Sendable, Equatable {
    /// Words end at white space, and each punctuation mark is a word of its own.
    case bert
    /// Words end at white space.
    case whitespace
    /// GPT-2's words, each with the blank before it.
    case byteLevel(prefixesBlank: Bool, splits: Bool)
    /// Words by a regular expression.
    case split(SplitPattern)
    /// Numbers are words of their own: each digit, or each row of them.
    case digits(alone: Bool)
    /// Blanks become `replacement`, with which each word begins.
    case metaspace(replacement: [UInt8], prefix: Prefix, splits: Bool)
  }

  /// Where `Metaspace` puts its replacement before a text that does not begin with it.
  enum Prefix: String, Sendable {
    case always, first, never
  }

  static let stepsLimit = 8

  let steps: [Step]

  /// Whether words depend on where the input begins.
  var asksForFirst: Bool { steps.contains { if case .metaspace(_, .first, _) = $0 { true } else { false } } }

  /// Gives each word to `body` until that wants no more. No word is empty. `isFirst`: the text is the beginning of the
  /// input.
  func part(_ text: UnsafeBufferPointer<UInt8>, isFirst: Bool, _ body: (UnsafeBufferPointer<UInt8>) -> Bool) {
    _ = part(text, isFirst, steps[...], body)
  }

  private func part(
    _ text: UnsafeBufferPointer<UInt8>, _ isFirst: Bool, _ steps: ArraySlice<Step>,
    _ body: (UnsafeBufferPointer<UInt8>) -> Bool
  ) -> Bool {
    guard !text.isEmpty else { return true }
    guard let step = steps.first else { return body(text) }
    let rest = steps.dropFirst()
    func give(_ range: Range<Int>, of text: UnsafeBufferPointer<UInt8>) -> Bool {
      let word = UnsafeBufferPointer(rebasing: text[range])
      return rest.isEmpty ? body(word) : part(word, isFirst && range.lowerBound == 0, rest, body)
    }
    switch step {
    case .bert: return WordScanner.words(text, punctuation: true) { give($0, of: text) }
    case .whitespace: return WordScanner.words(text, punctuation: false) { give($0, of: text) }
    case .byteLevel(let prefixesBlank, let splits):
      if prefixesBlank, text[0] != 0x20 {
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: text.count + 1) { room in
          _ = room.initialize(fromContentsOf: [0x20])
          _ = UnsafeMutableBufferPointer(rebasing: room[1...]).initialize(fromContentsOf: text)
          let text = UnsafeBufferPointer(room)
          return splits ? WordScanner.byteLevel(text) { give($0, of: text) } : give(0..<text.count, of: text)
        }
      }
      return splits ? WordScanner.byteLevel(text) { give($0, of: text) } : give(0..<text.count, of: text)
    case .split(let pattern): return pattern.part(text) { give($0, of: text) }
    case .digits(let alone): return WordScanner.digits(text, alone: alone) { give($0, of: text) }
    case .metaspace(let replacement, let prefix, let splits):
      let marked = marked(text, replacement, prefix == .always || prefix == .first && isFirst)
      return marked.withUnsafeBufferPointer { text in
        guard splits else { return give(0..<text.count, of: text) }
        return WordScanner.beginning(text, with: replacement) { give($0, of: text) }
      }
    }
  }

  private func marked(_ text: UnsafeBufferPointer<UInt8>, _ replacement: [UInt8], _ prefixes: Bool) -> [UInt8] {
    var marked: [UInt8] = []
    marked.reserveCapacity(text.count + text.count / 2 + 8)
    if prefixes, text[0] != 0x20, !text.starts(with: replacement) { marked += replacement }
    for byte in text {
      if byte == 0x20 { marked += replacement } else { marked.append(byte) }
    }
    return marked
  }
}

/// Finds where words begin and end. Each function gives words to `body` until that wants no more, and says whether it
/// still does.
enum WordScanner {
  static func words(_ text: UnsafeBufferPointer<UInt8>, punctuation: Bool, _ body: (Range<Int>) -> Bool) -> Bool {
    var (start, place) = (0, 0)
    while place < text.count {
      let before = place
      let flags = UnicodeData.shared.flags(UTF8Text.scalar(text, &place))
      let alone = punctuation && flags.contains(.punctuation)
      guard alone || flags.contains(.whitespace) else { continue }
      if start < before, !body(start..<before) { return false }
      if alone, !body(before..<place) { return false }
      start = place
    }
    return start == text.count || body(start..<text.count)
  }

  /// Each `mark` begins a word.
  static func beginning(_ text: UnsafeBufferPointer<UInt8>, with mark: [UInt8], _ body: (Range<Int>) -> Bool) -> Bool {
    var start = 0
    var place = 0
    while place < text.count {
      guard text[place] == mark[0], text.count - place >= mark.count,
        mark.indices.allSatisfy({ text[place + $0] == mark[$0] })
      else {
        place += 1
        continue
      }
      if start < place, !body(start..<place) { return false }
      start = place
      place += mark.count
    }
    return start == text.count || body(start..<text.count)
  }

  static func digits(_ text: UnsafeBufferPointer<UInt8>, alone: Bool, _ body: (Range<Int>) -> Bool) -> Bool {
    var (start, place, wasNumber) = (0, 0, false)
    while place < text.count {
      let before = place
      let isNumber = UnicodeData.shared.flags(UTF8Text.scalar(text, &place)).contains(.number)
      if before > start, isNumber != wasNumber || alone && isNumber {
        guard body(start..<before) else { return false }
        start = before
      }
      wasNumber = isNumber
    }
    return start == text.count || body(start..<text.count)
  }

  private enum Kind {
    case letter, number, blank, other
  }

  @inline(__always)
  private static func kind(_ text: UnsafeBufferPointer<UInt8>, _ place: inout Int) -> Kind {
    let flags = UnicodeData.shared.flags(UTF8Text.scalar(text, &place))
    if flags.contains(.letter) { return .letter }
    if flags.contains(.number) { return .number }
    return flags.contains(.whitespace) ? .blank : .other
  }

  /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, by hand.
  static func byteLevel(_ text: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) -> Bool) -> Bool {
    var start = 0
    while start < text.count {
      let end = contraction(text, start) ?? run(text, start)
      guard body(start..<end) else { return false }
      start = end
    }
    return true
  }

  private static func contraction(_ text: UnsafeBufferPointer<UInt8>, _ start: Int) -> Int? {
    guard text[start] == UInt8(ascii: "'"), start + 1 < text.count else { return nil }
    let next = text[start + 1]
    if next == UInt8(ascii: "s") || next == UInt8(ascii: "t") || next == UInt8(ascii: "m") || next == UInt8(ascii: "d")
    {
      return start + 2
    }
    guard start + 2 < text.count else { return nil }
    switch (next, text[start + 2]) {
    case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
      (UInt8(ascii: "l"), UInt8(ascii: "l")):
      return start + 3
    default: return nil
    }
  }

  private static func run(_ text: UnsafeBufferPointer<UInt8>, _ start: Int) -> Int {
    var place = start
    var first = kind(text, &place)
    if text[start] == 0x20, place < text.count {
      var next = place
      let behind = kind(text, &next)
      if behind != .blank { (first, place) = (behind, next) }
    }
    // Of blanks before something else the last stays out, unless it is alone: it may belong to the next word.
    var last = start
    while place < text.count {
      var next = place
      let now = kind(text, &next)
      guard now == first else { return first == .blank && last > start ? last : place }
      (last, place) = (place, next)
    }
    return place
  }
}
