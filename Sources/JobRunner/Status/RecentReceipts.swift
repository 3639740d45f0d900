import Queue
import Synchronization

/// The last jobs that ended, for the status page: the database is asked once, at the start.
final class RecentReceipts: Sendable {
  private let lines = Mutex<[ReceiptLine]>([])
  /// As many as the page shows.
  static let limit = 20

  /// Takes a job that ended; a job that ended twice (an operator brought it back) has its last line.
  func add(_ line: ReceiptLine) {
    lines.withLock { lines in
      lines.removeAll { $0.job == line.job }
      lines.append(line)
      lines.sort { $0.finishedMs > $1.finishedMs }
      lines.removeLast(max(0, lines.count - Self.limit))
    }
  }

  /// Takes an attempt's end, where it is the job's.
  func note(_ lease: Lease, _ result: AttemptResult, at now: Timestamp) {
    let outcome: String
    switch result {
    case .finished(let commit): outcome = commit.outcome.rawValue
    case .cancelled: outcome = "cancelled"
    case .dead: outcome = "dead"
    default: return
    }
    add(
      ReceiptLine(
        job: lease.job, queue: lease.queue, outcome: outcome, finished: now, attempts: lease.attempt,
        bundleBytes: lease.bundleBytes))
  }

  /// Takes what the queue remembers, at the daemon's start.
  func note(_ jobs: [Job]) {
    for job in jobs {
      guard let finished = job.finishedAt else { continue }
      add(
        ReceiptLine(
          job: job.name, queue: job.queue, outcome: job.commit?.outcome.rawValue ?? job.state.rawValue,
          finished: finished, attempts: job.attempt, bundleBytes: job.bundleBytes))
    }
  }

  /// The newest first.
  var all: [ReceiptLine] { lines.withLock { $0 } }
}
