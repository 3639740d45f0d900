/// The switches of Hugging Face's `BertNormalizer`.
package struct BertNormalizerOptions: Sendable, Equatable {
  /// Drops control characters and makes every kind of white space a blank.
  package var cleanText = true
  /// Puts blanks around each CJK ideograph.
  package var handleChineseChars = true
  /// Decomposes canonically and drops nonspacing marks.
  package var stripAccents = true
  /// Lower case, scalar by scalar.
  package var lowercase = true

  package init() {}
}

/// Takes the words of a text, as UTF-8, one after the other.
protocol WordSink {
  /// True when no further word is wanted: the rest of the text may be left unread.
  var isFull: Bool { get }
  /// A word; `utf8` holds at most `BertNormalizer.longestWord` scalars of it, `scalars` counts all of them.
  mutating func word(_ utf8: [UInt8], scalars: Int)
}

/// BERT's normalizer and pre-tokenizer in one pass over the scalars, in the order in which Hugging Face applies them:
/// clean, part ideographs, decompose (with canonical reordering), strip marks, lower case; then words end at white
/// space, and each punctuation mark is a word of its own.
///
/// It holds no more than the current word and the current run of combining marks, whatever the text's length.
struct BertNormalizer<Sink: WordSink> {
  let options: BertNormalizerOptions
  let longestWord: Int
  var sink: Sink

  private let unicode = UnicodeData.shared
  private var word: [UInt8] = []
  private var wordScalars = 0
  /// Combining marks that wait for the next starter to be put in order; sorted by class, then by arrival.
  private var marks: [(combiningClass: UInt8, scalar: UInt32)] = []

  init(options: BertNormalizerOptions, longestWord: Int, sink: Sink) {
    self.options = options
    self.longestWord = longestWord
    self.sink = sink
  }

  /// Reads one piece of text, which ends its last word.
  mutating func read(_ scalars: some Sequence<Unicode.Scalar>) {
    for scalar in scalars {
      if sink.isFull { return }
      clean(scalar.value)
    }
    flushMarks()
    endWord()
  }

  private mutating func clean(_ scalar: UInt32) {
    let flags = unicode.flags(scalar)
    if options.cleanText {
      if flags.contains(.removedByCleaning) { return }
      if flags.contains(.whitespace) { return decompose(0x20, unicode.flags(0x20)) }
    }
    guard options.handleChineseChars, flags.contains(.chinese) else { return decompose(scalar, flags) }
    decompose(0x20, unicode.flags(0x20))
    decompose(scalar, flags)
    decompose(0x20, unicode.flags(0x20))
  }

  private mutating func decompose(_ scalar: UInt32, _ flags: UnicodeData.Flags) {
    guard options.stripAccents else { return lower(scalar, flags) }
    guard flags.contains(.decomposes) else { return reorder(scalar, flags) }
    for part in unicode.decomposition(scalar) { reorder(part, unicode.flags(part)) }
  }

  /// A mark that is dropped anyway leaves the order of the others alone, but a starter among them parts two runs.
  private mutating func reorder(_ scalar: UInt32, _ flags: UnicodeData.Flags) {
    if !flags.contains(.combines) {
      flushMarks()
      if !flags.contains(.nonspacingMark) { lower(scalar, flags) }
    } else if !flags.contains(.nonspacingMark) {
      marks.append((unicode.combiningClass(scalar), scalar))
    }
  }

  private mutating func flushMarks() {
    guard !marks.isEmpty else { return }
    let order = marks.indices.sorted { (marks[$0].combiningClass, $0) < (marks[$1].combiningClass, $1) }
    let sorted = order.map { marks[$0].scalar }
    marks.removeAll(keepingCapacity: true)
    for scalar in sorted { lower(scalar, unicode.flags(scalar)) }
  }

  private mutating func lower(_ scalar: UInt32, _ flags: UnicodeData.Flags) {
    guard options.lowercase, flags.contains(.hasLowercase) else { return split(scalar, flags) }
    for part in unicode.lowercase(scalar) { split(part, unicode.flags(part)) }
  }

  private mutating func split(_ scalar: UInt32, _ flags: UnicodeData.Flags) {
    if flags.contains(.whitespace) { return endWord() }
    if !flags.contains(.punctuation) { return append(scalar) }
    endWord()
    append(scalar)
    endWord()
  }

  private mutating func append(_ scalar: UInt32) {
    wordScalars += 1
    guard wordScalars <= longestWord else { return }
    if scalar < 0x80 {
      word.append(UInt8(scalar))
    } else if let scalar = Unicode.Scalar(scalar), let utf8 = Unicode.UTF8.encode(scalar) {
      word.append(contentsOf: utf8)
    }
  }

  private mutating func endWord() {
    guard wordScalars > 0 else { return }
    if !sink.isFull { sink.word(word, scalars: wordScalars) }
    word.removeAll(keepingCapacity: true)
    wordScalars = 0
  }
}
