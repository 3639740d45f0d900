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
  private let lock = NSCondition()
  /// Guarded by `lock`.
  private var isStopping = false
  private var hasEnded = false
  private var passWanted = false

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

  func start() { Thread.detachNewThread { [self] in run() } }

  /// Looks again now.
  func wake() {
    lock.lock()
    passWanted = true
    lock.broadcast()
    lock.unlock()
  }

  /// Ends the loop after the pass under way.
  func stop(within seconds: TimeInterval) {
    let limit = Date(timeIntervalSinceNow: seconds)
    lock.lock()
    isStopping = true
    lock.broadcast()
    while !hasEnded, lock.wait(until: limit) {}
    lock.unlock()
  }

  private func run() {
    var intake = IntakeDriver(routes: InboxRoutes(schedules: schedules), store: queue, inbox: inbox)
    let scheduler = SchedulerDriver(schedules, store: queue)
    while true {
      let now = clock.now()
      do {
        let reaped = try queue.reap(.expired, at: now)
        for lease in reaped { log.warning("lease expired", metadata: ["job": "\(lease.job)"]) }
        try states.write(reaped.map(\.job), asIn: queue)
        let summary = try intake.pass(at: now)
        for job in summary.newJobs { log.info("taken in", metadata: ["job": "\(job)"]) }
        for job in summary.cancelledJobs { log.info("cancelled", metadata: ["job": "\(job)"]) }
        try states.write(summary.newJobs + summary.cancelledJobs, asIn: queue)
        for (schedule, runs) in try scheduler.turn(at: now).opened {
          for run in runs {
            log.info("schedule run opened", metadata: ["schedule": "\(schedule)", "run": "\(run)"])
            try states.write(membersOf: run, in: queue)
          }
        }
        onWork()
      } catch {
        log.warning("intake: \(error)")
      }
      lock.lock()
      if !isStopping, !passWanted { _ = lock.wait(until: Date(timeIntervalSinceNow: interval)) }
      passWanted = false
      if isStopping {
        hasEnded = true
        lock.broadcast()
        lock.unlock()
        return
      }
      lock.unlock()
    }
  }
}
