import Queue
import Wire

// What the janitor asks of the queue. Only what has ended may leave it, and its name stays known.

extension ObservedQueue {
  func markCleared(_ jobs: [JobName], in state: JobState, at now: Timestamp) throws -> [JobName] {
    let marked = try base.markCleared(jobs, in: state, at: now)
    for job in marked where !world.ledger.hasEnded(job) {
      world.ledger.breach("\(short(job)) was marked as cleared and has not ended")
    }
    return marked
  }

  func prune(_ jobs: [JobName]) throws -> Int {
    world.ledger.mayBeGone(jobs)
    let count = try base.prune(jobs)
    for job in jobs where try base.inspect(job) == nil { world.ledger.pruned(job) }
    if count > 0 { world.count("job pruned") }
    return count
  }

  func forgetCancels(_ cancels: [RecordedCancel]) throws {
    world.ledger.mayBeGone(cancels.map(\.job))
    try base.forgetCancels(cancels)
    if !cancels.isEmpty { world.count("cancel forgotten") }
  }

  func pruneRecords(before end: Timestamp, limit: Int) throws -> Int {
    world.ledger.recordsMayBeGone()
    let count = try base.pruneRecords(before: end, limit: limit)
    if count > 0 { world.count("records pruned") }
    return count
  }

  func retryAllDead(queue: QueueName?, limit: Int, at now: Timestamp) throws -> [JobName] {
    let jobs = try base.retryAllDead(queue: queue, limit: limit, at: now)
    for job in jobs { world.ledger.broughtBack(job) }
    return jobs
  }

  func ended(
    _ state: JobState, before end: Timestamp, isCleared: Bool, after cursor: EndedCursor?, limit: Int
  ) throws -> [Job] {
    try base.ended(state, before: end, isCleared: isCleared, after: cursor, limit: limit)
  }
  func idleCancels(before end: Timestamp, limit: Int) throws -> [RecordedCancel] {
    try base.idleCancels(before: end, limit: limit)
  }
}
