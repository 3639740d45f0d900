import Client
import Foundation
import Queue

/// A daemon's answer as programs and people read it.
enum OperatorAnswer {
  /// One object: the facts, and the table's rows under the table's name.
  static func json(_ reply: OperatorReply) -> JSONLine {
    let facts = (reply.facts ?? [:]).sorted { $0.key < $1.key }.map { ($0.key, json($0.value)) }
    let tables = reply.table.map { [($0.name, JSONLine.array($0.rows.map(json)))] } ?? []
    return .object(facts + tables)
  }

  /// What was done, then a table with aligned columns.
  static func lines(_ reply: OperatorReply) -> [String] {
    let message = ((reply.message.map { [$0] } ?? []) + (reply.details ?? [])).map { Shown.printable($0, limit: 1000) }
    guard let table = reply.table else { return message }
    let titles = table.columns.map { ($0.hasSuffix("_ms") ? String($0.dropLast(3)) : $0) }
      .map { $0.replacing("_", with: " ").uppercased() }
    let cells = table.rows.map { row in table.columns.map { text(row[$0] ?? .null, of: $0) } }
    let widths = titles.indices.map { column in ([titles] + cells).map { $0[column].count }.max() ?? 0 }
    let lines = ([titles] + cells).map { line in
      zip(line, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }.joined(separator: "  ")
    }
    return message + lines + (table.rows.isEmpty ? ["(none)"] : [])
  }

  private static func json(_ row: OperatorRow) -> JSONLine {
    .object(row.sorted { $0.key < $1.key }.map { ($0.key, json($0.value)) })
  }

  private static func json(_ value: OperatorValue) -> JSONLine {
    switch value {
    case .null: .null
    case .bool(let value): .bool(value)
    case .number(let value): .signed(value)
    case .text(let value): .text(value)
    case .counts(let value): .object(value.sorted { $0.key < $1.key }.map { ($0.key, .signed($0.value)) })
    }
  }

  private static func text(_ value: OperatorValue, of key: String) -> String {
    switch value {
    case .null: "-"
    case .bool(let value): value ? "yes" : "no"
    case .number(let value) where key.hasSuffix("_ms"): Timestamp(milliseconds: value).iso8601
    case .number(let value): "\(value)"
    case .text(let value): Shown.printable(value, limit: 400)
    case .counts(let value) where value.isEmpty: "-"
    case .counts(let value):
      value.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }
  }
}

extension Timestamp {
  /// `2026-01-01T00:00:00Z`.
  var iso8601: String { Date(timeIntervalSince1970: Double(milliseconds) / 1000).ISO8601Format() }
}
