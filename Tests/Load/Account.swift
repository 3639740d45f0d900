import Foundation
import Synchronization
import Wire

/// What the submitters sent and what the workers saw of it: kept apart from the daemon's own account, against which it is
/// held at the end.
final class Account: Sendable {
  struct Entry {
    let submitter: String
    var sentAt: Double
    var startedAt: Double?
    /// Its place among all first starts.
    var place: Int?
    /// A worker handed over a receipt for it; more than once where a commit could not be made the first time.
    var receipts = 0
    var attempts = 0
  }

  private struct State {
    var entries: [JobName: Entry] = [:]
    var starts = 0
    var receipts = 0
    var strangers = 0
  }

  private let state = Mutex(State())

  /// Seconds, by a clock that only goes forward.
  static var now: Double { ProcessInfo.processInfo.systemUptime }

  /// A bundle is about to be put into the inbox.
  func sent(_ job: JobName, by submitter: String) {
    state.withLock { $0.entries[job] = Entry(submitter: submitter, sentAt: Self.now) }
  }

  /// A worker has read a job's bundle.
  func started(_ job: JobName, attempt: UInt64) {
    state.withLock { state in
      guard var entry = state.entries[job] else { return state.strangers += 1 }
      entry.attempts += 1
      if entry.startedAt == nil {
        entry.startedAt = Self.now
        entry.place = state.starts
        state.starts += 1
      }
      state.entries[job] = entry
    }
  }

  /// A worker has handed over the receipt, and the host has taken it.
  func ended(_ job: JobName) {
    state.withLock { state in
      state.entries[job]?.receipts += 1
      state.receipts += 1
    }
  }

  var entries: [JobName: Entry] { state.withLock { $0.entries } }
  /// Jobs of which a worker has begun the first attempt.
  var starts: Int { state.withLock { $0.starts } }
  /// Receipts that the host has taken.
  var ended: Int { state.withLock { $0.receipts } }
  /// Bundles that nobody sent: zero, or something is badly wrong.
  var strangers: Int { state.withLock { $0.strangers } }
}
