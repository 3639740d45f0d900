import Wire

// What the janitor does with a job that has ended, and the order that loses nothing when it is killed in between:
//
//   finished, cancelled   (grace)  evidence ─▶ bundle out of the inbox ─▶ mark          (age) ─▶ bundle once more ─▶ row
//   dead                                                        (age)  evidence ─▶ mark ─▶ bundle ─▶ row
//
//   and before the row of a cancelled or dead job goes: evidence once more
//
// - *Evidence* is read from the object store each time: of a finished job the very commit of its row and the receipt
//   with the digest that the commit names; of the others, that there is no commit. A commit that is found beside a
//   cancelled or dead job ends it as finished instead. Without evidence everything stays, and somebody is told.
// - A dead job is marked before its bundle goes, so that `retry` never brings back a job without a bundle.
// - Before the row goes the bundle is removed once more: a client may have sent it again. And a write of a commit that was
//   on its way when the job ended may have landed since: it is taken over, not forgotten.
// - A row's name stays known (`pruned`), so that even a bundle that comes back after all that is not run again.

/// What the object store has of a job's end.
package enum EndEvidence: Hashable, Sendable {
  /// `commit.json` stands, and beside it the receipt that it names, with that digest.
  case committed(JobCommit)
  /// There is no `commit.json`.
  case uncommitted
  /// Something of it is missing or is not what it should be; the words are for the operator.
  case unproven(String)
}

/// The object store, as the janitor needs it. Each call throws when the store does not answer.
package protocol EndedObjects {
  /// Reads what stands of a job's end.
  func evidence(of job: JobName) throws -> EndEvidence
  /// Removes `inbox/…/<name>.age`; one that is not there is no error.
  func removeBundle(of job: Job) throws
  /// Removes `inbox/cancel/<digest>.cose`; one that is not there is no error.
  func removeCancel(_ statement: ContentDigest) throws
}

/// What a pass did, for logs, metrics and `queue prune`.
package struct JanitorSummary: Hashable, Sendable {
  /// Jobs whose bundles left the inbox.
  package var cleared: [JobName] = []
  /// Rows that went.
  package var prunedJobs = 0
  /// Jobs that turned out to have a commit.
  package var adopted: [JobName] = []
  /// Cancel statements that left the inbox.
  package var cancels = 0
  /// Runs, names, lanes and queues that went.
  package var records = 0
  /// Jobs that stay because their end is not proven.
  package var unproven = 0
  /// The first few of those, with the reason.
  package var unprovenExamples: [String] = []
  /// Whether there is more to do at once.
  package var hasMore = false

  static let exampleLimit = 5

  package init() {}

  /// What a later pass did on top.
  package mutating func add(_ later: JanitorSummary) {
    cleared += later.cleared
    prunedJobs += later.prunedJobs
    adopted += later.adopted
    cancels += later.cancels
    records += later.records
    unproven += later.unproven
    unprovenExamples = Array((unprovenExamples + later.unprovenExamples).prefix(JanitorSummary.exampleLimit))
    hasMore = later.hasMore
  }
}

