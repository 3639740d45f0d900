/// Operations on texts whose work or result may be large: each pays its meter before it runs.
struct TemplateStrings {
  private let interpreter: TemplateInterpreter

  init(_ interpreter: TemplateInterpreter) { self.interpreter = interpreter }

  func list(_ texts: [String]) throws(TemplateError) -> TemplateValue {
    try interpreter.meter.makeItems(texts.count)
    return try .list(of: texts.map { .string($0) })
  }

  func part(_ text: String, from start: Int = 0, to end: Int? = nil) -> String {
    let utf8 = text.utf8
    let from = utf8.index(utf8.startIndex, offsetBy: start)
    let to = end.map { utf8.index(utf8.startIndex, offsetBy: $0) } ?? utf8.endIndex
    return String(decoding: utf8[from..<to], as: UTF8.self)
  }

  /// The lines of a text, paid for before they are made.
  func lines(_ text: String, keepingEnds: Bool = false) throws(TemplateError) -> [String] {
    try interpreter.meter.read(text.utf8.count)
    try interpreter.meter.makeItems(TemplateText.lineEnds(in: text) + 1)
    return TemplateText.lines(text, keepingEnds: keepingEnds)
  }

  func ends(_ text: String, with part: String) -> Bool {
    text.utf8.count >= part.utf8.count && text.utf8.suffix(part.utf8.count).elementsEqual(part.utf8)
  }

  /// The places of `part` in a text that do not overlap, in bytes: the first ones, up to `limit` where it is not negative.
  private func places(_ part: [UInt8], in text: [UInt8], limit: Int) throws(TemplateError) -> [Int] {
    var places: [Int] = []
    var start = 0
    while limit < 0 || places.count < limit, let place = try interpreter.find(part, in: text, from: start) {
      places.append(place)
      start = place + part.count
      try interpreter.meter.make(MemoryLayout<Int>.size)
    }
    try interpreter.meter.read(text.count + part.count)
    return places
  }

  func split(_ text: String, by separator: String?, limit: Int, fromEnd: Bool) throws(TemplateError) -> [String] {
    guard let separator else { return try words(text, limit: limit, fromEnd: fromEnd) }
    guard !separator.isEmpty else { throw TemplateError(.evaluation, "an empty separator") }
    let (bytes, mark) = (Array(text.utf8), Array(separator.utf8))
    var places = try places(mark, in: bytes, limit: fromEnd ? -1 : limit)
    if fromEnd, limit >= 0 { places = Array(places.suffix(limit)) }
    try interpreter.meter.makeItems(places.count)
    var (parts, start): ([String], Int) = ([], 0)
    for place in places {
      parts.append(String(decoding: bytes[start..<place], as: UTF8.self))
      start = place + mark.count
    }
    return parts + [String(decoding: bytes[start...], as: UTF8.self)]
  }

  private func words(_ text: String, limit: Int, fromEnd: Bool) throws(TemplateError) -> [String] {
    try interpreter.meter.makeItems(text.utf8.count / 2)
    var scalars = text.unicodeScalars[...]
    var words: [String] = []
    func trimmed(_ scalars: Substring.UnicodeScalarView) -> Substring.UnicodeScalarView {
      var scalars = scalars
      while let last = scalars.last, TemplateText.isBlank(last) { scalars.removeLast() }
      return scalars
    }
    if fromEnd, limit >= 0 {
      scalars = trimmed(scalars)
      while words.count < limit, !scalars.isEmpty {
        let start =
          scalars.lastIndex(where: TemplateText.isBlank).map { scalars.index(after: $0) } ?? scalars.startIndex
        words.append(String(scalars[start...]))
        scalars = trimmed(scalars[..<start])
      }
      if !scalars.isEmpty { words.append(String(scalars)) }
      return words.reversed()
    }
    scalars = scalars.drop(while: TemplateText.isBlank)
    while !scalars.isEmpty {
      if limit >= 0, words.count == limit { return words + [String(scalars)] }
      let word = scalars.prefix { !TemplateText.isBlank($0) }
      words.append(String(word))
      scalars = scalars[word.endIndex...].drop(while: TemplateText.isBlank)
    }
    return words
  }

  func partition(_ text: String, _ separator: String, fromEnd: Bool) throws(TemplateError) -> TemplateValue {
    guard !separator.isEmpty else { throw TemplateError(.evaluation, "an empty separator") }
    let parts = try split(text, by: separator, limit: 1, fromEnd: fromEnd)
    let three = parts.count == 2 ? [parts[0], separator, parts[1]] : fromEnd ? ["", "", text] : [text, "", ""]
    return .tuple(try TemplateList(three.map { .string($0) }))
  }

  func replace(_ text: String, _ old: String, by new: String, limit: Int) throws(TemplateError) -> String {
    try interpreter.meter.make(text.utf8.count + old.utf8.count + new.utf8.count)
    let (bytes, mark, other) = (Array(text.utf8), Array(old.utf8), Array(new.utf8))
    if mark.isEmpty {
      guard limit < 0 else { throw TemplateError(.evaluation, "`replace` of nothing so many times is not read") }
      let (grown, overflow) = (text.unicodeScalars.count + 1).multipliedReportingOverflow(by: other.count)
      try interpreter.meter.make(overflow ? .max : grown)
      var result = other
      for byte in bytes {
        // A code point ends where the next one begins.
        if byte & 0xc0 != 0x80, result.count > other.count { result += other }
        result.append(byte)
      }
      return String(decoding: bytes.isEmpty ? result : result + other, as: UTF8.self)
    }
    let places = try places(mark, in: bytes, limit: limit)
    let (grown, overflow) = places.count.multipliedReportingOverflow(by: other.count)
    try interpreter.meter.make(overflow ? .max : bytes.count + grown)
    var (result, start): ([UInt8], Int) = ([], 0)
    for place in places {
      result += bytes[start..<place]
      result += other
      start = place + mark.count
    }
    return String(decoding: result + bytes[start...], as: UTF8.self)
  }

  func find(_ part: String, in text: String, last: Bool) throws(TemplateError) -> Int {
    let (bytes, mark) = (Array(text.utf8), Array(part.utf8))
    let found =
      last ? try interpreter.findLast(mark, in: bytes) : try interpreter.find(mark, in: bytes, from: 0)
    // Python counts code points.
    return found.map { bytes[..<$0].reduce(0) { $0 + ($1 & 0xc0 == 0x80 ? 0 : 1) } } ?? -1
  }

  func count(_ part: String, in text: String) throws(TemplateError) -> Int {
    guard !part.isEmpty else { return text.unicodeScalars.count + 1 }
    return try places(Array(part.utf8), in: Array(text.utf8), limit: -1).count
  }

  /// Joins texts; other values are an error, as they are for Python's method.
  func join(_ items: [TemplateValue], by separator: String) throws(TemplateError) -> String {
    var texts: [String] = []
    for item in items {
      guard let text = item.string else { throw TemplateError(.evaluation, "`join` takes texts, not \(item.kind)") }
      texts.append(text)
      try interpreter.meter.make(text.utf8.count + separator.utf8.count)
    }
    return texts.joined(separator: separator)
  }

  func zeroFilled(_ text: String, _ width: Int) throws(TemplateError) -> String {
    let count = text.unicodeScalars.count
    let missing = width > count ? width - count : 0
    try interpreter.meter.make(missing)
    let zeros = String(repeating: "0", count: missing)
    guard let sign = text.unicodeScalars.first, sign == "-" || sign == "+" else { return zeros + text }
    return String(sign) + zeros + TemplateText.text(text.unicodeScalars.dropFirst())
  }
}
