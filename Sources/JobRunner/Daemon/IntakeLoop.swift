import Foundation
import Logging
import ObjectStore
import Queue
import Synchronization
import Wire

/// Looks into the inbox and at the schedules again and again, on a thread of its own. The listing is the truth.
final class IntakeLoop: @unchecked Sendable {
  private let queue: any QueueStore
  private let inbox: StoreInbox
  private let schedules: ScheduleBook
  private let clock: any QueueClock
  private let states: StateWriter
  private let interval: TimeInterval
  private let log: Logger
  private let events: any DaemonEvents
  private let onWork: @Sendable () -> Void
  private let loop = StoppableLoop("intake", allowanceSeconds: 600)
  /// When a pass has earned its rest: a hint does not cut that short.
  private let restedAt = Mutex(Date.distantPast)
  /// Whether it turns.
  var pulse: LoopPulse { loop.pulse }
  /// Used by the loop's thread alone.
  private var complaint = Complaint()
  private var ignored: [String] = []
  /// After a pass over a large inbox the loop rests so many times as long as it took, within the limit.
  private static let restFactor = 4.0
  private static let longestRestSeconds = 60.0
  private static let shortestRestSeconds = 0.05

  init(
    queue: any QueueStore, inbox: StoreInbox, schedules: ScheduleBook, clock: any QueueClock,
    states: StateWriter, interval: TimeInterval, log: Logger, events: any DaemonEvents = NoDaemonEvents(),
    onWork: @escaping @Sendable () -> Void
  ) {
    self.queue = queue
    self.inbox = inbox
    self.schedules = schedules
    self.clock = clock
    self.states = states
    self.interval = interval
    self.log = log
    self.events = events
    self.onWork = onWork
  }

  func start() { loop.start { [self] in run() } }

  /// One pass over the inbox alone, before the loop begins: nothing is run, and nothing is said of what it finds.
  ///
  /// - Returns: the jobs that were not known.
  func takeIn() throws -> [JobName] {
    try schedules.reload()
    var intake = IntakeDriver(routes: InboxRoutes(schedules: schedules.inForce), store: queue, inbox: inbox)
    let summary = try intake.pass(at: clock.now())
    log.info("inbox read", metadata: ["bundles": "\(summary.bundles)", "new": "\(summary.newJobs.count)"])
    return summary.newJobs
  }

  /// Looks again soon: a schedule came, went, or goes on.
  func wake() { loop.wake() }

  /// Something may have come. Looks soon, unless the last look was so long that the store deserves its rest.
  ///
  /// - Returns: false when it does; ask again.
  func hint() -> Bool {
    guard restedAt.withLock({ $0 <= Date() }) else { return false }
    loop.wake()
    return true
  }

  /// Ends the loop after the pass under way.
  func stop(within seconds: TimeInterval) { loop.stop(within: seconds) }

  private func run() {
    var intake = IntakeDriver(routes: InboxRoutes(schedules: schedules.inForce), store: queue, inbox: inbox)
    var seconds = interval
    repeat {
      let begin = Date()
      seconds = interval
      do {
        let nextDue = try pass(&intake)
        let earned = min(-begin.timeIntervalSinceNow * IntakeLoop.restFactor, IntakeLoop.longestRestSeconds)
        seconds = max(interval, earned)
        restedAt.withLock { $0 = Date(timeIntervalSinceNow: earned) }
        // A schedule begins at its time, however seldom the inbox is looked at.
        if let nextDue { seconds = min(seconds, max(Self.shortestRestSeconds, (nextDue - clock.now()).inSeconds)) }
        complaint.clear()
      } catch {
        events.intakeFailed(seconds: -begin.timeIntervalSinceNow)
        if complaint.isDue("\(error)") { log.warning("intake: \(error)") }
      }
    } while loop.rest(atMost: seconds)
  }

  /// - Returns: when a schedule is due next.
  private func pass(_ intake: inout IntakeDriver) throws -> Timestamp? {
    let now = clock.now()
    let begin = Date()
    intake.follow(InboxRoutes(schedules: schedules.inForce))
    let reaped = try queue.reap(.expired, at: now)
    for lease in reaped {
      log.warning("lease expired", metadata: ["job": "\(lease.job)"])
      events.leaseReaped(lease.fault)
    }
    states.note(reaped.map(\.job))
    let summary = try intake.pass(at: now)
    for job in summary.newJobs { log.info("taken in", metadata: ["job": "\(job)"]) }
    for job in summary.cancelledJobs { log.info("cancelled", metadata: ["job": "\(job)"]) }
    states.note(summary.newJobs + summary.cancelledJobs)
    events.intakePassed(summary, seconds: -begin.timeIntervalSinceNow, at: now)
    if summary.ignoredExamples != ignored {
      ignored = summary.ignoredExamples
      log.warning("\(summary.ignored) objects are no bundle within its limits and no cancel, such as \(ignored)")
    }
    var hasWork = !summary.newJobs.isEmpty
    let turn = try SchedulerDriver(schedules.ticking, store: queue).turn(by: clock)
    events.schedulesTurned(turn)
    for run in turn.filled {
      log.notice("schedule run has the rest of its members", metadata: ["run": "\(run)"])
      try states.note(membersOf: run)
      hasWork = true
    }
    for (schedule, runs) in turn.opened {
      for run in runs {
        log.info("schedule run opened", metadata: ["schedule": "\(schedule)", "run": "\(run)"])
        try states.note(membersOf: run)
        hasWork = true
      }
    }
    if hasWork { onWork() }
    return turn.nextDue
  }
}
