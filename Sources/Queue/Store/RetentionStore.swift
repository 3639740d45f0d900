import Wire

// What ends a job's stay in the queue, in the only order that loses nothing:
//
//   the end is durable in the object store ─▶ bundle out of the inbox ─▶ `markCleared` ─▶ (age) ─▶ `prune`
//
// - Only a job that has ended can be marked, and only a marked one pruned: the schema refuses anything else.
// - A pruned job's name stays known: enqueueing it again changes nothing.
// - Every call takes a limit, or a list that the caller bounds.

/// A queue store with what the janitor and wholesale verbs of the operator need.
package protocol RetentionStore: QueueStore {
  /// Jobs that ended in `state` before `end`, the longest ended first.
  ///
  /// - Parameters:
  ///   - isCleared: those whose bundles have been taken out of the inbox, or those whose have not.
  ///   - cursor: where the last page ended.
  func ended(
    _ state: JobState, before end: Timestamp, isCleared: Bool, after cursor: EndedCursor?, limit: Int
  ) throws -> [Job]

  /// Notes that these jobs' bundles leave the inbox. One that is no longer in `state` is left alone.
  /// - Returns: those that were marked, now or before.
  func markCleared(_ jobs: [JobName], in state: JobState, at now: Timestamp) throws -> [JobName]

  /// Deletes the rows and the history of jobs that have been cleared; others are left alone.
  /// - Returns: how many went.
  func prune(_ jobs: [JobName]) throws -> Int

  /// Cancel statements that were recorded before `end` and whose job is not in the queue, the oldest first.
  func idleCancels(before end: Timestamp, limit: Int) throws -> [RecordedCancel]

  /// Forgets cancel statements. The names of their jobs stay known, so that a bundle that comes late is not run.
  func forgetCancels(_ cancels: [RecordedCancel]) throws

  /// Deletes runs without members (though never a schedule's newest) and names of pruned jobs, each older than `end`, and
  /// lanes and queues without jobs.
  /// - Returns: how many rows went; `limit` of a kind at most.
  func pruneRecords(before end: Timestamp, limit: Int) throws -> Int

  /// Brings dead jobs back, the first to arrive first, as ``QueueStore/retryDead(_:at:)`` does one.
  /// - Returns: their names; as many as `limit` when there may be more.
  func retryAllDead(queue: QueueName?, limit: Int, at now: Timestamp) throws -> [JobName]
}

/// A place in the order in which jobs ended.
package struct EndedCursor: Hashable, Sendable {
  package let finishedAt: Timestamp
  package let row: Int64

  /// The place behind `job`; nil for one that has not ended.
  package init?(_ job: Job) {
    guard let finishedAt = job.finishedAt else { return nil }
    self.finishedAt = finishedAt
    row = job.row
  }

  /// The same moment, before that job.
  package func before() -> EndedCursor { EndedCursor(finishedAt: finishedAt, row: row - 1) }

  private init(finishedAt: Timestamp, row: Int64) {
    self.finishedAt = finishedAt
    self.row = row
  }
}

/// A cancel statement that was seen.
package struct RecordedCancel: Hashable, Sendable {
  package let statement: ContentDigest
  package let job: JobName
  package let recordedAt: Timestamp
}
