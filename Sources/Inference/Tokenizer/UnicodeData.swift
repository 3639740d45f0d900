/// What text rules need to know of a Unicode scalar, looked up in `UnicodeTables` and `TextClassTables`.
struct UnicodeData: Sendable {
  /// The properties of one scalar.
  struct Flags: OptionSet, Sendable {
    let rawValue: UInt16
    static let removedByCleaning = Flags(rawValue: 1)
    static let whitespace = Flags(rawValue: 2)
    static let chinese = Flags(rawValue: 4)
    static let punctuation = Flags(rawValue: 8)
    static let nonspacingMark = Flags(rawValue: 16)
    static let decomposes = Flags(rawValue: 32)
    static let hasLowercase = Flags(rawValue: 64)
    static let combines = Flags(rawValue: 128)
    static let letter = Flags(rawValue: 256)
    static let number = Flags(rawValue: 512)
    static let wordPart = Flags(rawValue: 1024)
    static let notComposed = Flags(rawValue: 2048)

    /// Nothing of BERT's rules concerns such a scalar.
    @inline(__always)
    var isPlainToBert: Bool { rawValue & 0xff == 0 }
  }

  /// The one table, read at its first use.
  static let shared = UnicodeData()

  private let flags = AlignedBuffer<UInt16>(count: 0x110000)
  private var combiningClass = ScalarMap()
  private var decomposition = ScalarMap()
  private var lowercase = ScalarMap()

  private init() {
    mark(UnicodeTables.removedByCleaning, .removedByCleaning)
    mark(UnicodeTables.whitespace, .whitespace)
    mark(UnicodeTables.chinese, .chinese)
    mark(UnicodeTables.punctuation, .punctuation)
    mark(UnicodeTables.nonspacingMarks, .nonspacingMark)
    mark(TextClassTables.letters, .letter)
    mark(TextClassTables.numbers, .number)
    mark(TextClassTables.wordParts, .wordPart)
    mark(TextClassTables.notComposed, .notComposed)
    var key: UInt32 = 0
    for item in TableText.items(UnicodeTables.combiningClasses) {  // step + (length − 1) = class
      key += item[0]
      for scalar in key...key + item[1] {
        combiningClass.insert(scalar, item.dropFirst(2))
        mark(scalar, .combines)
      }
    }
    map(UnicodeTables.decompositions, .decomposes, &decomposition)
    for scalar in 0xac00...0xd7a3 as ClosedRange<UInt32> { mark(scalar, .decomposes) }
    map(UnicodeTables.lowercase, .hasLowercase, &lowercase)
  }

  @inline(__always)
  func flags(_ scalar: UInt32) -> Flags { Flags(rawValue: flags.pointer[Int(scalar)]) }

  /// 0 for a starter.
  func combiningClass(_ scalar: UInt32) -> UInt8 {
    combiningClass.values(scalar).first.map { UInt8(truncatingIfNeeded: $0) } ?? 0
  }

  /// The lower-case form, scalar by scalar, without context; of a scalar that has one.
  func lowercase(_ scalar: UInt32) -> ArraySlice<UInt32> { lowercase.values(scalar) }

  /// The full canonical decomposition, of a scalar that has one and is no Hangul syllable.
  func decomposition(_ scalar: UInt32) -> ArraySlice<UInt32> { decomposition.values(scalar) }

  /// Hangul syllables by arithmetic (Unicode §3.12); the tail is 0 where there is none. Nil for anything else.
  @inline(__always)
  static func syllable(_ scalar: UInt32) -> (lead: UInt32, vowel: UInt32, tail: UInt32)? {
    guard (0xac00...0xd7a3).contains(scalar) else { return nil }
    let index = scalar - 0xac00
    let tail = 0x11a7 + index % 28
    return (0x1100 + index / 588, 0x1161 + index % 588 / 28, tail == 0x11a7 ? 0 : tail)
  }

  private func mark(_ scalar: UInt32, _ flag: Flags) { flags.pointer[Int(scalar)] |= flag.rawValue }

  private func mark(_ table: StaticString, _ flag: Flags) {
    for range in TableText.ranges(table) {
      for scalar in range { mark(scalar, flag) }
    }
  }

  private func map(_ table: StaticString, _ flag: Flags, _ map: inout ScalarMap) {
    var key: UInt32 = 0
    for item in TableText.items(table) {
      key += item[0]
      map.insert(key, item.dropFirst())
      mark(key, flag)
    }
  }
}

/// Some scalars, each with a few numbers: pages of 256, of which most are shared and empty.
private struct ScalarMap: Sendable {
  private var pages = [UInt16](repeating: 0, count: 0x1100)
  /// Start in `numbers` << 8 | count.
  private var places = [UInt32](repeating: 0, count: 256)
  private var numbers: [UInt32] = []

  mutating func insert(_ scalar: UInt32, _ values: ArraySlice<UInt32>) {
    let page = Int(scalar >> 8)
    if pages[page] == 0 {
      pages[page] = UInt16(places.count / 256)
      places.append(contentsOf: repeatElement(0, count: 256))
    }
    places[Int(pages[page]) * 256 + Int(scalar & 255)] = UInt32(numbers.count << 8 | values.count)
    numbers.append(contentsOf: values)
  }

  func values(_ scalar: UInt32) -> ArraySlice<UInt32> {
    let place = places[Int(pages[Int(scalar >> 8)]) * 256 + Int(scalar & 255)]
    let start = Int(place >> 8)
    return numbers[start..<start + Int(place & 255)]
  }
}

/// Reads the tables' text.
enum TableText {
  /// Items parted by blanks; each item's numbers, parted by `+` and `=`.
  static func items(_ table: StaticString) -> [[UInt32]] {
    table.withUTF8Buffer { text in
      text.split(separator: UInt8(ascii: " ")).map { item in
        item.split { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "=") }.map { number in
          number.reduce(0) { $0 << 4 | UInt32($1 <= UInt8(ascii: "9") ? $1 - UInt8(ascii: "0") : $1 - 87) }
        }
      }
    }
  }

  /// Bounds of ranges, each said as its distance from the bound before.
  static func ranges(_ table: StaticString) -> [ClosedRange<UInt32>] {
    var (ranges, bound): ([ClosedRange<UInt32>], UInt32) = ([], 0)
    var first: UInt32?
    for item in items(table) {
      bound += item[0]
      if let start = first {
        ranges.append(start...bound)
        first = nil
      } else {
        first = bound
      }
    }
    return ranges
  }
}
