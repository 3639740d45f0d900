/// What BERT's text rules need to know of a Unicode scalar, looked up in `UnicodeTables`.
struct UnicodeData: Sendable {
  /// The properties of one scalar.
  struct Flags: OptionSet, Sendable {
    let rawValue: UInt8
    static let removedByCleaning = Flags(rawValue: 1)
    static let whitespace = Flags(rawValue: 2)
    static let chinese = Flags(rawValue: 4)
    static let punctuation = Flags(rawValue: 8)
    static let nonspacingMark = Flags(rawValue: 16)
    static let decomposes = Flags(rawValue: 32)
    static let hasLowercase = Flags(rawValue: 64)
    static let combines = Flags(rawValue: 128)
  }

  /// The one table, read at its first use.
  static let shared = UnicodeData()

  private var flags = [UInt8](repeating: 0, count: 0x110000)
  private var combiningClass: [UInt32: UInt8] = [:]
  private var decomposition: [UInt32: [UInt32]] = [:]
  private var lowercase: [UInt32: [UInt32]] = [:]

  private init() {
    mark(UnicodeTables.removedByCleaning, .removedByCleaning)
    mark(UnicodeTables.whitespace, .whitespace)
    mark(UnicodeTables.chinese, .chinese)
    mark(UnicodeTables.punctuation, .punctuation)
    mark(UnicodeTables.nonspacingMarks, .nonspacingMark)
    var key: UInt32 = 0
    for item in Self.items(UnicodeTables.combiningClasses) {  // step + (length − 1) = class
      key += item[0]
      for scalar in key...key + item[1] {
        combiningClass[scalar] = UInt8(item[2])
        flags[Int(scalar)] |= Flags.combines.rawValue
      }
    }
    decomposition = map(UnicodeTables.decompositions, .decomposes)
    lowercase = map(UnicodeTables.lowercase, .hasLowercase)
  }

  func flags(_ scalar: UInt32) -> Flags { Flags(rawValue: flags[Int(scalar)]) }

  /// 0 for a starter.
  func combiningClass(_ scalar: UInt32) -> UInt8 { combiningClass[scalar] ?? 0 }

  /// The lower-case form, scalar by scalar, without context.
  func lowercase(_ scalar: UInt32) -> [UInt32] { lowercase[scalar] ?? [scalar] }

  /// The full canonical decomposition; Hangul syllables by arithmetic (Unicode §3.12).
  func decomposition(_ scalar: UInt32) -> [UInt32] {
    guard (0xac00...0xd7a3).contains(scalar) else { return decomposition[scalar] ?? [scalar] }
    let index = scalar - 0xac00
    let (lead, vowel, tail) = (0x1100 + index / 588, 0x1161 + index % 588 / 28, 0x11a7 + index % 28)
    return tail == 0x11a7 ? [lead, vowel] : [lead, vowel, tail]
  }

  private mutating func mark(_ table: StaticString, _ flag: Flags) {
    var bound: UInt32 = 0
    var first: UInt32?
    for item in Self.items(table) {
      bound += item[0]
      if let start = first {
        for scalar in start...bound { flags[Int(scalar)] |= flag.rawValue }
        first = nil
      } else {
        first = bound
      }
    }
  }

  private mutating func map(_ table: StaticString, _ flag: Flags) -> [UInt32: [UInt32]] {
    var map: [UInt32: [UInt32]] = [:]
    var key: UInt32 = 0
    for item in Self.items(table) {
      key += item[0]
      map[key] = Array(item.dropFirst())
      flags[Int(key)] |= flag.rawValue
    }
    if flag == .decomposes {
      for scalar in 0xac00...0xd7a3 { flags[scalar] |= flag.rawValue }
    }
    return map
  }

  /// The table's items, parted by blanks; each item's numbers, parted by `+` and `=`.
  private static func items(_ table: StaticString) -> [[UInt32]] {
    table.withUTF8Buffer { text in
      text.split(separator: UInt8(ascii: " ")).map { item in
        item.split { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "=") }.map { number in
          number.reduce(0) { $0 << 4 | UInt32($1 <= UInt8(ascii: "9") ? $1 - UInt8(ascii: "0") : $1 - 87) }
        }
      }
    }
  }
}
