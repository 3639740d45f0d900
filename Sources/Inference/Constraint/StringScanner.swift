/// Where a JSON string is, byte by byte: whole UTF-8 characters, escapes, no control characters and no half of a
/// surrogate pair.
struct StringScanner: Hashable {
  enum Phase: Int32 {
    /// Before the opening quote.
    case start
    /// Between characters.
    case inside
    case escape
    // The four digits behind `\u`; behind a first `d` the second tells whether it is half of a pair.
    case hex1, hex2, hex2AfterD, hex3, hex4
    // The rest of a pair behind its first half's second digit.
    case high3, high4, lowBackslash, lowU, low1, low2, low3, low4
    // Continuation bytes that are missing; the second byte is bounded behind some first ones.
    case one, two, three, afterE0, afterED, afterF0, afterF4
    /// Behind the closing quote.
    case end
  }

  var phase = Phase.start

  /// Whether a byte at this place begins a character, rather than ending the string.
  func beginsCharacter(_ byte: UInt8) -> Bool { phase == .inside && byte != UInt8(ascii: "\"") }

  /// Goes over a byte; false where no string goes on so.
  mutating func step(_ byte: UInt8, allowsEscapes: Bool = true) -> Bool {
    guard let next = Self.next(phase, byte, allowsEscapes) else { return false }
    phase = next
    return true
  }

  private static func next(_ phase: Phase, _ byte: UInt8, _ allowsEscapes: Bool) -> Phase? {
    let isHex = isHex(byte)
    let continues = byte & 0xc0 == 0x80
    switch phase {
    case .start: return byte == UInt8(ascii: "\"") ? .inside : nil
    case .inside:
      switch byte {
      case UInt8(ascii: "\""): return .end
      case UInt8(ascii: "\\"): return allowsEscapes ? .escape : nil
      case 0x20..<0x80: return .inside
      case 0xc2...0xdf: return .one
      case 0xe0: return .afterE0
      case 0xed: return .afterED
      case 0xe1...0xef: return .two
      case 0xf0: return .afterF0
      case 0xf1...0xf3: return .three
      case 0xf4: return .afterF4
      default: return nil
      }
    case .escape: return byte == UInt8(ascii: "u") ? .hex1 : "\"\\/bfnrt".utf8.contains(byte) ? .inside : nil
    case .hex1: return isHex ? (byte | 0x20 == UInt8(ascii: "d") ? .hex2AfterD : .hex2) : nil
    case .hex2: return isHex ? .hex3 : nil
    case .hex2AfterD:
      guard isHex else { return nil }
      switch byte | 0x20 {
      case UInt8(ascii: "0")...UInt8(ascii: "7"): return .hex3
      case UInt8(ascii: "8"), UInt8(ascii: "9"), UInt8(ascii: "a"), UInt8(ascii: "b"): return .high3
      default: return nil
      }
    case .hex3: return isHex ? .hex4 : nil
    case .hex4: return isHex ? .inside : nil
    case .high3: return isHex ? .high4 : nil
    case .high4: return isHex ? .lowBackslash : nil
    case .lowBackslash: return byte == UInt8(ascii: "\\") ? .lowU : nil
    case .lowU: return byte == UInt8(ascii: "u") ? .low1 : nil
    case .low1: return byte | 0x20 == UInt8(ascii: "d") ? .low2 : nil
    case .low2: return (UInt8(ascii: "c")...UInt8(ascii: "f")).contains(byte | 0x20) && isHex ? .low3 : nil
    case .low3: return isHex ? .low4 : nil
    case .low4: return isHex ? .inside : nil
    case .one: return continues ? .inside : nil
    case .two: return continues ? .one : nil
    case .three: return continues ? .two : nil
    case .afterE0: return (0xa0...0xbf).contains(byte) ? .one : nil
    case .afterED: return (0x80...0x9f).contains(byte) ? .one : nil
    case .afterF0: return (0x90...0xbf).contains(byte) ? .two : nil
    case .afterF4: return (0x80...0x8f).contains(byte) ? .two : nil
    case .end: return nil
    }
  }

  private static func isHex(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
      UInt8(ascii: "A")...UInt8(ascii: "F"):
      true
    default: false
    }
  }
}
