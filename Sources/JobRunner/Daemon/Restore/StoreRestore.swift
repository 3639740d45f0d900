import Foundation
import Logging
import ObjectStore
import Queue
import Wire

// A database may be new while its store is not (a lost disk, another machine), or older than it (a backup that was put
// back). The truth about a job is its commit, so nothing is computed twice whatever the database says: each attempt looks
// for a commit first. What is done here spares ten thousand such attempts, and brings back what only the host knew:
//
//   take the inbox in ─▶ runs and settings on record ─▶ list jobs/ ─▶ a commit: finished
//                                                                  └▶ none: count attempts on; cancelled stays cancelled
//
// - Nothing is claimed and no schedule ticks before it has ended.
// - It is made in pages, each in one transaction with the key that it came to: a daemon that is killed goes on from there.
// - Memory is a page's, whatever the store holds.

/// Brings a database up to the store, when the store knows more.
final class StoreRestore: Sendable {
  /// Why a database is brought up to the store.
  enum Reason: Equatable, CustomStringConvertible {
    case newDatabase
    case olderCopy(mark: Int64, known: Int64)
    case servedByAnother(DatabaseMark)
    case unfinished
    case asked

    var description: String {
      switch self {
      case .newDatabase: "the database is new, and the store holds the work of an earlier one"
      case .olderCopy(let mark, let known):
        "the database is an older copy: it stands at mark \(mark), and the store has heard of \(known)"
      case .servedByAnother(let mark):
        "another database has served this store since, last on \(mark.host): if a daemon still runs there, stop one of "
          + "the two"
      case .unfinished: "an earlier daemon did not come to the end of it"
      case .asked: "an operator asks for it"
      }
    }
  }

  private let queue: SQLiteQueue
  private let store: any ObjectStore
  private let memory: HostMemory
  private let clock: any QueueClock
  private let log: Logger
  /// Held over a restore, so that there is one at a time.
  private let lock = NSLock()
  /// Jobs of one page.
  private static let pageJobs = 500

  init(queue: SQLiteQueue, store: any ObjectStore, clock: any QueueClock, log: Logger) {
    self.queue = queue
    self.store = store
    self.clock = clock
    self.log = log
    memory = HostMemory(store: store)
  }

  /// Whether the store knows more than the database, and how; nil when it does not.
  func reason() throws -> Reason? {
    let standing = try queue.standing()
    if standing.restoredThrough != nil { return .unfinished }
    let marks = try permitted([]) { try memory.marks() }
    let own = marks.first { $0.database == standing.id }
    if let own, own.mark > standing.mark { return .olderCopy(mark: standing.mark, known: own.mark) }
    if let other = marks.max(by: { $0.updatedMs < $1.updatedMs }), other.database != standing.id,
      own != nil || standing.isEmpty
    {
      return own == nil ? .newDatabase : .servedByAnother(other)
    }
    guard standing.isEmpty, standing.mark == 0 else { return nil }
    return try store.list(prefix: StoreLayout.jobs, after: nil, limit: 1).entries.isEmpty ? nil : .newDatabase
  }

  /// Moves the database's mark on and tells the store: whatever copy there is is older from now on.
  func noteMark() throws {
    // The database first: a store that knows more than the database means a copy.
    let mark = try queue.moveMark()
    try memory.write(
      DatabaseMark(
        database: try queue.standing().id, mark: mark, updatedMs: clock.now().milliseconds,
        host: ProcessInfo.processInfo.hostName, program: Version.full))
  }

  /// Brings the database up to the store.
  ///
  /// - Parameters:
  ///   - takeIn: has the queue take in what lies in the inbox, and names what is new: it may be finished long ago.
  ///   - isStopping: asked at each page; the rest is done at the next start.
  /// - Returns: what was changed, and those of the new jobs that still wait.
  func run(
    _ reason: Reason, takeIn: () throws -> [JobName] = { [] }, isStopping: () -> Bool = { false }
  ) throws -> (counts: RestoreCounts, waiting: [JobName]) {
    lock.lock()
    defer { lock.unlock() }
    let begin = ContinuousClock.now
    log.notice("the queue is brought up to the store: \(reason)")
    var cursor = try queue.standing().restoredThrough ?? ""
    var new: [JobName] = []
    if cursor.isEmpty {
      try queue.noteRestore(through: "")
      // First: schedules decide which bundles are held.
      try bringBackSettings(reason)
      new = try takeIn()
    }
    var counts = RestoreCounts()
    while let page = try nextPage(after: cursor) {
      guard !isStopping() else { return (counts, []) }
      let known = Set(try queue.unfinished(among: page.jobs.map(\.name)))
      let jobs = try Lanes.map(page.jobs.filter { known.contains($0.name) }) { [self] in try look(at: $0) }
      counts += try queue.restore(jobs, through: page.end, at: clock.now())
      cursor = page.end
    }
    try queue.noteRestore(through: nil)
    log.notice(
      "the queue is up to the store",
      metadata: [
        "finished": "\(counts.adopted)", "cancelled": "\(counts.cancelled)", "released": "\(counts.released)",
        "attempts counted on": "\(counts.raised)",
        "seconds": "\((ContinuousClock.now - begin).wholeMilliseconds / 1000)",
      ])
    return (counts, try queue.unfinished(among: new))
  }

