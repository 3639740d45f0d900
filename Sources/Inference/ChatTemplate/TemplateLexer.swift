/// One piece of a template: text, or a token of an expression between the braces.
struct TemplateToken {
  enum Kind: Equatable {
    case data(String)
    case variableBegin, variableEnd, blockBegin, blockEnd
    case name(String)
    case string(String)
    case integer(Int)
    case float(Double)
    case op(String)
    case end
  }

  let kind: Kind
  let line: Int
}

/// Cuts a template into tokens as Jinja does with `trim_blocks` and `lstrip_blocks`, which is how `transformers` sets it:
/// the newline behind a block goes, and so do the blanks before one that begins its line.
struct TemplateLexer {
  /// Bytes of a name. Names are looked up at each step.
  static let nameBytesLimit = 256

  private let text: [UInt8]
  private var place = 0
  private var line = 1
  private var tokens: [TemplateToken] = []
  /// Whether what was cut last ended a line: blanks before a block at the template's head count as its line's begin.
  private var lineStarting = true

  /// Throws for anything that Jinja would not read, and for what is outside of the subset.
  static func tokens(of source: [UInt8]) throws(TemplateError) -> [TemplateToken] {
    var lexer = TemplateLexer(source)
    try lexer.run()
    return lexer.tokens
  }

  private init(_ source: [UInt8]) {
    // All newlines are one byte; the template's last one goes.
    var text: [UInt8] = []
    text.reserveCapacity(source.count)
    var index = 0
    while index < source.count {
      if source[index] == 0x0d {
        text.append(0x0a)
        if index + 1 < source.count, source[index + 1] == 0x0a { index += 1 }
      } else {
        text.append(source[index])
      }
      index += 1
    }
    if text.last == 0x0a { text.removeLast() }
    self.text = text
  }

  private func error(_ reason: String) -> TemplateError { TemplateError(.syntax, reason, line: line) }
  private mutating func add(_ kind: TemplateToken.Kind) { tokens.append(TemplateToken(kind: kind, line: line)) }

  private func byte(_ offset: Int = 0) -> UInt8 { place + offset < text.count ? text[place + offset] : 0 }

  private func at(_ word: StaticString, _ place: Int) -> Bool {
    let count = word.utf8CodeUnitCount
    guard text.count - place >= count else { return false }
    for i in 0..<count where text[place + i] != word.utf8Start[i] { return false }
    return true
  }

  private mutating func skip(to end: Int) {
    for index in place..<end where text[index] == 0x0a { line += 1 }
    place = end
  }

  private mutating func run() throws(TemplateError) {
    while place < text.count {
      guard let open = nextOpening() else {
        addData(place..<text.count)
        skip(to: text.count)
        break
      }
      let kind = text[open + 1]
      var inside = open + 2
      let sign = inside < text.count && (text[inside] == UInt8(ascii: "-") || text[inside] == UInt8(ascii: "+"))
      let mark = sign ? text[inside] : 0
      if sign { inside += 1 }
      addData(place..<dataEnd(open, mark: mark, isBlock: kind != UInt8(ascii: "{")))
      skip(to: inside)
      switch kind {
      case UInt8(ascii: "#"): try comment()
      case UInt8(ascii: "{"): try expression(closing: "}}", begin: .variableBegin, end: .variableEnd)
      default:
        if let raw = rawEnd() {
          try rawBlock(raw)
        } else {
          try expression(closing: "%}", begin: .blockBegin, end: .blockEnd)
        }
      }
    }
    add(.end)
  }

  private func nextOpening() -> Int? {
    var index = place
    while index + 1 < text.count {
      if text[index] == UInt8(ascii: "{") {
        let next = text[index + 1]
        if next == UInt8(ascii: "{") || next == UInt8(ascii: "%") || next == UInt8(ascii: "#") { return index }
      }
      index += 1
    }
    return nil
  }

  private mutating func addData(_ range: Range<Int>) {
    guard !range.isEmpty else { return }
    add(.data(String(decoding: text[range], as: UTF8.self)))
  }

  /// Where the text before an opening ends, once the blanks that it takes away are gone.
  private func dataEnd(_ open: Int, mark: UInt8, isBlock: Bool) -> Int {
    var end = open
    if mark == UInt8(ascii: "-") {
      while end > place, let blank = blankBefore(end) { end -= blank }
      return max(end, place)
    }
    guard mark != UInt8(ascii: "+"), isBlock else { return open }
    while end > place, text[end - 1] != 0x0a, let blank = blankBefore(end) { end -= blank }
    guard end >= place else { return open }
    return (end > place ? text[end - 1] == 0x0a : lineStarting) ? end : open
  }

