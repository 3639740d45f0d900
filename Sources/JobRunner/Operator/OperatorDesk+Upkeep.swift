import Queue
import Wire

// MARK: What touches many jobs at once

extension OperatorDesk {
  /// Jobs that one transaction brings back.
  static let retryBatch = 500
  /// What an answer says that has left something for the next request.
  static let runAgain = "; more is left, so run it again"

  /// Whether ``patience`` is over; asked between two steps of a verb that may be long, each of which does one at least.
  func untilPatienceEnds() -> () -> Bool {
    let end = ContinuousClock.now + patience
    return { ContinuousClock.now >= end }
  }

  /// Brings every dead job back, or those of one queue.
  func retryAllDead(_ request: OperatorRequest, at now: Timestamp) throws -> OperatorReply {
    let answer = { (name: QueueName?) throws -> OperatorReply in
      let isOver = untilPatienceEnds()
      var count = 0
      var revived: [JobName] = []
      repeat {
        revived = try queue.retryAllDead(queue: name, limit: Self.retryBatch, at: now)
        count += revived.count
        states.note(revived)
        workers.pool.wake()
      } while revived.count == Self.retryBatch && !isOver()
      let hasMore = revived.count == Self.retryBatch
      return .done(
        "dead jobs that will run again: \(count)" + (hasMore ? Self.runAgain : ""),
        ["retried": .number(Int64(count)), "queue": .optional(name?.rawValue), "more": .bool(hasMore)])
    }
    guard let text = request.queue else { return try answer(nil) }
    return try withQueue(text) { try answer($0) }
  }

  /// Does the janitor's work at once: with the daemon's ages, or with another age for one state.
  func prune(_ request: OperatorRequest) throws -> OperatorReply {
    var policy = janitor.policy
    if let days = request.olderThanDays {
      guard (0...36_500).contains(days) else { return .refused("an age is 0 to 36500 days") }
      let age = Duration.days(Int64(days))
      policy = RetentionPolicy(inboxGrace: nil, finished: nil, cancelled: nil, dead: nil, records: nil)
      switch request.state.flatMap(JobState.init) {
      case .finished: policy.finished = age
      case .cancelled: policy.cancelled = age
      case .dead: policy.dead = age
      default:
        return .refused("an age is for one state", remedy: "name one of: finished, cancelled, dead")
      }
    }
    let summary = try janitor.sweep(policy, isOver: untilPatienceEnds())
    var reply = OperatorReply.done(
      "jobs pruned: \(summary.prunedJobs); bundles taken out of the inbox: \(summary.cleared.count)"
        + (summary.hasMore ? Self.runAgain : ""),
      [
        "pruned": .number(Int64(summary.prunedJobs)), "bundles": .number(Int64(summary.cleared.count)),
        "cancels": .number(Int64(summary.cancels)), "records": .number(Int64(summary.records)),
        "adopted": .number(Int64(summary.adopted.count)), "unproven": .number(Int64(summary.unproven)),
        "more": .bool(summary.hasMore),
      ])
    if summary.unproven > 0 {
      reply.table = OperatorTable(
        name: "kept", columns: ["reason"], rows: summary.unprovenExamples.map { ["reason": .text($0)] })
    }
    return reply
  }
}