  // MARK: What only the host knew

  /// Notes that the store does not let this host read are as good as none: jobs must run all the same.
  private func permitted<Value>(_ otherwise: Value, _ body: () throws -> Value) throws -> Value {
    do { return try body() } catch let error as ObjectStoreError where error.kind == .denied {
      log.warning("the store does not let this host read its notes for a lost database (host/*): \(error)")
      return otherwise
    }
  }

  private func bringBackSettings(_ reason: Reason) throws {
    let runs = try queue.adoptRuns(try permitted([]) { try memory.runs() })
    if runs > 0 { log.notice("schedule runs that took place before are known again", metadata: ["runs": "\(runs)"]) }
    switch reason {
    // A database that is whole, and knows what was set in it.
    case .servedByAnother, .asked: return
    case .newDatabase, .olderCopy, .unfinished: break
    }
    let own = try queue.standing().id
    let marks = try permitted([]) { try memory.marks() }
    let source = marks.contains { $0.database == own } ? own : marks.max { $0.updatedMs < $1.updatedMs }?.database
    guard let source else { return }
    guard let settings = try permitted(nil, { try memory.settings(of: source) }) else {
      log.warning("no record of paused queues and of paused or added schedules: look at both, and pause them again")
      return
    }
    try queue.adopt(settings)
    let paused = settings.pausedQueues.keys.map(\.rawValue).sorted() + settings.schedules.map(\.name)
    log.notice(
      "pauses and added schedules are those on record",
      metadata: ["names": "\(paused.isEmpty ? "none" : paused.joined(separator: " "))"])
  }

  // MARK: The jobs' objects

  /// What a listing says of a job.
  private struct ListedJob: Sendable {
    let name: JobName
    var hasCommit = false
    var hasState = false
    var lastAttempt: Int64 = 0
  }

  /// Jobs whose folders were listed whole, and a key behind the last of them. Nil when there are none left.
  private func nextPage(after cursor: String) throws -> (jobs: [ListedJob], end: String)? {
    var jobs: [ListedJob] = []
    var folder = Substring()
    var end = ""
    var after = cursor.isEmpty ? nil : try ObjectKey(cursor)
    repeat {
      let page = try store.list(prefix: StoreLayout.jobs, after: after, limit: 1000)
      for entry in page.entries {
        let parts = entry.key.text.split(separator: "/")
        guard parts.count >= 3 else { continue }
        if parts[1] != folder {
          // The folder before is whole only now.
          if jobs.count >= Self.pageJobs { return (jobs, end) }
          folder = parts[1]
          if let name = JobName(hex: folder) { jobs.append(ListedJob(name: name)) }
        }
        // Behind everything that a daemon writes into the folder.
        end = "\(StoreLayout.jobs)\(folder)/~"
        if let last = jobs.indices.last, jobs[last].name.hex == folder { Self.note(parts, in: &jobs[last]) }
      }
      after = page.next
    } while after != nil
    return end.isEmpty ? nil : (jobs, end)
  }

  private static func note(_ parts: [Substring], in job: inout ListedJob) {
    switch parts[2] {
    case "commit.json" where parts.count == 3: job.hasCommit = true
    case "state.json" where parts.count == 3: job.hasState = true
    case "attempts" where parts.count == 5:
      guard let number = Int64(parts[3]), "\(number)" == parts[3], number <= StoredJob.attemptLimit else { return }
      job.lastAttempt = max(job.lastAttempt, number)
    default: break
    }
  }

  private func look(at job: ListedJob) throws -> StoredJob {
    if job.hasCommit {
      let record = try memory.record(CommitRecord.self, StoreLayout.commit(job.name))
      if let commit = record?.commit {
        return StoredJob(name: job.name, commit: commit, lastAttempt: job.lastAttempt, state: nil)
      }
      // Its attempts will say the same, and wait for somebody to mend it.
      log.error("its commit in the store cannot be read", metadata: ["job": "\(job.name)"])
    }
    let said = job.hasState ? try memory.record(JobStateRecord.self, StoreLayout.state(job.name)) : nil
    return StoredJob(
      name: job.name, commit: nil, lastAttempt: max(job.lastAttempt, said?.attempt ?? 0),
      state: said.flatMap { JobState(rawValue: $0.state) })
  }
}
