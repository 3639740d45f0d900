import Queue
import Wire

/// A deliberate mistake in the store, in the driver's surroundings or in the disk, which the simulator must find. (That it
/// does is a test: invariants that never bite prove nothing.)
package enum Mutant: String, CaseIterable, Sendable {
  /// Calls with a lease that is no longer held are let through as if they had been made.
  case swallowsTheFence
  /// One bundle in eight is said to be known, and is not written down.
  case forgetsJobs
  /// Two workers get one job.
  case handsLeaseOutTwice
  /// Leases that ended are not taken back.
  case neverReaps
  /// A run of a schedule that exists already is opened once more under a later time.
  case repeatsRuns
  /// A cancel is answered, and not written down.
  case forgetsCancelledJobs
  /// The second commit takes the first one's place.
  case overwritesCommits
  /// Results are stored without the receipt.
  case storesNoReceipt
  /// An attempt does not look for a commit first.
  case looksForNoCommit
  /// The disk says it has synced and has not.
  case lyingDisk

  /// The store with this mistake.
  func wrap(_ queue: any RetentionStore) -> any RetentionStore {
    switch self {
    case .overwritesCommits, .storesNoReceipt, .looksForNoCommit, .lyingDisk: queue
    default: MistakenQueue(base: queue, mistake: self)
    }
  }
}

/// A store with one mistake.
private final class MistakenQueue: RetentionStore, @unchecked Sendable {
  let base: any RetentionStore
  let mistake: Mutant
  private var lastLease: Lease?

  init(base: any RetentionStore, mistake: Mutant) {
    self.base = base
    self.mistake = mistake
  }

  private func unfenced<Value>(_ fallback: Value, _ call: () throws -> Value) throws -> Value {
    do { return try call() } catch QueueError.fenced where mistake == .swallowsTheFence { return fallback }
  }

  func enqueue(_ jobs: [NewJob], at now: Timestamp) throws -> [Bool] {
    guard mistake == .forgetsJobs else { return try base.enqueue(jobs, at: now) }
    var answers = try base.enqueue(jobs.filter { $0.name.bytes[1] % 8 != 0 }, at: now)
    return jobs.map { $0.name.bytes[1] % 8 == 0 ? false : answers.removeFirst() }
  }
  func claim(_ request: ClaimRequest, at now: Timestamp) throws -> Lease? {
    if mistake == .handsLeaseOutTwice, let lease = lastLease {
      lastLease = nil
      return lease
    }
    lastLease = try base.claim(request, at: now)
    return lastLease
  }
  func heartbeat(_ lease: Lease, leaseDuration: Duration, at now: Timestamp) throws -> Heartbeat {
    try base.heartbeat(lease, leaseDuration: leaseDuration, at: now)
  }
  func finish(_ lease: Lease, with commit: JobCommit, at now: Timestamp) throws {
    try unfenced(()) { try base.finish(lease, with: commit, at: now) }
  }
  func fail(_ lease: Lease, with fault: Fault, at now: Timestamp) throws -> Timestamp {
    try unfenced(now) { try base.fail(lease, with: fault, at: now) }
  }
  func release(_ lease: Lease, at now: Timestamp) throws { try unfenced(()) { try base.release(lease, at: now) } }
  func giveUp(_ lease: Lease, at now: Timestamp) throws { try unfenced(()) { try base.giveUp(lease, at: now) } }
  func cancel(_ lease: Lease, at now: Timestamp) throws { try unfenced(()) { try base.cancel(lease, at: now) } }
  func reap(_ scope: ReapScope, at now: Timestamp) throws -> [ReapedLease] {
    mistake == .neverReaps ? [] : try base.reap(scope, at: now)
  }
  func openRun(_ run: NewRun, at now: Timestamp) throws -> OpenedRun {
    let answer = try base.openRun(run, at: now)
    guard mistake == .repeatsRuns, run.trigger == .clock else { return answer }
    let later = NewRun(
      schedule: run.schedule, nominalAt: run.nominalAt + .milliseconds(1), trigger: .clock, queue: run.queue)
    _ = try base.openRun(later, at: now)
    return answer
  }
  func requestCancel(_ job: JobName, at now: Timestamp) throws -> CancelEffect {
    guard mistake == .forgetsCancelledJobs, try base.inspect(job)?.job.attempt == 0 else {
      return try base.requestCancel(job, at: now)
    }
    return .cancelled
  }

