import Client
import Logging

/// How the daemon's log lines look.
enum LogFormat: String, Sendable, CaseIterable {
  /// `2026-01-01T00:00:00.000Z info claimed attempt=1 job=…`
  case text
  /// One JSON object a line.
  case json
}

extension LogFormat {
  /// One line, without its newline. Values are bounded, and no control character of a peer's words reaches a terminal.
  ///
  /// - Parameter millis: since 1970.
  func line(
    level: Logger.Level, message: String, metadata: Logger.Metadata, timeMs millis: Int64
  ) -> String {
    let time = LogTime.rfc3339(millis)
    let fields = metadata.sorted { $0.key < $1.key }
    switch self {
    case .text:
      let pairs = fields.map { "\(Self.word($0.key))=\(Self.quotedWhereNeeded($0.value))" }
      return ([time, level.rawValue, Self.printable(message, Self.messageLimit)] + pairs).joined(separator: " ")
    case .json:
      let head =
        [("time", Self.quoted(time)), ("level", Self.quoted(level.rawValue))]
        + [("message", Self.quoted(Self.cut(message, Self.messageLimit)))]
      let rest = fields.map { key, value in
        // A key of the metadata cannot take the place of one of the three.
        (head.contains { $0.0 == key } ? "field_\(key)" : Self.word(key), Self.json(value, depth: 0))
      }
      return "{\((head + rest).map { "\(Self.quoted($0.0)):\($0.1)" }.joined(separator: ","))}"
    }
  }

  /// Characters of a message, and of one value; what is longer is cut with an ellipsis.
  private static let messageLimit = 4000
  private static let valueLimit = 1000

  private static func cut(_ text: String, _ limit: Int) -> String {
    text.unicodeScalars.count <= limit
      ? text : String(String.UnicodeScalarView(text.unicodeScalars.prefix(limit))) + "…"
  }

  private static func printable(_ text: String, _ limit: Int) -> String {
    Shown.printable(cut(text, limit), limit: limit + 1)
  }

  /// Metadata's names are our own; a blank in one would break `key=value`.
  private static func word(_ key: String) -> String { key.replacing(" ", with: "_") }

  private static func quotedWhereNeeded(_ value: Logger.MetadataValue) -> String {
    let text = printable("\(value)", valueLimit)
    return text.isEmpty || text.contains(where: { $0 == " " || $0 == "\"" || $0 == "=" }) ? quoted(text) : text
  }

  private static func json(_ value: Logger.MetadataValue, depth: Int) -> String {
    switch value {
    case .stringConvertible(let number as any BinaryInteger): "\(number)"
    case .stringConvertible(let number as Double) where number.isFinite: "\(number)"
    case .stringConvertible(let flag as Bool): "\(flag)"
    case .dictionary(let members) where depth < 4:
      "{"
        + members.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(json($0.value, depth: depth + 1))" }
        .joined(separator: ",") + "}"
    case .array(let values) where depth < 4: "[\(values.map { json($0, depth: depth + 1) }.joined(separator: ","))]"
    default: quoted(cut("\(value)", valueLimit))
    }
  }

  private static func quoted(_ text: String) -> String { JSONLine.text(text).encoded }
}
