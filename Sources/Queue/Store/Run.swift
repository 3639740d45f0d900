import Wire

/// A run's number in this queue.
package struct RunID: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let rawValue: Int64

  package init(rawValue: Int64) { self.rawValue = rawValue }

  package static func < (left: RunID, right: RunID) -> Bool { left.rawValue < right.rawValue }

  package var description: String { "\(rawValue)" }
}

/// Who asked for a run.
package enum RunTrigger: String, CaseIterable, Sendable {
  case clock
  case operatorRequest = "operator"
}

/// Why a nominal time had no run.
package enum SkipReason: String, CaseIterable, Sendable {
  /// The run before it had not ended (`overlap: skip`).
  case overlap
  /// It was later than `startingDeadlineSeconds`.
  case tooLate = "too_late"
  /// A later nominal time stands for it (`catchup: latest`), or none is made up for (`catchup: none`).
  case catchup
  /// No nominal time at all: the schedule was seen for the first time, and its times count from here.
  case added
}

/// A run that is to be opened.
package struct NewRun: Hashable, Sendable {
  package let schedule: String
  /// The moment that the schedule names, which may lie before the moment at which the run is opened.
  package let nominalAt: Timestamp
  package let trigger: RunTrigger
  /// The queue whose held jobs become its members.
  package let queue: QueueName
  /// `overlap: replace`: members of earlier runs that are not yet running become members of this one.
  package let takesOver: Bool

  package init(
    schedule: String, nominalAt: Timestamp, trigger: RunTrigger, queue: QueueName, takesOver: Bool = false
  ) {
    self.schedule = schedule
    self.nominalAt = nominalAt
    self.trigger = trigger
    self.queue = queue
    self.takesOver = takesOver
  }
}

/// The answer to ``QueueStore/openRun(_:at:)``.
package enum OpenedRun: Hashable, Sendable {
  /// A new run with so many members.
  case opened(RunID, members: Int64)
  /// This schedule already has a run (or a skip) for this nominal time.
  case exists
}

/// A run and what became of its members.
package struct Run: Hashable, Sendable {
  package let id: RunID
  package let schedule: String
  package let nominalAt: Timestamp
  package let trigger: RunTrigger
  package let openedAt: Timestamp
  /// Set when the nominal time was passed over.
  package let skipped: SkipReason?
  /// Members by state, also those whose rows are gone; absent means none.
  package let members: [JobState: Int64]
  /// Finished members by what their receipts say; absent means none.
  package let outcomes: [JobOutcome: Int64]
  /// Whether it goes on taking members.
  package let isFilling: Bool
  /// Whether it had members of which the queue knows nothing: their rows went before such were counted, or it took place
  /// under another database.
  package let hasUnknownMembers: Bool

  /// Whether every member that is known has ended (an empty run ends when it is opened).
  package var isOver: Bool { !isFilling && members.allSatisfy { $0.key.isTerminal || $0.value == 0 } }

  /// What the run came to, in one word.
  package var status: RunStatus {
    if skipped != nil { return .skipped }
    guard isOver else { return .running }
    let all = members.values.reduce(0, +)
    if outcomes[.completed, default: 0] == all { return hasUnknownMembers ? .unknown : .completed }
    if outcomes[.completed, default: 0] + outcomes[.partial, default: 0] > 0 { return .partial }
    return hasUnknownMembers ? .unknown : .failed
  }
}

/// A run in one word.
package enum RunStatus: String, CaseIterable, Sendable {
  /// Every member's receipt says completed; also a run without members.
  case completed
  /// Some results are missing: a member was partial, failed, refused, cancelled or dead, and another gave results.
  case partial
  /// No member gave results.
  case failed
  /// It may have been any of these: what is still known of its members does not say.
  case unknown
  /// A member has not ended.
  case running
  /// The nominal time was passed over.
  case skipped
}
