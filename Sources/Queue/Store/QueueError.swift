import Wire

/// What a queue store throws, by what the caller does about it.
package enum QueueError: Error, Hashable, CustomStringConvertible {
  /// The job has moved on without this executor: stop, and touch nothing more of it.
  case fenced(JobName, attempt: Int64)
  /// No job has this name.
  case unknownJob(JobName)
  /// The operator asked for a move that the job's state does not allow.
  case illegalMove(JobName, from: JobState, to: JobState)
  /// The job's bundle is being taken out of the inbox, or has been: it cannot run again.
  case bundleCleared(JobName)
  /// An attempt tried to give up a job that may still be run.
  case notExhausted(JobName)
  /// Another process holds the database: only one daemon may run on it.
  case alreadyOpen(path: String)
  /// A newer version wrote the database; this one must not touch it.
  case schemaTooNew(path: String, schema: String, needs: String?)
  /// There is no database at the path, and none is made.
  case missing(path: String)
  /// No backup was made, and nothing of it is left.
  case backupRefused(path: String, reason: String)
  /// The disk or the database failed; nothing of the call took effect.
  case unavailable(String)
  /// The database holds what this program never writes.
  case corrupt(String)

  package var description: String {
    switch self {
    case .fenced(let job, let attempt): "attempt \(attempt) of job \(job) no longer holds its lease"
    case .unknownJob(let job): "no job \(job) in the queue"
    case .illegalMove(let job, let from, let to):
      "job \(job) is \(from.rawValue) and cannot become \(to.rawValue)"
    case .bundleCleared(let job): "job \(job) was kept for as long as it is to be; its bundle has left the inbox"
    case .notExhausted(let job): "job \(job) may still be run"
    case .alreadyOpen(let path): "\(path) is in use by another daemon; stop that one first"
    case .schemaTooNew(let path, let schema, let needs):
      "\(path) was written by a newer version of ephemeral (schema \"\(schema)\"): it needs "
        + (needs.map { "version \($0) or later" } ?? "a later version, and does not say which")
    case .missing(let path): "there is no database at \(path)"
    case .backupRefused(let path, let reason): "no backup at \(path): \(reason)"
    case .unavailable(let reason): "the queue's database failed: \(reason)"
    case .corrupt(let reason): "the queue's database is damaged: \(reason)"
    }
  }
}
