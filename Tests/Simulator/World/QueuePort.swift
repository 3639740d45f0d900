import Queue
import Wire

/// The queue as one part of a daemon reaches it: each call may be slow, fail before or in the database, or be the last
/// that its process does. A zombie's port goes on to its successor's queue, as one of another host would on a shared
/// engine.
final class QueuePort: RetentionStore, @unchecked Sendable {
  unowned let world: World
  let process: DaemonProcess
  var isZombie = false

  init(_ world: World, _ process: DaemonProcess) {
    self.world = world
    self.process = process
  }

  private func call<Value>(_ edge: Edge, _ body: (any RetentionStore) throws -> Value) throws -> Value {
    try world.call(edge, by: self, body)
  }

  func enqueue(_ jobs: [NewJob], at now: Timestamp) throws -> [Bool] {
    try call(.enqueue) { try $0.enqueue(jobs, at: now) }
  }
  func unrecordedCancels(_ statements: [ContentDigest]) throws -> [ContentDigest] {
    try call(.unrecordedCancels) { try $0.unrecordedCancels(statements) }
  }
  func recordCancel(_ statement: ContentDigest, of job: JobName, at now: Timestamp) throws -> CancelEffect {
    try call(.recordCancel) { try $0.recordCancel(statement, of: job, at: now) }
  }
  func claim(_ request: ClaimRequest, at now: Timestamp) throws -> Lease? {
    try call(.claim) { try $0.claim(request, at: now) }
  }
  func heartbeat(_ lease: Lease, leaseDuration: Duration, at now: Timestamp) throws -> Heartbeat {
    try call(.heartbeat) { try $0.heartbeat(lease, leaseDuration: leaseDuration, at: now) }
  }
  func finish(_ lease: Lease, with commit: JobCommit, at now: Timestamp) throws {
    try call(.finish) { try $0.finish(lease, with: commit, at: now) }
  }
  func fail(_ lease: Lease, with fault: Fault, at now: Timestamp) throws -> Timestamp {
    try call(.fail) { try $0.fail(lease, with: fault, at: now) }
  }
  func release(_ lease: Lease, at now: Timestamp) throws { try call(.release) { try $0.release(lease, at: now) } }
  func giveUp(_ lease: Lease, at now: Timestamp) throws { try call(.giveUp) { try $0.giveUp(lease, at: now) } }
  func cancel(_ lease: Lease, at now: Timestamp) throws { try call(.cancel) { try $0.cancel(lease, at: now) } }
  func reap(_ scope: ReapScope, at now: Timestamp) throws -> [ReapedLease] {
    try call(.reap) { try $0.reap(scope, at: now) }
  }
  func adopt(_ commit: JobCommit, of job: JobName, at now: Timestamp) throws -> Bool {
    try call(.adopt) { try $0.adopt(commit, of: job, at: now) }
  }
  func raiseAttempts(of job: JobName, to number: Int64, at now: Timestamp) throws -> Bool {
    try call(.raiseAttempts) { try $0.raiseAttempts(of: job, to: number, at: now) }
  }
  func requestCancel(_ job: JobName, at now: Timestamp) throws -> CancelEffect {
    try call(.requestCancel) { try $0.requestCancel(job, at: now) }
  }
  func retryDead(_ job: JobName, at now: Timestamp) throws { try call(.retryDead) { try $0.retryDead(job, at: now) } }
  func setPaused(_ isPaused: Bool, queue: QueueName, at now: Timestamp) throws {
    try call(.setPaused) { try $0.setPaused(isPaused, queue: queue, at: now) }
  }
  func openRun(_ run: NewRun, at now: Timestamp) throws -> OpenedRun {
    try call(.openRun) { try $0.openRun(run, at: now) }
  }
  func fillRuns() throws -> [RunID] { try call(.standing) { try $0.fillRuns() } }
  func skipRun(schedule: String, nominalAt: Timestamp, reason: SkipReason, at now: Timestamp) throws {
    try call(.skipRun) { try $0.skipRun(schedule: schedule, nominalAt: nominalAt, reason: reason, at: now) }
  }
  func clockRuns(of schedule: String, after moment: Timestamp) throws -> [RunID: Timestamp] {
    try call(.standing) { try $0.clockRuns(of: schedule, after: moment) }
  }
  func setAside(_ runs: [RunID]) throws { try call(.skipRun) { try $0.setAside(runs) } }
  func standing(of schedule: String, at now: Timestamp) throws -> ScheduleStanding {
    try call(.standing) { try $0.standing(of: schedule, at: now) }
  }

  func markCleared(_ jobs: [JobName], in state: JobState, at now: Timestamp) throws -> [JobName] {
    try call(.markCleared) { try $0.markCleared(jobs, in: state, at: now) }
  }
  func prune(_ jobs: [JobName]) throws -> Int { try call(.prune) { try $0.prune(jobs) } }
  func forgetCancels(_ cancels: [RecordedCancel]) throws {
    try call(.forgetCancels) { try $0.forgetCancels(cancels) }
  }
  func pruneRecords(before end: Timestamp, limit: Int) throws -> Int {
    try call(.pruneRecords) { try $0.pruneRecords(before: end, limit: limit) }
  }
  func retryAllDead(queue: QueueName?, limit: Int, at now: Timestamp) throws -> [JobName] {
    try call(.retryAllDead) { try $0.retryAllDead(queue: queue, limit: limit, at: now) }
  }
  func ended(
    _ state: JobState, before end: Timestamp, isCleared: Bool, after cursor: EndedCursor?, limit: Int
  ) throws -> [Job] {
    try process.store.ended(state, before: end, isCleared: isCleared, after: cursor, limit: limit)
  }
  func idleCancels(before end: Timestamp, limit: Int) throws -> [RecordedCancel] {
    try process.store.idleCancels(before: end, limit: limit)
  }

  // Reads of the operator change nothing and end nothing.
  func inspect(_ job: JobName) throws -> JobDetail? { try process.store.inspect(job) }
  func names(from first: JobName, through last: JobName, limit: Int) throws -> [JobName] {
    try process.store.names(from: first, through: last, limit: limit)
  }
  func list(_ filter: JobFilter) throws -> [Job] { try process.store.list(filter) }
  func stats() throws -> [QueueStats] { try process.store.stats() }
  func runs(of schedule: String, limit: Int) throws -> [Run] { try process.store.runs(of: schedule, limit: limit) }
  func run(_ id: RunID) throws -> Run? { try process.store.run(id) }
}
