import Foundation
import Wire

// The operator's socket: one JSON object in a line from the command, one JSON object in a line back. It is reachable for
// the daemon's user alone (mode 0600), and carries no secret and no content of any bundle.

/// What an operator's command asks of the daemon.
struct OperatorRequest: Codable, Sendable {
  /// Which request it is.
  enum Verb: String, Codable, Sendable {
    case ping, stats, list, inspect, retry, cancel, pause, resume, drain
    case scheduleList = "schedule-list"
    case scheduleNext = "schedule-next"
    case scheduleRun = "schedule-run"
    case scheduleShow = "schedule-show"
    case epochs
  }

  var verb: Verb
  /// A job's name in hexadecimal.
  var job: String?
  /// A queue's name.
  var queue: String?
  /// A schedule's name.
  var schedule: String?
  /// A state, for `list`.
  var state: String?
  /// At most so many rows.
  var limit: Int?
}

/// One row of a table that a command prints.
typealias OperatorRow = [String: String]

/// The daemon's answer.
struct OperatorReply: Codable, Sendable {
  /// Nil when the request was carried out.
  var error: String?
  /// Set beside `error` when what the request names does not exist.
  var isMissing: Bool?
  /// What was done, for a person.
  var message: String?
  /// The rows of a table, with the columns in `columns`.
  var columns: [String]?
  var rows: [OperatorRow]?

  static func done(_ message: String) -> OperatorReply { OperatorReply(message: message) }
  static func refused(_ reason: String) -> OperatorReply { OperatorReply(error: reason) }
  static func missing(_ reason: String) -> OperatorReply { OperatorReply(error: reason, isMissing: true) }
  static func table(_ columns: [String], _ rows: [OperatorRow]) -> OperatorReply {
    OperatorReply(columns: columns, rows: rows)
  }
}

/// JSON lines over a channel.
enum OperatorLine {
  /// Longest line; a list of ten thousand jobs fits.
  static let limit = 8 << 20

  static func send(_ value: some Encodable, to channel: Channel) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    try channel.write(Array(try encoder.encode(value)) + [UInt8(ascii: "\n")])
  }

  static func receive<Value: Decodable>(_ type: Value.Type, from channel: Channel, limit: Int) throws -> Value? {
    var line: [UInt8] = []
    while true {
      let piece = try channel.read(upTo: 16 << 10)
      if piece.isEmpty {
        guard line.isEmpty else { throw WireError.truncated("operator's line") }
        return nil
      }
      line += piece
      guard line.count <= limit else { throw WireError.tooLarge("operator's line", limit: limit) }
      if line.last == UInt8(ascii: "\n") { break }
    }
    return try JSONDecoder().decode(type, from: Data(line))
  }
}
