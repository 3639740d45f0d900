import Logging
import ObjectStore
import Queue
import Wire

/// Writes `jobs/<name>/state.json`, for clients that see the store alone. A failure is logged and forgotten: the truth
/// about a job is its commit.
final class StateWriter: Sendable {
  private let store: any ObjectStore
  private let clock: any QueueClock
  private let log: Logger

  init(store: any ObjectStore, clock: any QueueClock, log: Logger) {
    self.store = store
    self.clock = clock
    self.log = log
  }

  /// Writes what the queue says of these jobs now.
  func write(_ jobs: some Sequence<JobName>, asIn queue: any QueueStore) throws {
    for name in jobs {
      guard let job = try queue.inspect(name)?.job else { continue }
      write(name, state: job.state, attempt: job.attempt, done: 0)
    }
  }

  /// Writes the state of every member of a run.
  func write(membersOf run: RunID, in queue: any QueueStore) throws {
    var filter = JobFilter(run: run, limit: 1000)
    while true {
      let jobs = try queue.list(filter)
      for job in jobs { write(job.name, state: job.state, attempt: job.attempt, done: 0) }
      guard let last = jobs.last else { return }
      filter.after = last.row
    }
  }

  func write(_ job: JobName, state: JobState, attempt: Int64, done: UInt64) {
    let record = JobStateRecord(
      state: state.rawValue, attempt: attempt, done: done, updatedMs: clock.now().milliseconds)
    do {
      _ = try store.put(try ObjectKey(StoreLayout.state(job)), try StoreRecord.encode(record), .always)
    } catch {
      log.warning("state.json: \(error)", metadata: ["job": "\(job)"])
    }
  }
}
