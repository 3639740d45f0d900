import Foundation
import Logging
import ObjectStore
import Queue
import Synchronization
import Wire

/// Writes `jobs/<name>/state.json`, for clients that see the store alone. The truth about a job is its commit.
///
/// Nobody waits for it: the others only note that a job has moved, and one thread writes what the queue says of it then.
/// So a slow store holds up no lease, and an older state never lands on a newer one. While the store is away, what is
/// noted waits; what a daemon that was killed had noted is lost.
final class StateWriter: @unchecked Sendable {
  private let store: any ObjectStore
  private let queue: any QueueStore
  private let clock: any QueueClock
  private let log: Logger
  private let loop = StoppableLoop("states", allowanceSeconds: 300)
  /// Whether it turns.
  var pulse: LoopPulse { loop.pulse }
  /// Jobs to write, with the items done.
  private let waiting = Mutex<[JobName: UInt64]>([:])
  /// Used by the writing thread alone.
  private var complaint = Complaint()

  private let pauseAfterFailureSeconds: TimeInterval

  init(
    store: any ObjectStore, queue: any QueueStore, clock: any QueueClock, log: Logger,
    pauseAfterFailureSeconds: TimeInterval = 5
  ) {
    self.pauseAfterFailureSeconds = pauseAfterFailureSeconds
    self.store = store
    self.queue = queue
    self.clock = clock
    self.log = log
  }

  /// Starts writing, on a thread of its own.
  func start() { loop.start { [self] in run() } }

  /// These jobs have moved.
  func note(_ jobs: some Sequence<JobName>) {
    waiting.withLock { for job in jobs { $0[job] = 0 } }
    loop.wake()
  }

  /// A running job has done so many items.
  func note(_ job: JobName, done: UInt64) {
    waiting.withLock { $0[job] = done }
    loop.wake()
  }

  /// Every member of a run has moved.
  func note(membersOf run: RunID) throws {
    var filter = JobFilter(run: run, limit: 1000)
    while true {
      let jobs = try queue.list(filter)
      guard let last = jobs.last else { return }
      note(jobs.map(\.name))
      filter.after = last.row
    }
  }

  /// Writes what is noted, as far as the time allows, and ends.
  func stop(within seconds: TimeInterval) { loop.stop(within: seconds) }

  private func run() {
    while let batch = next() {
      var rest = batch
      for (job, done) in batch {
        guard write(job, done: done) else { break }
        rest[job] = nil
      }
      if !rest.isEmpty { putBack(rest) }
    }
  }

  /// Waits for jobs; nil when the daemon stops and none is left.
  private func next() -> [JobName: UInt64]? {
    while true {
      // Asked before the look, so that what was noted before the stop is still written.
      let isLast = loop.isStopping
      let batch = waiting.withLock { jobs in
        defer { jobs = [:] }
        return jobs
      }
      if !batch.isEmpty { return batch }
      if isLast { return nil }
      _ = loop.rest()
    }
  }

  /// Keeps for later what could not be written, and rests; what was noted meanwhile is newer. A daemon that stops does
  /// not try again.
  private func putBack(_ rest: [JobName: UInt64]) {
    let goesOn = loop.rest(atMost: pauseAfterFailureSeconds, ignoringWakes: true)
    waiting.withLock { jobs in
      if goesOn { jobs.merge(rest) { newer, _ in newer } } else { jobs = [:] }
    }
  }

  /// False when the store cannot take it now.
  private func write(_ name: JobName, done: UInt64) -> Bool {
    do {
      guard let job = try queue.inspect(name)?.job else { return true }
      let record = JobStateRecord(
        state: job.state.rawValue, attempt: job.attempt, done: job.state == .running ? done : 0,
        updatedMs: clock.now().milliseconds)
      _ = try store.put(try ObjectKey(StoreLayout.state(name)), try StoreRecord.encode(record), .always)
      complaint.clear()
      return true
    } catch {
      if complaint.isDue("\(error)") { log.warning("state.json: \(error)", metadata: ["job": "\(name)"]) }
      guard let fault = error as? ObjectStoreError else { return true }
      return fault.kind == .invalid
    }
  }
}
