import Wire

// The queue, as the daemon sees it. A store keeps these promises, and the conformance suite in Tests/QueueTests holds
// every store to them:
// - A call that returned has taken effect durably, and one that threw has not taken effect at all.
// - A job is claimed by at most one lease at a time; attempts only grow; no token comes twice.
// - A call with a lease takes effect only while that very lease is the job's, and changes exactly one row.
// - Nothing but a ``JobCommit`` makes a job finished, and a finished job never changes again.
// Time is always an argument, so that a simulator can own it.

/// Jobs, leases and schedule runs behind one engine.
package protocol QueueStore: Sendable {
  // MARK: Intake

  /// Adds jobs that are not yet known, all or none of them; known ones are left as they are. A job whose cancel came
  /// before it is added as cancelled.
  /// - Returns: for each job, in order, whether it is new.
  func enqueue(_ jobs: [NewJob], at now: Timestamp) throws -> [Bool]

  /// Which of these cancel statements have not been recorded yet.
  func unrecordedCancels(_ statements: [ContentDigest]) throws -> [ContentDigest]

  /// Records a verified cancel statement and applies it.
  func recordCancel(_ statement: ContentDigest, of job: JobName, at now: Timestamp) throws -> CancelEffect

  // MARK: Executor

  /// Takes the next job. Nil when there is nothing to do; paused queues are passed over.
  ///
  /// **Order.** The highest priority first, strictly. Among equals the lanes (one tenant's share of one queue) take turns:
  /// the one goes first whose last turn lies furthest back, and a new one stands at the end of the line. Within a lane
  /// the job goes first that has been ready for longest.
  ///
  /// **Bound.** While a job is its lane's next and no job of a higher priority is ready, at most one job of each other
  /// lane is claimed before it, however many those have and whatever lanes are added: with L lanes at most L - 1 jobs.
  /// A queue has at most ``QueueLimits/tenantsPerQueue`` tenants' lanes and its own.
  ///
  /// **No bound** holds across priorities: as long as jobs of a higher one come, lower ones wait. Only the host sets
  /// priorities (by inbox folder or schedule), and ``QueueStats/oldestReadyAt`` shows who waits.
  func claim(_ request: ClaimRequest, at now: Timestamp) throws -> Lease?

  /// Moves the lease on by `leaseDuration`, though never past the attempt's deadline.
  /// - Throws: ``QueueError/fenced(_:attempt:)``
  func heartbeat(_ lease: Lease, leaseDuration: Duration, at now: Timestamp) throws -> Heartbeat

  /// Ends the job by the commit that stands in the object store (its own, or one that it found there).
  /// - Throws: ``QueueError/fenced(_:attempt:)``
  func finish(_ lease: Lease, with commit: JobCommit, at now: Timestamp) throws

  /// Ends the attempt by a fault; the job waits for its next attempt.
  /// - Returns: when that is due.
  /// - Throws: ``QueueError/fenced(_:attempt:)``
  func fail(_ lease: Lease, with fault: Fault, at now: Timestamp) throws -> Timestamp

  /// Gives the job back because the daemon stops. It costs the job nothing and it keeps its place.
  /// - Throws: ``QueueError/fenced(_:attempt:)``
  func release(_ lease: Lease, at now: Timestamp) throws

  /// Ends an exhausted job as dead. The attempt must have looked for a commit and found none.
  /// - Throws: ``QueueError/fenced(_:attempt:)``, ``QueueError/notExhausted(_:)``
  func giveUp(_ lease: Lease, at now: Timestamp) throws

  /// Ends a job whose cancel was asked. The attempt must have looked for a commit and found none.
  /// - Throws: ``QueueError/fenced(_:attempt:)``
  func cancel(_ lease: Lease, at now: Timestamp) throws

  // MARK: Supervision

  /// Takes back leases that ended (or all of them, when the daemon starts: whoever held them is gone). Ends waits that
  /// are longer than any can be, since the clock was set back.
  func reap(_ scope: ReapScope, at now: Timestamp) throws -> [ReapedLease]

  /// Records a commit that stands in the object store, whatever the job's state: for an attempt that lost its lease
  /// between commit and finish.
  /// - Returns: whether the job was not finished before.
  /// - Throws: ``QueueError/unknownJob(_:)``
  func adopt(_ commit: JobCommit, of job: JobName, at now: Timestamp) throws -> Bool

  /// Counts a job's attempts on behind `number`, because the store has something of that one: it was made under a
  /// database that was lost. The job must not be running.
  /// - Returns: whether anything was changed.
  func raiseAttempts(of job: JobName, to number: Int64, at now: Timestamp) throws -> Bool

  // MARK: Operator

  /// Asks that a job stop. One that never ran is cancelled at once; otherwise the executor sees the request.
  func requestCancel(_ job: JobName, at now: Timestamp) throws -> CancelEffect

  /// Brings a dead job back, with a clean slate of faults.
  /// - Throws: ``QueueError/unknownJob(_:)``, ``QueueError/illegalMove(_:from:to:)``, ``QueueError/bundleCleared(_:)``
  func retryDead(_ job: JobName, at now: Timestamp) throws

  /// Stops or resumes claims from a queue; running jobs go on.
  func setPaused(_ isPaused: Bool, queue: QueueName, at now: Timestamp) throws

  /// A job with its history, nil when unknown.
  func inspect(_ job: JobName) throws -> JobDetail?

  /// Names of jobs from `first` to `last`, both included, in order: for names of which only the beginning is given.
  func names(from first: JobName, through last: JobName, limit: Int) throws -> [JobName]

  /// Jobs in the order of their arrival.
  func list(_ filter: JobFilter) throws -> [Job]

  /// Counts and ages, for `queue stats` and metrics.
  func stats() throws -> [QueueStats]

  // MARK: Schedules

  /// Opens a run and moves every job to ready that its queue holds at this moment. A run with the same schedule and nominal
  /// time is never opened twice.
  ///
  /// A run of many members takes them in steps, each of which is durable; one that was cut short, by a kill or an error, is
  /// running and gets the rest of the same members by ``fillRuns()`` or by the next run that is opened.
  func openRun(_ run: NewRun, at now: Timestamp) throws -> OpenedRun

  /// Gives runs that were cut short the rest of their members.
  /// - Returns: those runs.
  func fillRuns() throws -> [RunID]

  /// Notes that a nominal time passed without a run (overlap, late start), so that it is not considered again.
  func skipRun(schedule: String, nominalAt: Timestamp, reason: SkipReason, at now: Timestamp) throws

  /// The latest nominal time that the clock (not an operator) opened or passed over, and whether any member of any run
  /// has not ended. A time further ahead than ``ScheduleStanding/strayAfter`` does not count.
  func standing(of schedule: String, at now: Timestamp) throws -> ScheduleStanding

  /// Nominal times after `moment` that the clock opened or passed over; at most 1,000.
  func clockRuns(of schedule: String, after moment: Timestamp) throws -> [RunID: Timestamp]

  /// Makes runs of the clock an operator's, each a little beside its nominal time, at a moment that no cron expression can
  /// name: the clock opens that time again when it comes.
  func setAside(_ runs: [RunID]) throws

  /// The newest runs first, with what became of their members.
  func runs(of schedule: String, limit: Int) throws -> [Run]

  /// One run; nil when unknown.
  func run(_ id: RunID) throws -> Run?
}

