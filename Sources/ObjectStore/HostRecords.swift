/// `host/databases/<id>.json`: a database that has served this store.
package struct DatabaseMark: Codable, Equatable, Sendable {
  package let database: String
  /// Grows with every start of a daemon, every backup, hour and run. A copy that was put back has a lower one.
  package let mark: Int64
  /// When this was written, milliseconds since 1970 by that host's clock.
  package let updatedMs: Int64
  /// The machine's name, for people.
  package let host: String
  /// The daemon's version.
  package let program: String

  package init(database: String, mark: Int64, updatedMs: Int64, host: String, program: String) {
    self.database = database
    self.mark = mark
    self.updatedMs = updatedMs
    self.host = host
    self.program = program
  }

  enum CodingKeys: String, CodingKey {
    case database, mark, host, program
    case updatedMs = "updated_ms"
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