  /// Bytes of the blank that ends at `end`.
  private func blankBefore(_ end: Int) -> Int? {
    var begin = end - 1
    while begin > place, text[begin] & 0xc0 == 0x80 { begin -= 1 }
    guard let scalar = String(decoding: text[begin..<end], as: UTF8.self).unicodeScalars.first else { return nil }
    return TemplateText.isBlank(scalar) ? end - begin : nil
  }

  /// Bytes of the blank at `place`.
  private func blankLength() -> Int? {
    guard place < text.count else { return nil }
    if text[place] < 0x80 { return TemplateText.isBlank(Unicode.Scalar(text[place])) ? 1 : nil }
    var end = place + 1
    while end < text.count, text[end] & 0xc0 == 0x80 { end += 1 }
    guard let scalar = String(decoding: text[place..<end], as: UTF8.self).unicodeScalars.first else { return nil }
    return TemplateText.isBlank(scalar) ? end - place : nil
  }

  private mutating func skipBlanks() { while let count = blankLength() { skip(to: place + count) } }

  /// Steps over a closing mark of two bytes, with its sign and what it takes away behind it.
  private mutating func close(trimsNewline: Bool) {
    let sign = byte()
    if sign == UInt8(ascii: "-") {
      skip(to: place + 3)
      skipBlanks()
    } else {
      skip(to: place + (sign == UInt8(ascii: "+") ? 3 : 2))
      if trimsNewline, sign != UInt8(ascii: "+"), byte() == 0x0a { skip(to: place + 1) }
    }
    lineStarting = place > 0 && text[place - 1] == 0x0a
  }

  private mutating func comment() throws(TemplateError) {
    while place < text.count {
      if at("#}", place) || ((byte() == 0x2d || byte() == 0x2b) && at("#}", place + 1)) {
        close(trimsNewline: true)
        return
      }
      skip(to: place + 1)
    }
    throw error("a comment without its end")
  }

  /// Where the content of `{% raw %}` begins, when this block is one, and whether it loses its first blanks.
  private func rawEnd() -> (Int, strips: Bool)? {
    var probe = self
    probe.skipBlanks()
    guard probe.at("raw", probe.place) else { return nil }
    probe.place += 3
    probe.skipBlanks()
    if probe.at("%}", probe.place) { return (probe.place + 2, false) }
    if probe.at("-%}", probe.place) { return (probe.place + 3, true) }
    return nil
  }

  private mutating func rawBlock(_ head: (Int, strips: Bool)) throws(TemplateError) {
    skip(to: head.0)
    lineStarting = false
    if head.strips { skipBlanks() }
    var open = place
    while open < text.count {
      if at("{%", open) {
        var probe = self
        probe.place = open + 2
        let mark = probe.byte()
        if mark == UInt8(ascii: "-") || mark == UInt8(ascii: "+") { probe.place += 1 }
        probe.skipBlanks()
        if probe.at("endraw", probe.place) {
          probe.place += 6
          probe.skipBlanks()
          let end = probe.place
          if at("%}", end) || ((probe.byte() == 0x2d || probe.byte() == 0x2b) && at("%}", end + 1)) {
            addData(place..<dataEnd(open, mark: mark, isBlock: true))
            skip(to: end)
            close(trimsNewline: true)
            return
          }
        }
      }
      open += 1
    }
    throw error("`raw` without its end")
  }

  private mutating func expression(
    closing: StaticString, begin: TemplateToken.Kind, end: TemplateToken.Kind
  ) throws(TemplateError) {
    add(begin)
    let isBlock = begin == .blockBegin
    var brackets: [UInt8] = []
    while true {
      skipBlanks()
      guard place < text.count else { throw error("an expression without its end") }
      let signed = byte() == UInt8(ascii: "-") || (isBlock && byte() == UInt8(ascii: "+"))
      if brackets.isEmpty, at(closing, place) || (signed && at(closing, place + 1)) {
        add(end)
        close(trimsNewline: isBlock)
        return
      }
      try token(&brackets)
    }
  }
}

