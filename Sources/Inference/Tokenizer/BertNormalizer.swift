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

/// Takes the scalars of a normalized text, one after the other.
protocol ScalarSink {
  /// True when no further scalar is wanted: the rest of the text may be left unread.
  var isFull: Bool { get }
  mutating func ascii(_ byte: UInt8)
  /// A scalar beyond ASCII, with its properties.
  mutating func scalar(_ scalar: UInt32, _ flags: UnicodeData.Flags)
}

/// BERT's normalizer in one pass over the bytes, in the order in which Hugging Face applies its rules: clean, part
/// ideographs, decompose (with canonical reordering), strip marks, lower case.
///
/// It holds no more than the current run of combining marks, whatever the text's length.
struct BertNormalizer<Sink: ScalarSink> {
  let options: BertNormalizerOptions
  var sink: Sink
  /// True once a scalar was dropped before any was given on.
  private(set) var dropsFirst = false

  private let unicode = UnicodeData.shared
  private let ascii = AlignedBuffer<UInt8>(count: 128)
  private let dropped: UInt8 = 0xff
  private var isEmpty = true
  /// Combining marks that wait for the next starter to be put in order; sorted by class, then by arrival.
  private var marks: [(combiningClass: UInt8, scalar: UInt32)] = []
  private var hasMarks = false

  init(options: BertNormalizerOptions, sink: Sink) {
    self.options = options
    self.sink = sink
    for byte in 0..<128 as Range<UInt8> {
      let flags = unicode.flags(UInt32(byte))
      var becomes = byte
      if options.lowercase, (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) { becomes += 32 }
      if options.cleanText {
        if flags.contains(.removedByCleaning) { becomes = dropped } else if flags.contains(.whitespace) { becomes = 32 }
      }
      ascii.pointer[Int(byte)] = becomes
    }
  }

  /// Reads one piece of text.
  mutating func read(_ text: UnsafeBufferPointer<UInt8>) {
    var place = 0
    let table = ascii.pointer
    while place < text.count, !sink.isFull {
      let byte = text[place]
      if byte < 0x80 {
        place += 1
        let becomes = table[Int(byte)]
        if becomes != dropped {
          if hasMarks { flushMarks() }
          isEmpty = false
          sink.ascii(becomes)
        } else if isEmpty {
          dropsFirst = true
        }
      } else {
        clean(UTF8Text.scalar(text, &place))
      }
    }
    if hasMarks { flushMarks() }
  }

  private mutating func clean(_ scalar: UInt32) {
    let flags = unicode.flags(scalar)
    if flags.isPlainToBert {
      if hasMarks { flushMarks() }
      isEmpty = false
      return sink.scalar(scalar, flags)
    }
    if options.cleanText {
      if flags.contains(.removedByCleaning) {
        if isEmpty { dropsFirst = true }
        return
      }
      if flags.contains(.whitespace) { return blank() }
    }
    guard options.handleChineseChars, flags.contains(.chinese) else { return decompose(scalar, flags) }
    blank()
    decompose(scalar, flags)
    blank()
  }

  private mutating func blank() {
    if hasMarks { flushMarks() }
    isEmpty = false
    sink.ascii(0x20)
  }

  private mutating func decompose(_ scalar: UInt32, _ flags: UnicodeData.Flags) {
    guard options.stripAccents else { return lower(scalar, flags) }
    guard flags.contains(.decomposes) else { return reorder(scalar, flags) }
    if let (lead, vowel, tail) = UnicodeData.syllable(scalar) {
      reorder(lead, unicode.flags(lead))
      reorder(vowel, unicode.flags(vowel))
      if tail != 0 { reorder(tail, unicode.flags(tail)) }
    } else {
      for part in unicode.decomposition(scalar) { reorder(part, unicode.flags(part)) }
    }
  }

  /// A mark that is dropped anyway leaves the order of the others alone, but a starter among them parts two runs.
  private mutating func reorder(_ scalar: UInt32, _ flags: UnicodeData.Flags) {
    if flags.contains(.nonspacingMark), isEmpty { dropsFirst = true }
    if !flags.contains(.combines) {
      if hasMarks { flushMarks() }
      if !flags.contains(.nonspacingMark) { lower(scalar, flags) }
    } else if !flags.contains(.nonspacingMark) {
      marks.append((unicode.combiningClass(scalar), scalar))
      hasMarks = true
    }
  }

  private mutating func flushMarks() {
    hasMarks = false
    let order = marks.indices.sorted { (marks[$0].combiningClass, $0) < (marks[$1].combiningClass, $1) }
    let sorted = order.map { marks[$0].scalar }
    marks.removeAll(keepingCapacity: true)
    for scalar in sorted { lower(scalar, unicode.flags(scalar)) }
  }

  private mutating func lower(_ scalar: UInt32, _ flags: UnicodeData.Flags) {
    isEmpty = false
    guard options.lowercase, flags.contains(.hasLowercase) else { return give(scalar, flags) }
    for part in unicode.lowercase(scalar) { give(part, unicode.flags(part)) }
  }

  private mutating func give(_ scalar: UInt32, _ flags: UnicodeData.Flags) {
    if scalar < 0x80 { sink.ascii(UInt8(scalar)) } else { sink.scalar(scalar, flags) }
  }
}

/// Writes the normalized text down.
struct TextSink: ScalarSink {
  var bytes: [UInt8] = []
  var isFull: Bool { false }

  mutating func ascii(_ byte: UInt8) { bytes.append(byte) }
  mutating func scalar(_ scalar: UInt32, _ flags: UnicodeData.Flags) { UTF8Text.append(scalar, to: &bytes) }
}
