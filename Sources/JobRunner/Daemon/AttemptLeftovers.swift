import ObjectStore
import Queue
import Wire

/// What attempts that failed left in the store.
///
/// The danger is a commit that points at deleted files. A commit is written once and never changes, so beside one that
/// stands every other attempt's files may go. While there is none, the write of an attempt that ended with an unanswered
/// request may still arrive; but commits are written only behind the attempt's receipt, so files without one are safe to
/// delete then.
struct AttemptLeftovers {
  let store: any ObjectStore
  let job: JobName

  /// Deletes the files of every attempt but the commit's.
  ///
  /// - Parameter commit: one that stands in the store.
  func remove(besides commit: JobCommit) throws {
    for (attempt, keys) in try files() where attempt != commit.attempt { try keys.forEach(store.delete) }
  }

  /// Deletes the files of attempts that have no receipt. No attempt of the job may be under way: one daemon serves a
  /// store, and it runs a job's attempts one after another.
  func removeWithoutReceipt() throws {
    for (attempt, keys) in try files() {
      // Asked by name, since the listing may have ended before it.
      let receipt = try ObjectKey(StoreLayout.receipt(job, attempt: attempt))
      if try store.head(receipt) == nil { try keys.forEach(store.delete) }
    }
  }

  /// The highest number of an attempt of which the store has anything; nil where it has nothing.
  func highestAttempt() throws -> Int64? { try files().keys.max() }

  /// The keys of each attempt. What does not lie in a numbered folder is not the daemon's.
  private func files() throws -> [Int64: [ObjectKey]] {
    let prefix = StoreLayout.attempts(job)
    var files: [Int64: [ObjectKey]] = [:]
    var count = 0
    try store.forEach(prefix: prefix) { info in
      let parts = info.key.text.split(separator: "/", omittingEmptySubsequences: false)
      if info.key.text.hasPrefix(prefix), parts.count == 5, let attempt = Int64(parts[3]), "\(attempt)" == parts[3] {
        files[attempt, default: []].append(info.key)
      }
      // A folder that somebody else fills without end is not worth the memory.
      count += 1
      return count < Self.keysLimit
    }
    return files
  }

  /// A thousand attempts, several times over.
  private static let keysLimit = 10_000
}