/// Takes what has ended out of the inbox and the queue. Used by one thread.
package struct Janitor {
  private let queue: any RetentionStore
  private let objects: any EndedObjects
  private let policy: RetentionPolicy
  /// Where each of the questions goes on: jobs without evidence must not keep the ones behind them waiting.
  private var cursors: [Question: EndedCursor] = [:]
  private var summary = JanitorSummary()
  private let isSweep: Bool
  /// What the pass under way has taken up.
  private var steps = 0

  /// Which jobs are looked for.
  private struct Question: Hashable {
    let state: JobState
    let isCleared: Bool
  }

  /// - Parameter isSweep: its passes together look at each job once, instead of beginning anew after the last.
  package init(
    queue: any RetentionStore, objects: any EndedObjects, policy: RetentionPolicy, isSweep: Bool = false
  ) {
    self.queue = queue
    self.objects = objects
    self.policy = policy
    self.isSweep = isSweep
  }

  /// One pass: `limit` jobs of each kind at most.
  ///
  /// - Parameter isOver: asked before each job but the first; the rest is left then, and said to be.
  /// - Throws: what queue or store threw; the pass can be made again at any time.
  package mutating func pass(
    at now: Timestamp, limit: Int = 200, isOver: () -> Bool = { false }
  ) throws -> JanitorSummary {
    summary = JanitorSummary()
    steps = 0
    for state in [JobState.finished, .cancelled] {
      if let grace = [policy.inboxGrace, policy.age(of: state)].compactMap(\.self).min() {
        try clear(state, before: now.earlier(by: grace), at: now, limit: limit, isOver)
      }
    }
    if let age = policy.dead { try clearDead(before: now.earlier(by: age), at: now, limit: limit, isOver) }
    for state in [JobState.finished, .cancelled, .dead] {
      if let age = policy.age(of: state) {
        try prune(state, before: now.earlier(by: age), at: now, limit: limit, isOver)
      }
    }
    if let age = policy.cancelled { try forgetCancels(before: now.earlier(by: age), limit: limit, isOver) }
    if let age = policy.records {
      summary.records = try queue.pruneRecords(before: now.earlier(by: age), limit: limit)
      if summary.records >= limit { summary.hasMore = true }
    }
    return summary
  }

  private mutating func clear(
    _ state: JobState, before end: Timestamp, at now: Timestamp, limit: Int, _ isOver: () -> Bool
  ) throws {
    try visit(Question(state: state, isCleared: false), before: end, limit: limit, isOver) { janitor, job in
      guard try janitor.isProven(job, at: now) else { return }
      try janitor.objects.removeBundle(of: job)
      if try janitor.mark(job, at: now) { janitor.summary.cleared.append(job.name) }
    }
  }

  private mutating func clearDead(
    before end: Timestamp, at now: Timestamp, limit: Int, _ isOver: () -> Bool
  ) throws {
    try visit(Question(state: .dead, isCleared: false), before: end, limit: limit, isOver) { janitor, job in
      guard try janitor.isProven(job, at: now), try janitor.mark(job, at: now) else { return }
      try janitor.objects.removeBundle(of: job)
      janitor.summary.cleared.append(job.name)
    }
  }

  private mutating func prune(
    _ state: JobState, before end: Timestamp, at now: Timestamp, limit: Int, _ isOver: () -> Bool
  ) throws {
    var doomed: [JobName] = []
    try visit(Question(state: state, isCleared: true), before: end, limit: limit, isOver) { janitor, job in
      guard try state == .finished || janitor.isProven(job, at: now) else { return }
      try janitor.objects.removeBundle(of: job)
      doomed.append(job.name)
    }
    summary.prunedJobs += try queue.prune(doomed)
  }

  private mutating func forgetCancels(before end: Timestamp, limit: Int, _ isOver: () -> Bool) throws {
    var removed: [RecordedCancel] = []
    for cancel in try queue.idleCancels(before: end, limit: limit) {
      if mustEnd(isOver) { break }
      try objects.removeCancel(cancel.statement)
      removed.append(cancel)
    }
    try queue.forgetCancels(removed)
    summary.cancels += removed.count
    if removed.count == limit { summary.hasMore = true }
  }

  /// Whether the pass ends before what comes next; its first step it takes in any case, so that passes come to an end.
  private mutating func mustEnd(_ isOver: () -> Bool) -> Bool {
    defer { steps += 1 }
    guard steps > 0, isOver() else { return false }
    summary.hasMore = true
    return true
  }

  /// Goes through a page of a question's jobs. What is left when time is over comes first in the next pass.
  private mutating func visit(
    _ question: Question, before end: Timestamp, limit: Int, _ isOver: () -> Bool,
    _ body: (inout Janitor, Job) throws -> Void
  ) throws {
    var visited = cursors[question]
    for job in try page(question, before: end, limit: limit) {
      if mustEnd(isOver) {
        cursors[question] = visited
        return
      }
      try body(&self, job)
      visited = EndedCursor(job) ?? visited
    }
  }

  /// Notes that a job's bundle is no longer in the inbox, or is about to leave it, and makes sure that a sweep comes to its
  /// row: it may have ended before those that the sweep has gone through.
  ///
  /// - Returns: whether the job was as the caller knows it.
  private mutating func mark(_ job: Job, at now: Timestamp) throws -> Bool {
    guard try !queue.markCleared([job.name], in: job.state, at: now).isEmpty else { return false }
    let question = Question(state: job.state, isCleared: true)
    if isSweep, let cursor = cursors[question], let own = EndedCursor(job),
      (own.finishedAt, own.row) <= (cursor.finishedAt, cursor.row)
    {
      cursors[question] = own.before()
    }
    return true
  }

  /// The next jobs of a question; after the last of them it begins anew, unless this is a sweep.
  private mutating func page(_ question: Question, before end: Timestamp, limit: Int) throws -> [Job] {
    let jobs = try queue.ended(
      question.state, before: end, isCleared: question.isCleared, after: cursors[question], limit: limit)
    if jobs.count == limit { summary.hasMore = true }
    let last = jobs.last.flatMap(EndedCursor.init)
    cursors[question] = jobs.count == limit ? last : isSweep ? last ?? cursors[question] : nil
    return jobs
  }

  /// Whether the store bears out how the job ended.
  private mutating func isProven(_ job: Job, at now: Timestamp) throws -> Bool {
    switch (try objects.evidence(of: job.name), job.commit) {
    case (.committed(let commit), let own?) where commit == own: return true
    case (.uncommitted, nil): return true
    case (.committed(let commit), nil):
      if try queue.adopt(commit, of: job.name, at: now) { summary.adopted.append(job.name) }
      return false
    case (.committed, .some): return unproven(job, "its commit.json is not the commit that the queue recorded")
    case (.uncommitted, .some): return unproven(job, "its commit.json is not in the store")
    case (.unproven(let reason), _): return unproven(job, reason)
    }
  }

  private mutating func unproven(_ job: Job, _ reason: String) -> Bool {
    summary.unproven += 1
    if summary.unprovenExamples.count < JanitorSummary.exampleLimit {
      summary.unprovenExamples.append("\(job.name): \(reason)")
    }
    return false
  }
}

extension Timestamp {
  /// Saturates, as `+` does.
  fileprivate func earlier(by duration: Duration) -> Timestamp { self + (.zero - duration) }
}
