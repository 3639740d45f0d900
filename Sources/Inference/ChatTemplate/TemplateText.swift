/// What Python's texts do that Swift's do otherwise: they are rows of code points, equal only when these are.
enum TemplateText {
  /// Python's `isspace`, and its `\s`.
  static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09...0x0d, 0x1c...0x20, 0x85, 0xa0, 0x1680, 0x2000...0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000: true
    default: false
    }
  }

  /// What an error message quotes of a name: code points, since one letter may have any number of them.
  static func start(of name: String) -> String { text(name.unicodeScalars.prefix(64)) }

  static func equal(_ a: String, _ b: String) -> Bool { a.utf8.elementsEqual(b.utf8) }

  /// The order of UTF-8 is that of the code points.
  static func less(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

  static func text(_ scalars: some Sequence<Unicode.Scalar>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return String(view)
  }

  /// Without blanks, or without the given code points, at the ends that are named.
  static func strip(_ text: String, _ characters: String?, left: Bool = true, right: Bool = true) -> String {
    let set = characters.map { Set($0.unicodeScalars) }
    func goes(_ scalar: Unicode.Scalar) -> Bool { set?.contains(scalar) ?? isBlank(scalar) }
    var rest = text.unicodeScalars[...]
    if left { rest = rest.drop(while: goes) }
    while right, let last = rest.last, goes(last) { rest.removeLast() }
    return String(rest)
  }

  /// Python's `repr` of a float.
  static func text(_ value: Double) -> String {
    if value.isNaN { return "nan" }
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    return value.description
  }

  /// Python's `repr` of a text.
  static func quoted(_ text: String) -> String {
    let quote: Unicode.Scalar = text.utf8.contains(0x27) && !text.utf8.contains(0x22) ? "\"" : "'"
    var result = String.UnicodeScalarView()
    result.append(quote)
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result.append(contentsOf: "\\\\".unicodeScalars)
      case quote: result.append(contentsOf: ["\\", quote])
      case "\n": result.append(contentsOf: "\\n".unicodeScalars)
      case "\r": result.append(contentsOf: "\\r".unicodeScalars)
      case "\t": result.append(contentsOf: "\\t".unicodeScalars)
      default:
        if isPrintable(scalar) {
          result.append(scalar)
        } else {
          let digits = scalar.value < 0x100 ? 2 : scalar.value < 0x10000 ? 4 : 8
          let letter = digits == 2 ? "x" : digits == 4 ? "u" : "U"
          result.append(contentsOf: ("\\" + letter + hex(scalar.value, digits)).unicodeScalars)
        }
      }
    }
    result.append(quote)
    return String(result)
  }

  private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
    case .spaceSeparator: scalar == " "
    default: true
    }
  }

  static func hex(_ value: UInt32, _ digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
  }

  /// Every word's first letter large and the others small, where a word is a row of letters.
  static func title(_ text: String) -> String {
    var result = ""
    var inside = false
    for scalar in text.unicodeScalars {
      result += inside ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
      inside = scalar.properties.isCased
    }
    return result
  }

  /// The first letter large, the others small.
  static func capitalized(_ text: String) -> String {
    guard let first = text.unicodeScalars.first else { return "" }
    return first.properties.titlecaseMapping + lower(String(text.unicodeScalars.dropFirst()))
  }

  static func lower(_ text: String) -> String { text.lowercased() }
  static func upper(_ text: String) -> String { text.uppercased() }

  private static func endsLine(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x0a...0x0d, 0x1c...0x1e, 0x85, 0x2028, 0x2029: true
    default: false
    }
  }

  /// How many code points end a line: at least as many as there are lines before the last.
  static func lineEnds(in text: String) -> Int { text.unicodeScalars.reduce(0) { $0 + (endsLine($1) ? 1 : 0) } }

  /// Lines, with Python's idea of where one ends, and without these ends unless they are kept.
  static func lines(_ text: String, keepingEnds: Bool = false) -> [String] {
    var lines: [String] = []
    var line = String.UnicodeScalarView()
    var scalars = text.unicodeScalars.makeIterator()
    var next = scalars.next()
    while let scalar = next {
      next = scalars.next()
      guard endsLine(scalar) else {
        line.append(scalar)
        continue
      }
      if keepingEnds { line.append(scalar) }
      if scalar == "\r", next == "\n" {
        if keepingEnds { line.append("\n") }
        next = scalars.next()
      }
      lines.append(String(line))
      line = String.UnicodeScalarView()
    }
    if !line.isEmpty { lines.append(String(line)) }
    return lines
  }

  /// The number in a text, as Python's `int` reads it in base ten.
  static func integer(_ text: String) -> Int? {
    let digits = strip(text, nil)
    guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2b || $0 == 0x2d }) else { return nil }
    return Int(digits)
  }

  /// The number in a text, as Python's `float` reads it.
  static func float(_ text: String) -> Double? {
    let digits = strip(text, nil)
    guard digits.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }) else {
      guard digits.utf8.count <= 4 else { return nil }
      return ["inf": .infinity, "-inf": -.infinity, "nan": .nan][digits.lowercased()]
    }
    return Double(digits)
  }
}
