import Wire

/// What the object store has of a job, for a queue whose database was lost or is an older copy.
package struct StoredJob: Hashable, Sendable {
  package let name: JobName
  /// What ended it; nil while nothing has.
  package let commit: JobCommit?
  /// The highest number of an attempt of which the store has anything, or that the host has spoken of; 0 for none.
  package let lastAttempt: Int64
  /// What the host said last of the job; nil when it said nothing that can be read.
  package let state: JobState?
  /// A higher number is no daemon's.
  package static let attemptLimit: Int64 = 1_000_000_000

  package init(name: JobName, commit: JobCommit?, lastAttempt: Int64, state: JobState?) {
    self.name = name
    self.commit = commit
    self.lastAttempt = max(0, min(lastAttempt, StoredJob.attemptLimit))
    self.state = state
  }
}

/// What bringing a queue up to the store changed.
package struct RestoreCounts: Hashable, Sendable {
  /// Jobs that are finished by the commit that stands in the store.
  package var adopted: Int64 = 0
  /// Jobs whose attempts go on behind those that the store has.
  package var raised: Int64 = 0
  /// Jobs that were cancelled, as the host had said.
  package var cancelled: Int64 = 0
  /// Jobs that a run had taken before, and that need not wait for the next.
  package var released: Int64 = 0

  package init() {}

  package static func += (sum: inout RestoreCounts, more: RestoreCounts) {
    sum.adopted += more.adopted
    sum.raised += more.raised
    sum.cancelled += more.cancelled
    sum.released += more.released
  }
}

/// Which database this is, and how far it has come.
package struct DatabaseStanding: Hashable, Sendable {
  /// 32 hexadecimal digits, the same in every copy.
  package let id: String
  /// Grows with every start of a daemon, every backup, hour and run; 0 before the first.
  package let mark: Int64
  /// Whether no job was ever taken in.
  package let isEmpty: Bool
  /// The last key of the store that a restore under way has done; nil when none is under way.
  package let restoredThrough: String?
}

/// A run as the store remembers it.
package struct NotedRun: Hashable, Sendable {
  package let schedule: String
  package let nominalAt: Timestamp
  package let trigger: RunTrigger
  package let openedAt: Timestamp
  package let skipped: SkipReason?

  package init(schedule: String, nominalAt: Timestamp, trigger: RunTrigger, openedAt: Timestamp, skipped: SkipReason?) {
    self.schedule = schedule
    self.nominalAt = nominalAt
    self.trigger = trigger
    self.openedAt = openedAt
    self.skipped = skipped
  }
}

/// What operators set, and no bundle brings back.
package struct QueueSettings: Hashable, Sendable {
  package var pausedQueues: [QueueName: Timestamp]
  package var schedules: [SavedSchedule]

  package init(pausedQueues: [QueueName: Timestamp], schedules: [SavedSchedule]) {
    self.pausedQueues = pausedQueues
    self.schedules = schedules
  }
}