  func unrecordedCancels(_ statements: [ContentDigest]) throws -> [ContentDigest] {
    try base.unrecordedCancels(statements)
  }
  func recordCancel(_ statement: ContentDigest, of job: JobName, at now: Timestamp) throws -> CancelEffect {
    try base.recordCancel(statement, of: job, at: now)
  }
  func adopt(_ commit: JobCommit, of job: JobName, at now: Timestamp) throws -> Bool {
    try base.adopt(commit, of: job, at: now)
  }
  func raiseAttempts(of job: JobName, to number: Int64, at now: Timestamp) throws -> Bool {
    try base.raiseAttempts(of: job, to: number, at: now)
  }
  func retryDead(_ job: JobName, at now: Timestamp) throws { try base.retryDead(job, at: now) }
  func ended(
    _ state: JobState, before end: Timestamp, isCleared: Bool, after cursor: EndedCursor?, limit: Int
  ) throws -> [Job] {
    try base.ended(state, before: end, isCleared: isCleared, after: cursor, limit: limit)
  }
  func markCleared(_ jobs: [JobName], in state: JobState, at now: Timestamp) throws -> [JobName] {
    try base.markCleared(jobs, in: state, at: now)
  }
  func prune(_ jobs: [JobName]) throws -> Int { try base.prune(jobs) }
  func idleCancels(before end: Timestamp, limit: Int) throws -> [RecordedCancel] {
    try base.idleCancels(before: end, limit: limit)
  }
  func forgetCancels(_ cancels: [RecordedCancel]) throws { try base.forgetCancels(cancels) }
  func pruneRecords(before end: Timestamp, limit: Int) throws -> Int {
    try base.pruneRecords(before: end, limit: limit)
  }
  func retryAllDead(queue: QueueName?, limit: Int, at now: Timestamp) throws -> [JobName] {
    try base.retryAllDead(queue: queue, limit: limit, at: now)
  }
  func setPaused(_ isPaused: Bool, queue: QueueName, at now: Timestamp) throws {
    try base.setPaused(isPaused, queue: queue, at: now)
  }
  func skipRun(schedule: String, nominalAt: Timestamp, reason: SkipReason, at now: Timestamp) throws {
    try base.skipRun(schedule: schedule, nominalAt: nominalAt, reason: reason, at: now)
  }
  func clockRuns(of schedule: String, after moment: Timestamp) throws -> [RunID: Timestamp] {
    try base.clockRuns(of: schedule, after: moment)
  }
  func setAside(_ runs: [RunID]) throws { try base.setAside(runs) }
  func standing(of schedule: String, at now: Timestamp) throws -> ScheduleStanding {
    try base.standing(of: schedule, at: now)
  }
  func inspect(_ job: JobName) throws -> JobDetail? { try base.inspect(job) }
  func names(from first: JobName, through last: JobName, limit: Int) throws -> [JobName] {
    try base.names(from: first, through: last, limit: limit)
  }
  func list(_ filter: JobFilter) throws -> [Job] { try base.list(filter) }
  func stats() throws -> [QueueStats] { try base.stats() }
  func runs(of schedule: String, limit: Int) throws -> [Run] { try base.runs(of: schedule, limit: limit) }
  func run(_ id: RunID) throws -> Run? { try base.run(id) }
  func fillRuns() throws -> [RunID] { try base.fillRuns() }
}
