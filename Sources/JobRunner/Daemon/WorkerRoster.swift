import Queue
import Synchronization
import Wire

/// The workers of the daemon as each other's executors see them, and what each could not open.
///
/// A bundle does not say which epoch it is sealed to, so the host learns only by trying that a worker holds no key to it.
/// Such a worker leaves the job to others that have not tried, as long as one of them is there to take it; when all have
/// tried, all may again, and the queue's own patience decides.
final class WorkerRoster: Sendable {
  /// One worker.
  struct Member: Sendable {
    let health: WorkerHealth
    /// Nil is all.
    let queues: [QueueName]?
  }

  private struct Unopened {
    let queue: QueueName
    var workers: [String: ContinuousClock.Instant]
  }

  private let members = Mutex<[Member]>([])
  private let unopened = Mutex<[JobName: Unopened]>([:])
  /// Jobs that are remembered; a claim names them all to the database.
  static let jobsLimit = 64
  /// Keys may be loaded meanwhile.
  private static let age = Duration.seconds(600)

  var all: [Member] { members.withLock { $0 } }

  func add(_ member: Member) { members.withLock { $0.append(member) } }

  /// `worker` holds no key that opens the job's bundle.
  func couldNotOpen(_ job: JobName, in queue: QueueName, worker: String) {
    unopened.withLock { jobs in
      jobs[job, default: Unopened(queue: queue, workers: [:])].workers[worker] = .now
      guard jobs.count > Self.jobsLimit else { return }
      let newest = { (entry: Unopened) in entry.workers.values.max() ?? .now }
      if let oldest = jobs.min(by: { newest($0.value) < newest($1.value) })?.key { jobs[oldest] = nil }
    }
  }

  /// The job has ended, or somebody opened it.
  func settle(_ job: JobName) { unopened.withLock { $0[job] = nil } }

  /// `worker` holds other keys than before.
  func keysChanged(at worker: String) {
    unopened.withLock { jobs in
      for job in jobs.keys { jobs[job]?.workers[worker] = nil }
      jobs = jobs.filter { !$0.value.workers.isEmpty }
    }
  }

  /// Jobs that `worker` does not claim, since another that serves their queue has yet to try them.
  func leftToOthers(by worker: String) -> [JobName] {
    let now = ContinuousClock.now
    let tried = unopened.withLock { jobs in
      jobs = jobs.compactMapValues { entry in
        let recent = entry.workers.filter { now - $0.value < Self.age }
        return recent.isEmpty ? nil : Unopened(queue: entry.queue, workers: recent)
      }
      return jobs.filter { $0.value.workers[worker] != nil }
    }
    guard !tried.isEmpty else { return [] }
    let others = all.filter { $0.health.name != worker && $0.health.isServing }
    return tried.filter { _, entry in
      others.contains { other in
        entry.workers[other.health.name] == nil && other.queues?.contains(entry.queue) ?? true
      }
    }.map(\.key)
  }
}
