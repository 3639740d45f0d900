/// Text from outside, made fit for a page and for a spreadsheet. File names, image names and reasons may have been chosen
/// by an attacker; what reads a report must see them as text and nothing else.
enum ReportText {
  private static let limit = 300

  /// Without characters that hide or turn text round, and bounded.
  static func clean(_ text: String) -> String {
    let shown = text.unicodeScalars.prefix(limit).map { scalar -> Character in
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: "?"
      default: Character(scalar)
      }
    }
    return String(shown) + (text.unicodeScalars.count > limit ? "…" : "")
  }

  /// For an element's content and for an attribute in double quotes.
  static func html(_ text: String) -> String {
    var escaped = ""
    for character in clean(text).unicodeScalars {
      switch character {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "'": escaped += "&#39;"
      default: escaped.unicodeScalars.append(character)
      }
    }
    return escaped
  }

  /// A field of RFC 4180, always quoted. What a spreadsheet would take for a formula gets an apostrophe before it: a
  /// quote alone does not keep it from being computed.
  static func csv(_ text: String) -> String {
    let cleaned = clean(text)
    let first = cleaned.unicodeScalars.first { !$0.properties.isWhitespace }
    let isFormula = first.map { "=+-@＝＋－＠|%".unicodeScalars.contains($0) } ?? false
    return "\"" + (isFormula ? "'" : "") + cleaned.replacing("\"", with: "\"\"") + "\""
  }
}