extension TemplateLexer {
  private static let pairs: [StaticString] = ["//", "**", "==", "!=", ">=", "<="]

  private mutating func token(_ brackets: inout [UInt8]) throws(TemplateError) {
    let first = byte()
    switch first {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"):
      let start = place
      while Self.isWord(byte()) { place += 1 }
      guard place - start <= Self.nameBytesLimit else {
        throw error("a name of more than \(Self.nameBytesLimit) bytes")
      }
      return add(.name(String(decoding: text[start..<place], as: UTF8.self)))
    case UInt8(ascii: "\""), UInt8(ascii: "'"): return try string(quote: first)
    default: break
    }
    for pair in Self.pairs where at(pair, place) {
      add(.op(pair.description))
      place += 2
      return
    }
    guard "+-*/%~[](){}><=.:|,".utf8.contains(first) else { throw error("a character that no expression has") }
    switch first {
    case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"): brackets.append(first)
    case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"):
      let opening: [UInt8: UInt8] = [0x29: 0x28, 0x5d: 0x5b, 0x7d: 0x7b]
      guard let last = brackets.popLast(), last == opening[first] else { throw error("a bracket without its pair") }
    default: break
    }
    add(.op(String(Character(Unicode.Scalar(first)))))
    place += 1
  }

  private static func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  private mutating func number() throws(TemplateError) {
    let start = place
    func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    while isDigit(byte()) { place += 1 }
    var isFloat = false
    if byte() == UInt8(ascii: "."), isDigit(byte(1)) {
      isFloat = true
      place += 1
      while isDigit(byte()) { place += 1 }
    }
    if byte() | 0x20 == UInt8(ascii: "e") {
      let sign = byte(1) == UInt8(ascii: "+") || byte(1) == UInt8(ascii: "-") ? 2 : 1
      if isDigit(byte(sign)) {
        isFloat = true
        place += sign
        while isDigit(byte()) { place += 1 }
      }
    }
    let digits = String(decoding: text[start..<place], as: UTF8.self)
    guard place - start <= 64, !Self.isWord(byte()) else { throw error("a number that is not read") }
    if !isFloat, let value = Int(digits) { return add(.integer(value)) }
    guard isFloat, let value = Double(digits) else { throw error("a number too large") }
    add(.float(value))
  }

  private mutating func string(quote: UInt8) throws(TemplateError) {
    var bytes: [UInt8] = []
    let start = line
    skip(to: place + 1)
    while place < text.count {
      let next = byte()
      if next == quote {
        place += 1
        tokens.append(TemplateToken(kind: .string(String(decoding: bytes, as: UTF8.self)), line: start))
        return
      }
      if next == UInt8(ascii: "\\") {
        try escape(&bytes)
      } else {
        bytes.append(next)
        skip(to: place + 1)
      }
    }
    throw error("a string without its end")
  }

  /// Python's escapes; a backslash before anything else stays.
  private mutating func escape(_ bytes: inout [UInt8]) throws(TemplateError) {
    let next = byte(1)
    let plain: [UInt8: UInt8] = [
      0x5c: 0x5c, 0x27: 0x27, 0x22: 0x22, 0x61: 7, 0x62: 8, 0x66: 12, 0x6e: 10, 0x72: 13, 0x74: 9, 0x76: 11,
    ]
    if let value = plain[next] {
      bytes.append(value)
      return skip(to: place + 2)
    }
    let digits = [UInt8(ascii: "x"): 2, UInt8(ascii: "u"): 4, UInt8(ascii: "U"): 8][next]
    if let digits {
      let hex = text[min(place + 2, text.count)...].prefix(digits)
      guard hex.count == digits, hex.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit && $0 < 0x80 }),
        let code = UInt32(String(decoding: hex, as: UTF8.self), radix: 16), let scalar = Unicode.Scalar(code)
      else { throw error("an escape that is no character") }
      bytes.append(contentsOf: String(Character(scalar)).utf8)
      return skip(to: place + 2 + digits)
    }
    guard next != UInt8(ascii: "N"), !(UInt8(ascii: "0")...UInt8(ascii: "7")).contains(next) else {
      throw error("`\\N{…}` and octal escapes are not read")
    }
    if next != 0x0a { bytes.append(UInt8(ascii: "\\")) }
    if next == 0x0a { skip(to: place + 2) } else { skip(to: place + 1) }
  }
}
