import Queue
import Wire

/// The queue under test, each answer of which is told to the ``Ledger``. What a call answers here has taken effect, even
/// when the process that made it dies before it hears so.
struct ObservedQueue: RetentionStore, @unchecked Sendable {
  let base: any RetentionStore
  unowned let world: World

  /// A call with a lease. Where the ledger knows better than to let it through, the job must be the same afterwards.
  private func fenced<Value>(_ what: String, _ lease: Lease, _ call: () throws -> Value) throws -> Value {
    let holds = world.ledger.holds(lease)
    let before = holds ? nil : try? base.inspect(lease.job)
    do {
      let value = try call()
      world.ledger.applied(what, lease)
      return value
    } catch QueueError.fenced(let job, let attempt) {
      world.count("fenced: \(what)")
      if holds { world.ledger.breach("\(what) of \(short(job)) was fenced while its lease was valid") }
      if let before, let after = try? base.inspect(job), after != before {
        world.ledger.breach("a fenced \(what) changed \(short(job))")
      }
      throw QueueError.fenced(job, attempt: attempt)
    }
  }

  func enqueue(_ jobs: [NewJob], at now: Timestamp) throws -> [Bool] {
    let isNew = try base.enqueue(jobs, at: now)
    world.ledger.enqueued(jobs, isNew: isNew)
    for (job, isNew) in zip(jobs, isNew) where isNew {
      // A cancel that came first ends a job as it arrives.
      if (try? base.inspect(job.name))?.job.state == .cancelled { world.ledger.cancelled(job.name) }
    }
    return isNew
  }

  func unrecordedCancels(_ statements: [ContentDigest]) throws -> [ContentDigest] {
    try base.unrecordedCancels(statements)
  }

  func recordCancel(_ statement: ContentDigest, of job: JobName, at now: Timestamp) throws -> CancelEffect {
    observed(try base.recordCancel(statement, of: job, at: now), of: job)
  }

  func requestCancel(_ job: JobName, at now: Timestamp) throws -> CancelEffect {
    observed(try base.requestCancel(job, at: now), of: job)
  }

  private func observed(_ effect: CancelEffect, of job: JobName) -> CancelEffect {
    world.count("cancel: \(effect.rawValue)")
    if effect == .cancelled { world.ledger.cancelled(job) }
    return effect
  }

  func claim(_ request: ClaimRequest, at now: Timestamp) throws -> Lease? {
    let lease = try base.claim(request, at: now)
    if let lease { world.ledger.claimed(lease) }
    return lease
  }

  func heartbeat(_ lease: Lease, leaseDuration: Duration, at now: Timestamp) throws -> Heartbeat {
    try fenced("heartbeat", lease) { try base.heartbeat(lease, leaseDuration: leaseDuration, at: now) }
  }

  func finish(_ lease: Lease, with commit: JobCommit, at now: Timestamp) throws {
    try fenced("finish", lease) { try base.finish(lease, with: commit, at: now) }
    check(commit, of: lease.job)
    world.ledger.ended(lease, .finished, commit: commit)
  }

  func fail(_ lease: Lease, with fault: Fault, at now: Timestamp) throws -> Timestamp {
    let due = try fenced("fail", lease) { try base.fail(lease, with: fault, at: now) }
    world.count("fault: \(fault.faultClass.rawValue)")
    world.ledger.ended(lease, .retryWait)
    return due
  }

  func release(_ lease: Lease, at now: Timestamp) throws {
    try fenced("release", lease) { try base.release(lease, at: now) }
    world.ledger.ended(lease, .ready)
  }

  func giveUp(_ lease: Lease, at now: Timestamp) throws {
    try fenced("giveUp", lease) { try base.giveUp(lease, at: now) }
    world.ledger.ended(lease, .dead)
  }

  func cancel(_ lease: Lease, at now: Timestamp) throws {
    try fenced("cancel", lease) { try base.cancel(lease, at: now) }
    world.ledger.ended(lease, .cancelled)
  }

  func reap(_ scope: ReapScope, at now: Timestamp) throws -> [ReapedLease] {
    let reaped = try base.reap(scope, at: now)
    for lease in reaped {
      world.count("fault: \(lease.fault.rawValue)")
      world.ledger.reaped(lease)
    }
    return reaped
  }

  func adopt(_ commit: JobCommit, of job: JobName, at now: Timestamp) throws -> Bool {
    let isNew = try base.adopt(commit, of: job, at: now)
    check(commit, of: job)
    if isNew {
      world.count("commit adopted")
      world.ledger.adopted(commit, of: job)
    }
    return isNew
  }

  func raiseAttempts(of job: JobName, to number: Int64, at now: Timestamp) throws -> Bool {
    let isRaised = try base.raiseAttempts(of: job, to: number, at: now)
    if isRaised { world.ledger.raised(job, to: number) }
    return isRaised
  }

  private func check(_ commit: JobCommit, of job: JobName) {
    if world.shelf.commits[job] != commit {
      world.ledger.breach("\(short(job)) was finished by what is not its commit")
    }
  }

  func retryDead(_ job: JobName, at now: Timestamp) throws {
    try base.retryDead(job, at: now)
    world.ledger.broughtBack(job)
  }

  func setPaused(_ isPaused: Bool, queue: QueueName, at now: Timestamp) throws {
    try base.setPaused(isPaused, queue: queue, at: now)
  }

  func openRun(_ run: NewRun, at now: Timestamp) throws -> OpenedRun {
    let opened = try base.openRun(run, at: now)
    if case .opened = opened { world.ledger.opened(run) }
    return opened
  }

  func skipRun(schedule: String, nominalAt: Timestamp, reason: SkipReason, at now: Timestamp) throws {
    world.count("run skipped: \(reason.rawValue)")
    try base.skipRun(schedule: schedule, nominalAt: nominalAt, reason: reason, at: now)
  }

  func inspect(_ job: JobName) throws -> JobDetail? { try base.inspect(job) }
  func names(from first: JobName, through last: JobName, limit: Int) throws -> [JobName] {
    try base.names(from: first, through: last, limit: limit)
  }
  func list(_ filter: JobFilter) throws -> [Job] { try base.list(filter) }
  func stats() throws -> [QueueStats] { try base.stats() }
  func clockRuns(of schedule: String, after moment: Timestamp) throws -> [RunID: Timestamp] {
    try base.clockRuns(of: schedule, after: moment)
  }
  func setAside(_ runs: [RunID]) throws { try base.setAside(runs) }
  func standing(of schedule: String, at now: Timestamp) throws -> ScheduleStanding {
    try base.standing(of: schedule, at: now)
  }
  func runs(of schedule: String, limit: Int) throws -> [Run] { try base.runs(of: schedule, limit: limit) }
  func run(_ id: RunID) throws -> Run? { try base.run(id) }
  func fillRuns() throws -> [RunID] { try base.fillRuns() }
}