/// What a cancel did.
package enum CancelEffect: String, Sendable {
  /// The job never ran and is cancelled.
  case cancelled
  /// The job ran or is running: the executor will see the request.
  case requested
  /// The job has already ended.
  case tooLate
  /// No such job yet; it will be cancelled should it arrive (statements only).
  case unknown
}

/// Which leases to take back.
package enum ReapScope: Sendable {
  /// Those whose time has come.
  case expired
  /// All: the process that held them is gone.
  case all
}

/// A lease that was taken back.
package struct ReapedLease: Hashable, Sendable {
  package let job: JobName
  package let attempt: Int64
  package let fault: FaultClass
}

/// A job and its attempts, oldest first.
package struct JobDetail: Hashable, Sendable {
  package let job: Job
  package let attempts: [Attempt]
}

/// What to list.
package struct JobFilter: Sendable {
  package var queue: QueueName?
  package var state: JobState?
  package var run: RunID?
  /// Only rows after this one (``Job/row``).
  package var after: Int64
  /// At most so many.
  package var limit: Int

  package init(
    queue: QueueName? = nil, state: JobState? = nil, run: RunID? = nil, after: Int64 = 0, limit: Int = 100
  ) {
    self.queue = queue
    self.state = state
    self.run = run
    self.after = after
    self.limit = limit
  }
}

/// One queue's figures.
package struct QueueStats: Hashable, Sendable {
  package let queue: QueueName
  package let isPaused: Bool
  /// Jobs by state; absent means none.
  package let counts: [JobState: Int64]
  /// Since when the longest waiting ready job has been ready.
  package let oldestReadyAt: Timestamp?
  /// The oldest last heartbeat of the running jobs.
  package let oldestHeartbeatAt: Timestamp?
}
