/// Where extended grapheme clusters end (UAX #29), by the tables of Hugging Face's `tokenizers`.
///
/// Flags of regional indicators are missing: the one who asks (`PrecompiledMap`) treats clusters of more than five
/// bytes scalar by scalar, and two such indicators have eight.
struct GraphemeClasses: Sendable {
  private enum Class: UInt8 {
    case other, control, extend, joiner, spacingMark, prepend, lead, vowel, tail, syllableOpen, syllableClosed
    case pictographic
  }
  private static let consonant: UInt8 = 0x20
  private static let linker: UInt8 = 0x40
  private static let between: UInt8 = 0x80

  /// Read at its first use.
  static let shared = GraphemeClasses()

  private let classes = AlignedBuffer<UInt8>(count: 0x110000)

  private init() {
    func mark(_ table: StaticString, _ bits: UInt8) {
      for range in TableText.ranges(table) {
        for scalar in range { classes.pointer[Int(scalar)] |= bits }
      }
    }
    mark(TextClassTables.control, Class.control.rawValue)
    mark(TextClassTables.extend, Class.extend.rawValue)
    mark(TextClassTables.spacingMark, Class.spacingMark.rawValue)
    mark(TextClassTables.prepend, Class.prepend.rawValue)
    mark(TextClassTables.pictographic, Class.pictographic.rawValue)
    mark(TextClassTables.hangulLead, Class.lead.rawValue)
    mark(TextClassTables.hangulVowel, Class.vowel.rawValue)
    mark(TextClassTables.hangulTail, Class.tail.rawValue)
    mark(TextClassTables.indicConsonant, Self.consonant)
    mark(TextClassTables.indicLinker, Self.linker)
    mark(TextClassTables.indicExtend, Self.between)
    for scalar in 0xac00...0xd7a3 {
      let kind = (scalar - 0xac00) % 28 == 0 ? Class.syllableOpen : .syllableClosed
      classes.pointer[scalar] = kind.rawValue
    }
    classes.pointer[0x200d] = Class.joiner.rawValue | Self.between
  }

  /// Where the cluster that begins at `place` ends.
  func end(_ text: UnsafeBufferPointer<UInt8>, from place: Int) -> Int {
    var end = place
    let first = UTF8Text.scalar(text, &end)
    if first == 0x0d { return end < text.count && text[end] == 0x0a ? end + 1 : end }
    var bits = classes.pointer[Int(first)]
    var before = Class(rawValue: bits & 15) ?? .other
    if before == .control { return end }
    // How far "pictograph, extenders, joiner" and "consonant, linkers and what may stand between" have come.
    var emoji = before == .pictographic ? 1 : 0
    var conjunct = bits & Self.consonant != 0 ? 1 : 0
    while end < text.count {
      var next = end
      bits = classes.pointer[Int(UTF8Text.scalar(text, &next))]
      let now = Class(rawValue: bits & 15) ?? .other
      guard joins(before, now, emoji: emoji == 2, conjunct: conjunct == 2 && bits & Self.consonant != 0) else { break }
      if now == .pictographic {
        emoji = 1
      } else if emoji == 1, now == .joiner {
        emoji = 2
      } else if emoji != 1 || now != .extend {
        emoji = 0
      }
      if bits & Self.consonant != 0 {
        conjunct = 1
      } else if conjunct > 0, bits & Self.linker != 0 {
        conjunct = 2
      } else if bits & Self.between == 0 {
        conjunct = 0
      }
      (before, end) = (now, next)
    }
    return end
  }

  private func joins(_ before: Class, _ now: Class, emoji: Bool, conjunct: Bool) -> Bool {
    switch (before, now) {
    case (_, .control): false
    case (_, .extend), (_, .joiner), (_, .spacingMark): true
    case (.prepend, _): true
    case (.lead, .lead), (.lead, .vowel), (.lead, .syllableOpen), (.lead, .syllableClosed): true
    case (.syllableOpen, .vowel), (.syllableOpen, .tail), (.vowel, .vowel), (.vowel, .tail): true
    case (.syllableClosed, .tail), (.tail, .tail): true
    case (.joiner, .pictographic): emoji
    default: conjunct
    }
  }
}
