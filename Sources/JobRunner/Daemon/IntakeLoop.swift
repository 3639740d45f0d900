import Foundation
import Logging
import ObjectStore
import Queue

/// Looks into the inbox and at the schedules again and again, on a thread of its own. The listing is the truth.
final class IntakeLoop: @unchecked Sendable {
  private let queue: any QueueStore
  private let inbox: StoreInbox
  private let schedules: [ScheduleDefinition]
  private let clock: any QueueClock
  private let states: StateWriter
  private let interval: TimeInterval
  private let log: Logger
  private let onWork: @Sendable () -> Void
  private let loop = StoppableLoop()
  /// Used by the loop's thread alone.
  private var complaint = Complaint()
  private var ignored: [String] = []
  /// After a pass over a large inbox the loop rests so many times as long as it took, within the limit.
  private static let restFactor = 4.0
  private static let longestRestSeconds = 60.0

  init(
    queue: any QueueStore, inbox: StoreInbox, schedules: [ScheduleDefinition], clock: any QueueClock,
    states: StateWriter, interval: TimeInterval, log: Logger, onWork: @escaping @Sendable () -> Void
  ) {
    self.queue = queue
    self.inbox = inbox
    self.schedules = schedules
    self.clock = clock
    self.states = states
    self.interval = interval
    self.log = log
    self.onWork = onWork
  }

  func start() { loop.start { [self] in run() } }

  /// Ends the loop after the pass under way.
  func stop(within seconds: TimeInterval) { loop.stop(within: seconds) }

  private func run() {
    var intake = IntakeDriver(routes: InboxRoutes(schedules: schedules), store: queue, inbox: inbox)
    let scheduler = SchedulerDriver(schedules, store: queue)
    var seconds = interval
    repeat {
      let begin = Date()
      seconds = interval
      do {
        try pass(&intake, scheduler)
        let earned = min(-begin.timeIntervalSinceNow * IntakeLoop.restFactor, IntakeLoop.longestRestSeconds)
        seconds = max(interval, earned)
        complaint.clear()
      } catch {
        if complaint.isDue("\(error)") { log.warning("intake: \(error)") }
      }
    } while loop.rest(atMost: seconds)
  }

  private func pass(_ intake: inout IntakeDriver, _ scheduler: SchedulerDriver) throws {
    let now = clock.now()
    let reaped = try queue.reap(.expired, at: now)
    for lease in reaped { log.warning("lease expired", metadata: ["job": "\(lease.job)"]) }
    states.note(reaped.map(\.job))
    let summary = try intake.pass(at: now)
    for job in summary.newJobs { log.info("taken in", metadata: ["job": "\(job)"]) }
    for job in summary.cancelledJobs { log.info("cancelled", metadata: ["job": "\(job)"]) }
    states.note(summary.newJobs + summary.cancelledJobs)
    if summary.ignoredExamples != ignored {
      ignored = summary.ignoredExamples
      log.warning("\(summary.ignored) objects are no bundle within its limits and no cancel, such as \(ignored)")
    }
    var hasWork = !summary.newJobs.isEmpty
    for (schedule, runs) in try scheduler.turn(at: now).opened {
      for run in runs {
        log.info("schedule run opened", metadata: ["schedule": "\(schedule)", "run": "\(run)"])
        try states.note(membersOf: run)
        hasWork = true
      }
    }
    if hasWork { onWork() }
  }
}
