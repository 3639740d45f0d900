import Foundation
import Logging
import Queue
import Synchronization
import Wire

/// What the status endpoint asks the daemon's parts for.
struct StatusSources: Sendable {
  var about: DaemonAbout
  /// Counts and ages.
  var queues: @Sendable () throws -> [QueueLine]
  /// Throws when nothing can be written durably.
  var proveWritable: @Sendable () throws -> Void
  var schedules: @Sendable (Timestamp) throws -> [ScheduleLine]
  /// Must not wait for a worker.
  var workers: @Sendable () -> [WorkerLine]
  /// What is known of policy and epoch; must not wait for a worker or the store.
  var policy: @Sendable () -> PolicyLine?
  var epoch: @Sendable () -> EpochLine?
  /// Why the store is not reachable; nil when it is.
  var storeFault: @Sendable () -> String?
  var receipts: @Sendable () -> [ReceiptLine]
  /// The folder of the database.
  var stateFolder: String
}

/// Gathers what the status endpoint shows, every few seconds, on a thread of its own.
///
/// So a request costs queue, store and workers nothing, however many there are, and a scrape is answered also while the
/// disk hangs: with figures whose age it can see.
final class SnapshotKeeper: @unchecked Sendable {
  private let sources: StatusSources
  private let metrics: DaemonMetrics
  private let clock: any QueueClock
  private let loop: StoppableLoop
  private let current = Mutex<StatusSnapshot?>(nil)
  private let interval: Double
  /// Used by the loop's thread alone, like those below.
  private var writeFault: String?
  private var provenAt: SuspendingClock.Instant?
  private var queues: [QueueLine] = []
  private var schedules: [ScheduleLine] = []

  /// A write that costs a sync of the disk; not at each look.
  private static let proofAge = Duration.seconds(15)
  /// Less room than this is as good as none: the write-ahead log grows to some megabytes.
  private static let leastFreeBytes = 32.0 * 1024 * 1024
  private static let impatientSeconds = 1.0
  /// Looks rest so many times as long as they took, within the limit: figures must not look stale because a slow disk
  /// was spared.
  private static let restFactor = 10.0
  private static let longestRest = StatusRoutes.staleAfter / 2

  /// - Parameter interval: seconds between two looks.
  init(_ sources: StatusSources, metrics: DaemonMetrics, clock: any QueueClock, interval: Double = 5) {
    self.sources = sources
    self.metrics = metrics
    self.clock = clock
    self.interval = interval
    loop = StoppableLoop("status", allowanceSeconds: 60)
  }

  /// Whether its loop turns.
  var pulse: LoopPulse { loop.pulse }

  /// What was gathered last; nil before the first look.
  var latest: StatusSnapshot? { current.withLock { $0 } }

  func start() {
    loop.start { [self] in
      var seconds = interval
      repeat {
        let begin = SuspendingClock.now
        look()
        let took = SuspendingClock.now - begin
        // What is not ready may be in a moment: a start, an outage's end.
        let wish = latest?.readiness.isReady ?? false ? interval : min(interval, Self.impatientSeconds)
        seconds = Self.rest(wish, after: took)
      } while loop.rest(atMost: seconds)
    }
  }

  /// Seconds to rest after a look.
  static func rest(_ wish: Double, after took: Duration) -> Double {
    max(wish, min(Double(took.components.seconds) * restFactor, Double(longestRest.components.seconds)))
  }

  func stop(within seconds: Double) { loop.stop(within: seconds) }

  /// Gathers once.
  func look() {
    let now = clock.now()
    let volume = ProcessFigures.volume(of: sources.stateFolder)
    let queueFault = readQueue(at: now) ?? room(volume?.freeBytes)
    let workers = sources.workers()
    let policy = sources.policy()
    let readiness = Readiness([
      .init("store", fault: sources.storeFault()),
      .init("queue", fault: queueFault),
      .init("workers", fault: Self.fault(of: workers)),
      .init("policy", fault: Self.fault(of: policy, workers, at: now)),
    ])
    let snapshot = StatusSnapshot(
      takenMs: now.milliseconds, about: sources.about, readiness: readiness, policy: policy, epoch: sources.epoch(),
      queues: queues, workers: workers, schedules: schedules, receipts: sources.receipts())
    metrics.take(snapshot, at: now)
    metrics.takeDisk(stateFolder: sources.stateFolder, volume: volume)
    current.withLock { $0 = snapshot }
  }

  /// Counts and schedules; the last ones stay where the database does not answer.
  private func readQueue(at now: Timestamp) -> String? {
    do {
      queues = try sources.queues()
      schedules = try sources.schedules(now)
      if writeFault != nil || provenAt.map({ SuspendingClock.now - $0 > Self.proofAge }) ?? true {
        writeFault = nil
        try sources.proveWritable()
        provenAt = .now
      }
    } catch {
      writeFault = "\(error)"
    }
    return writeFault
  }

  private func room(_ freeBytes: Double?) -> String? {
    guard let freeBytes, freeBytes < Self.leastFreeBytes else { return nil }
    return "less than 32 MiB are free on the volume of \(sources.stateFolder): make room"
  }

  private static func fault(of workers: [WorkerLine]) -> String? {
    guard !workers.contains(where: \.isReady) else { return nil }
    let reasons = workers.compactMap { line in line.reason.map { "\(line.worker): \($0)" } }
    return reasons.isEmpty ? "no worker is ready yet" : reasons.joined(separator: "; ")
  }

  /// A worker that is ready has a policy in force, also where the host has no key to read it by.
  private static func fault(of policy: PolicyLine?, _ workers: [WorkerLine], at now: Timestamp) -> String? {
    guard let policy else {
      return workers.contains(where: \.isReady) ? nil : "none is in force yet, as far as the host can tell"
    }
    guard policy.expiresMs > UInt64(max(0, now.milliseconds)) else {
      return "version \(policy.version) has ended: the security officer signs a new one (ephemeral policy sign)"
    }
    return nil
  }
}
