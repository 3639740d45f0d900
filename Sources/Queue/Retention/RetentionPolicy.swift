/// How long what has ended is kept. Nil: for ever.
package struct RetentionPolicy: Hashable, Sendable {
  /// After a job's end, before its bundle leaves the inbox (a dead job's stays until the job is pruned, for `retry`).
  package var inboxGrace: Duration?
  /// Before a job's row goes, by how it ended. The receipts and results in the object store are not the queue's.
  package var finished: Duration?
  package var cancelled: Duration?
  package var dead: Duration?
  /// Before the names of pruned jobs, the runs of schedules and the lanes and queues without jobs go. A bundle that comes
  /// back later than this is an unknown one; by then its manifest's `not_after` has long passed.
  package var records: Duration?

  package init(
    inboxGrace: Duration? = .days(1), finished: Duration? = .days(90), cancelled: Duration? = .days(90),
    dead: Duration? = .days(180), records: Duration? = .days(400)
  ) {
    self.inboxGrace = inboxGrace
    self.finished = finished
    self.cancelled = cancelled
    self.dead = dead
    self.records = records
  }

  /// The age at which the row of a job that ended so may go; nil for never.
  package func age(of state: JobState) -> Duration? {
    switch state {
    case .finished: finished
    case .cancelled: cancelled
    case .dead: dead
    case .held, .ready, .running, .retryWait: nil
    }
  }
}

extension Duration {
  /// Days of 24 hours.
  package static func days(_ days: Int64) -> Duration { .seconds(days * 86_400) }
}
