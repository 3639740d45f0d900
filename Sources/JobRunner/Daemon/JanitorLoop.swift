import Foundation
import Logging
import ObjectStore
import Queue

/// Takes ended jobs out of the inbox and the queue again and again, on a thread of its own.
final class JanitorLoop: @unchecked Sendable {
  /// What the loop keeps and for how long.
  let policy: RetentionPolicy
  private let queue: any RetentionStore
  private let objects: StoreEndedObjects
  private let clock: any QueueClock
  private let states: StateWriter
  private let log: Logger
  private let loop = StoppableLoop("janitor")
  var pulse: LoopPulse { loop.pulse }
  /// Used by the loop's thread alone.
  private var complaint = Complaint()
  private var unprovenComplaint = Complaint()
  /// Guards `interrupted`.
  private let lock = NSLock()
  /// Sweeps that time was over for: the next of the same policy goes on, else jobs that stay could use up every one's time.
  private var interrupted: [RetentionPolicy: InterruptedSweep] = [:]
  private static let restSeconds = 60.0
  /// Between two passes of a long backlog, so that store and queue belong to the others for most of the time.
  private static let backlogRestSeconds = 2.0

  private struct InterruptedSweep {
    let janitor: Janitor
    let at: Timestamp
    /// Later a request is taken for a new one, which looks at everything.
    static let longest = Duration.seconds(600)

    func isFresh(at now: Timestamp) -> Bool { at <= now && now - at <= Self.longest }
  }

  init(
    queue: any RetentionStore, store: any ObjectStore, policy: RetentionPolicy, clock: any QueueClock,
    states: StateWriter, log: Logger
  ) {
    self.queue = queue
    self.policy = policy
    self.clock = clock
    self.states = states
    self.log = log
    objects = StoreEndedObjects(store: store)
  }

  func start() { loop.start { [self] in run() } }

  /// Ends the loop after the pass under way.
  func stop(within seconds: TimeInterval) { loop.stop(within: seconds) }

  /// Passes until nothing is left to do or the time is over, on the caller's thread; one step is done in any case. The
  /// loop may be at work beside it: every step of both is idempotent. One that left something goes on where it stopped when
  /// the same is asked for within ten minutes.
  ///
  /// - Throws: what queue and store throw.
  func sweep(_ policy: RetentionPolicy, isOver: () -> Bool) throws -> JanitorSummary {
    let known = lock.withLock { interrupted.removeValue(forKey: policy) }
    var janitor =
      known.flatMap { $0.isFresh(at: clock.now()) ? $0.janitor : nil }
      ?? Janitor(queue: queue, objects: objects, policy: policy, isSweep: true)
    var total = JanitorSummary()
    repeat {
      let summary = try janitor.pass(at: clock.now(), isOver: isOver)
      states.note(summary.adopted)
      total.add(summary)
    } while total.hasMore && !isOver()
    if total.hasMore {
      let now = clock.now()
      lock.withLock {
        interrupted = interrupted.filter { $0.value.isFresh(at: now) }
        interrupted[policy] = InterruptedSweep(janitor: janitor, at: now)
      }
    }
    return total
  }

  private func run() {
    var janitor = Janitor(queue: queue, objects: objects, policy: policy)
    var seconds = 0.0
    repeat {
      seconds = JanitorLoop.restSeconds
      do {
        let summary = try janitor.pass(at: clock.now())
        complaint.clear()
        report(summary)
        if summary.hasMore { seconds = JanitorLoop.backlogRestSeconds }
      } catch {
        if complaint.isDue("\(error)") { log.warning("janitor: \(error)") }
      }
    } while loop.rest(atMost: seconds)
  }

  private func report(_ summary: JanitorSummary) {
    states.note(summary.adopted)
    for job in summary.adopted { log.warning("has a commit after all", metadata: ["job": "\(job)"]) }
    if !summary.cleared.isEmpty || summary.prunedJobs > 0 || summary.cancels > 0 || summary.records > 0 {
      log.info(
        "tidied up",
        metadata: [
          "bundles": "\(summary.cleared.count)", "jobs": "\(summary.prunedJobs)", "cancels": "\(summary.cancels)",
          "records": "\(summary.records)",
        ])
    }
    let words = summary.unprovenExamples.joined(separator: "; ")
    if summary.unproven > 0, unprovenComplaint.isDue(words) {
      log.warning("\(summary.unproven) ended jobs stay, since the store does not bear out their end: \(words)")
    }
  }
}
