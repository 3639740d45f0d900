/// `host/databases/<id>.json`: a database that has served this store.
package struct DatabaseMark: Codable, Equatable, Sendable {
  package let database: String
  /// How often a daemon had started on it. A copy that was put back has noted fewer.
  package let starts: Int64
  /// The last of those starts, milliseconds since 1970 by that host's clock.
  package let startedMs: Int64
  /// The machine's name, for people.
  package let host: String
  /// The daemon's version.
  package let program: String

  package init(database: String, starts: Int64, startedMs: Int64, host: String, program: String) {
    self.database = database
    self.starts = starts
    self.startedMs = startedMs
    self.host = host
    self.program = program
  }

  enum CodingKeys: String, CodingKey {
    case database, starts, host, program
    case startedMs = "started_ms"
  }
}

/// `host/runs/<schedule>/<nominal>.json`: a nominal time that was met or passed over. Written once.
package struct RunRecord: Codable, Equatable, Sendable {
  package let schedule: String
  package let nominalMs: Int64
  /// `clock` or `operator`.
  package let cause: String
  package let openedMs: Int64
  /// Why there was no run; nil when there was one.
  package let skipped: String?

  package init(schedule: String, nominalMs: Int64, cause: String, openedMs: Int64, skipped: String?) {
    self.schedule = schedule
    self.nominalMs = nominalMs
    self.cause = cause
    self.openedMs = openedMs
    self.skipped = skipped
  }

  enum CodingKeys: String, CodingKey {
    case schedule, cause, skipped
    case nominalMs = "nominal_ms"
    case openedMs = "opened_ms"
  }
}

/// `host/settings/<id>.json`: what operators set in a database.
package struct SettingsRecord: Codable, Equatable, Sendable {
  /// A schedule that was added at run time, or that is paused.
  package struct Schedule: Codable, Equatable, Sendable {
    package let name: String
    /// Its YAML; nil for one of the schedules' folder.
    package let text: String?
    package let addedMs: Int64?
    package let pausedMs: Int64?

    package init(name: String, text: String?, addedMs: Int64?, pausedMs: Int64?) {
      self.name = name
      self.text = text
      self.addedMs = addedMs
      self.pausedMs = pausedMs
    }

    enum CodingKeys: String, CodingKey {
      case name, text
      case addedMs = "added_ms"
      case pausedMs = "paused_ms"
    }
  }

  /// Paused queues, and since when.
  package let pausedQueues: [String: Int64]
  package let schedules: [Schedule]
  /// Longest record that is read.
  package static let limitBytes = 8 << 20

  package init(pausedQueues: [String: Int64], schedules: [Schedule]) {
    self.pausedQueues = pausedQueues
    self.schedules = schedules
  }

  enum CodingKeys: String, CodingKey {
    case schedules
    case pausedQueues = "paused_queues"
  }
}
