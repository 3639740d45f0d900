import Queue

/// Every place of the daemon at which a fault or a kill may strike: between the decision for an action and its effect, and
/// between the effect and its answer.
package enum Edge: String, CaseIterable, Sendable {
  // What an attempt does outside of the queue.
  case lookUpCommit, startJob, readRequest, sendPiece, appendResult, acknowledge, storeResults, writeCommit
  case deleteLeftovers
  // The inbox.
  case listInbox, examineCancel
  // The queue: executor, supervision, intake, operator, schedules.
  case claim, heartbeat, finish, fail, release, giveUp, cancel, adopt, raiseAttempts, reap
  case enqueue, unrecordedCancels, recordCancel
  case requestCancel, retryDead, setPaused
  case openRun, skipRun, standing
  // The janitor.
  case evidence, removeBundle, removeCancel, markCleared, prune, forgetCancels, pruneRecords, retryAllDead
  /// The database is opened, recovered and migrated.
  case open

  /// Whether the queue's database does it.
  package var isQueueCall: Bool {
    switch self {
    case .lookUpCommit, .startJob, .readRequest, .sendPiece, .appendResult, .acknowledge, .storeResults, .writeCommit,
      .deleteLeftovers, .listInbox, .examineCancel, .evidence, .removeBundle, .removeCancel:
      false
    case .claim, .heartbeat, .finish, .fail, .release, .giveUp, .cancel, .adopt, .raiseAttempts, .reap, .enqueue,
      .unrecordedCancels,
      .recordCancel, .requestCancel, .retryDead, .setPaused, .openRun, .skipRun, .standing, .open,
      .markCleared, .prune, .forgetCancels, .pruneRecords, .retryAllDead:
      true
    }
  }

  /// How much likelier than elsewhere a fault or a kill strikes here: what a world passes seldom is struck more often.
  var weight: Int64 {
    switch self {
    case .listInbox, .standing, .enqueue, .claim, .reap, .unrecordedCancels: 1
    case .readRequest, .lookUpCommit, .startJob, .examineCancel, .setPaused: 3
    case .sendPiece, .appendResult, .acknowledge, .openRun, .skipRun, .fail, .recordCancel: 6
    case .storeResults, .writeCommit, .finish, .open, .deleteLeftovers: 10
    case .release, .cancel, .heartbeat, .requestCancel: 20
    case .evidence, .removeBundle, .markCleared, .pruneRecords: 6
    case .prune, .removeCancel, .forgetCancels, .retryAllDead: 20
    case .giveUp, .adopt, .raiseAttempts, .retryDead: 60
    }
  }

  /// When a process can be killed here. A queue's call may die between two operations of the disk, and results between
  /// two files; what is one request to one server, and what only reads, has no middle.
  package var moments: [KillMoment] {
    switch self {
    case .storeResults, .deleteLeftovers: KillMoment.allCases
    case .open: [.within]
    case .unrecordedCancels, .standing: [.before, .after]
    default: isQueueCall ? KillMoment.allCases : [.before, .after]
    }
  }
}

/// When a kill strikes.
package enum KillMoment: String, CaseIterable, Sendable {
  /// Decided, and not begun.
  case before
  /// Between two of its writes.
  case within
  /// It took effect, and nobody has heard of it.
  case after
}
