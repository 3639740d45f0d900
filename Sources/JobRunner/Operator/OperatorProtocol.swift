import Foundation
import Queue
import Wire

// The operator's socket: one JSON object in a line from the command, one JSON object in a line back. It is reachable for
// the daemon's user alone (mode 0600), and carries no secret and no content of any bundle.

/// What an operator's command asks of the daemon.
struct OperatorRequest: Codable, Sendable {
  /// Which request it is.
  enum Verb: String, Codable, Sendable {
    case ping, stats, list, inspect, retry, cancel, pause, resume, drain, undrain, prune
    case scheduleList = "schedule-list"
    case scheduleNext = "schedule-next"
    case scheduleRun = "schedule-run"
    case scheduleShow = "schedule-show"
    case scheduleAdd = "schedule-add"
    case schedulePause = "schedule-pause"
    case scheduleResume = "schedule-resume"
    case scheduleRemove = "schedule-remove"
    case epochs
    case epochRotate = "epoch-rotate"
    case epochRetire = "epoch-retire"
    case status, workers
    case workerDrain = "worker-drain"
    case workerUndrain = "worker-undrain"
    case databaseBackup = "db-backup"
    case databaseCheck = "db-check"
    case databaseMigrate = "db-migrate"
    case databaseRebuild = "db-rebuild"
  }

  var verb: Verb
  /// A job's name in hexadecimal, or at least four digits of its beginning.
  var job: String?
  /// A queue's name.
  var queue: String?
  /// A schedule's name.
  var schedule: String?
  /// A state, for `list`.
  var state: String?
  /// At most so many rows.
  var limit: Int?
  /// An epoch's number.
  var epoch: UInt64?
  /// A worker's name.
  var worker: String?
  /// A schedule's definition as YAML, for `schedule-add`.
  var definition: String?
  /// What refusals call it.
  var file: String?
  /// For adding: another definition of that name gives way.
  var replace: Bool?
  /// For removing: although bundles wait.
  var force: Bool?
  /// A run's number, for `schedule-show`.
  var run: Int64?
  /// For `retry`: every dead job, of `queue` if that is named.
  var all: Bool?
  /// For `prune`: jobs of `state` that ended so long ago.
  var olderThanDays: Int?
  /// For retiring: the sealed seed too.
  var deleteSeed: Bool?
  /// An absolute path on the daemon's machine: where a backup goes.
  var path: String?
  /// How many backups stay in that folder; nil where the path is the file itself.
  var keep: Int?
  /// Only say what would be done.
  var dryRun: Bool?
}

/// One value of an answer, in JSON's own types.
enum OperatorValue: Codable, Sendable, Equatable {
  case null
  case bool(Bool)
  case number(Int64)
  case text(String)
  /// Numbers by name, such as members by state.
  case counts([String: Int64])

  static func optional(_ text: String?) -> OperatorValue { text.map { .text($0) } ?? .null }
  static func time(_ moment: Timestamp?) -> OperatorValue { moment.map { .number($0.milliseconds) } ?? .null }

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Int64.self) {
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .text(value)
    } else {
      self = .counts(try container.decode([String: Int64].self))
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .text(let value): try container.encode(value)
    case .counts(let value): try container.encode(value)
    }
  }
}

/// Values by key. The keys are what `--json` prints, so scripts rely on them: they stay (docs/quickstart.md lists them).
/// A key that ends in `_ms` is a time, in milliseconds since 1970.
typealias OperatorRow = [String: OperatorValue]

/// Rows under one name.
struct OperatorTable: Codable, Sendable {
  /// The rows' key in `--json`, such as `jobs`.
  let name: String
  /// The keys that a table for people shows, in order; a row may have more.
  let columns: [String]
  let rows: [OperatorRow]
}

/// The daemon's answer.
struct OperatorReply: Codable, Sendable {
  /// Nil when the request was carried out.
  var error: String?
  /// Beside `error`: what to do about it.
  var remedy: String?
  /// Set beside `error` when what the request names does not exist.
  var isMissing: Bool?
  /// What was done, for a person.
  var message: String?
  /// More for a person, between the message and the table.
  var details: [String]?
  /// The same for a program, or what there is to say of the one thing that the request names.
  var facts: OperatorRow?
  var table: OperatorTable?

  static func done(_ message: String, _ facts: OperatorRow) -> OperatorReply {
    OperatorReply(message: message, facts: facts)
  }
  static func refused(_ reason: String, remedy: String? = nil) -> OperatorReply {
    OperatorReply(error: reason, remedy: remedy)
  }
  static func missing(_ reason: String, remedy: String? = nil) -> OperatorReply {
    OperatorReply(error: reason, remedy: remedy, isMissing: true)
  }
  static func table(_ name: String, _ columns: [String], _ rows: [OperatorRow]) -> OperatorReply {
    OperatorReply(table: OperatorTable(name: name, columns: columns, rows: rows))
  }
}

/// JSON lines over a channel.
enum OperatorLine {
  /// Longest line; a list of ten thousand jobs fits.
  static let limit = 8 << 20
  /// Longest request; a schedule's definition fits, whatever JSON makes of its characters.
  static let requestLimit = 256 << 10

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
