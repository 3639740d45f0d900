import Foundation
import Logging
import ObjectStore
import Queue
import Synchronization
import Wire

/// Claims jobs for one worker and runs their attempts, one after another, until it is stopped. Its worker's trouble is
/// its own: what it waits for holds up no other worker's loop.
///
/// A second thread keeps the lease of the attempt under way: it renews it, and posts what comes from outside (cancel,
/// deadline, lost lease, shutdown).
final class ExecutorLoop: @unchecked Sendable {
  private let queue: any QueueStore
  private let store: any ObjectStore
  private let supervisor: WorkerSupervisor
  private let client: WorkerClient
  private let clock: any QueueClock
  private let states: StateWriter
  private let log: Logger
  private let request: ClaimRequest
  private let health: WorkerHealth
  private let roster: WorkerRoster
  private let events: any DaemonEvents
  private let loop: StoppableLoop
  /// Whether it turns.
  var pulse: LoopPulse { loop.pulse }
  /// Told each attempt's end, with its lease. Set before the start.
  var onEnd: @Sendable (Lease, AttemptResult) -> Void = { _, _ in }
  /// Used by the loop's thread alone.
  private var isWorkerReady = false
  private var complaint = Complaint()
  /// While nothing is claimed, worker and store are looked at no more often than this. Each attempt looks itself.
  private static let idleCheckAge = Duration.seconds(5)
  /// Between two looks at a worker that is not ready.
  private static let longestPauseSeconds = 10.0

  init(
    queue: any QueueStore, store: any ObjectStore, supervisor: WorkerSupervisor, client: WorkerClient,
    clock: any QueueClock, states: StateWriter, log: Logger, health: WorkerHealth, queues: [QueueName]? = nil,
    roster: WorkerRoster = WorkerRoster(), events: any DaemonEvents = NoDaemonEvents()
  ) {
    self.queue = queue
    self.store = store
    self.supervisor = supervisor
    self.client = client
    self.clock = clock
    self.states = states
    self.log = log
    self.health = health
    self.roster = roster
    self.events = events
    loop = StoppableLoop("executor \(health.name)", allowanceSeconds: 600)
    request = ClaimRequest(queues: queues, owner: health.name)
  }

  /// Starts the loop on a thread of its own.
  func start() { loop.start { [self] in run() } }

  /// Wakes the loop because there may be something to claim.
  func wake() { loop.wake() }

  /// No more claims; the attempt under way goes on. (Draining, before an upgrade.)
  func drain() { health.drain() }

  /// Claims again.
  func undrain() {
    health.undrain()
    wake()
  }

  /// Gives the attempt under way back to the queue and waits until the loop has ended.
  func stop(within seconds: TimeInterval) { loop.stop(within: seconds) }

  private func run() {
    var failures = 0
    while pause(failures: failures) {
      guard mayClaim else { continue }
      failures = claimAll() ? 0 : failures + 1
    }
  }

  /// Claims and runs what there is. False when worker or queue are in no state to go on.
  private func claimAll() -> Bool {
    do {
      // A worker that is not there costs no job anything: nothing is claimed for it.
      try supervisor.makeReady(maximumAge: ExecutorLoop.idleCheckAge, storeAge: WorkerWatch.storeAge)
      if !isWorkerReady { log.info("worker is ready", metadata: ["endpoint": "\(client.endpoint)"]) }
      isWorkerReady = true
      health.supplied()
    } catch {
      health.notReady("\(error)")
      if complaint.isDue("\(error)") || isWorkerReady { log.warning("worker is not ready: \(error)") }
      isWorkerReady = false
      supervisor.forget()
      return false
    }
    do {
      while mayClaim, let lease = try queue.claim(nextRequest, at: clock.now()) {
        guard attempt(lease) else {
          // Look at worker and store again before the next claim: an outage must not cost every job that waits a try.
          supervisor.forget()
          break
        }
      }
      return true
    } catch {
      if complaint.isDue("\(error)") { log.error("queue: \(error)") }
      return false
    }
  }

  private var mayClaim: Bool { !loop.isStopping && health.mayClaim }

  private var nextRequest: ClaimRequest { request.leaving(roster.leftToOthers(by: health.name)) }

  /// Waits a moment, or until woken; after failures longer, and undisturbed. False when the loop is to end.
  private func pause(failures: Int) -> Bool {
    let seconds = min(0.5 * Double(1 << min(failures, 8)), ExecutorLoop.longestPauseSeconds)
    return loop.rest(atMost: seconds, ignoringWakes: failures > 0)
  }

  /// False when the attempt ended by a fault.
  private func attempt(_ lease: Lease) -> Bool {
    let metadata: Logger.Metadata = [
      "job": "\(lease.job)", "attempt": .stringConvertible(lease.attempt), "queue": "\(lease.queue)",
    ]
    log.info("claimed", metadata: metadata)
    health.began(lease.job, attempt: lease.attempt)
    let begin = ContinuousClock.now
    states.note(CollectionOfOne(lease.job))
    let driver = ExecutorDriver(lease, store: queue, clock: clock)
    let io = AttemptIO(store: store, supervisor: supervisor, client: client, worker: health.name, events: events)
    let keeper = LeaseKeeper(lease, driver: driver, io: io, queue: queue, clock: clock, request: request)
    keeper.isStopping = { [loop] in loop.isStopping }
    keeper.onBeat = { [states, loop] done in
      loop.pulse.touch()
      states.note(lease.job, done: done)
    }
    keeper.start()
    let result = driver.run(io)
    keeper.stop()
    judge(result, lease, connected: io.hasConnected, metadata)
    events.attemptEnded(
      worker: health.name, queue: lease.queue, seconds: (ContinuousClock.now - begin).inSeconds, ending: result.observed
    )
    report(result, metadata)
    onEnd(lease, result)
    compare(result, of: lease, found: io.foundCommit, metadata)
    states.note(CollectionOfOne(lease.job))
    tidy(after: result, of: lease, metadata)
    switch result {
    case .finished, .released, .cancelled, .dead: return true
    case .retry, .fenced, .abandoned: return false
    }
  }

  /// What the attempt says of its worker and of its bundle.
  private func judge(_ result: AttemptResult, _ lease: Lease, connected: Bool, _ metadata: Logger.Metadata) {
    var fault: Fault?
    if case .retry(let met, _) = result { fault = met }
    if fault?.faultClass == .bundleUnopened {
      roster.couldNotOpen(lease.job, in: lease.queue, worker: health.name)
    } else if connected, fault == nil {
      roster.settle(lease.job)
    }
    let isProof = if case .finished = result { connected } else { false }
    guard let wait = health.ended(fault: fault, isProof: isProof) else { return }
    log.warning(
      "worker is put aside: it failed \(health.view.faultsInRow) attempts in a row; `ephemeral workers undrain` ends that",
      metadata: metadata.merging(["seconds": .stringConvertible(Int(wait.inSeconds.rounded(.up)))]) { $1 })
  }

  /// Sealed files that nobody will ever ask for cost their owner storage. Should it fail, they merely stay.
  private func tidy(after result: AttemptResult, of lease: Lease, _ metadata: Logger.Metadata) {
    let leftovers = AttemptLeftovers(store: store, job: lease.job)
    do {
      switch result {
      case .finished(let commit) where lease.attempt > 1: try leftovers.remove(besides: commit)
      case .dead: try leftovers.removeWithoutReceipt()
      case .finished, .retry, .released, .cancelled, .fenced, .abandoned: break
      }
    } catch {
      log.notice("files of failed attempts stay in the store: \(error)", metadata: metadata)
    }
  }

  /// What an attempt showed of a database that knows less than the store.
  private func compare(_ result: AttemptResult, of lease: Lease, found: JobCommit?, _ metadata: Logger.Metadata) {
    // After a crash between commit and finish the commit is an earlier attempt's; this one was never counted here.
    if let found, found.attempt >= lease.attempt {
      log.warning(
        """
        the database is older than the store: a commit stood for a job that it called ready; nothing ran again \
        (ephemeral db rebuild finds all of them at once)
        """, metadata: metadata)
    }
    guard case .retry(let fault, _) = result, fault.faultClass == .attemptTaken else { return }
    do {
      let highest = try AttemptLeftovers(store: store, job: lease.job).highestAttempt() ?? lease.attempt
      _ = try queue.raiseAttempts(of: lease.job, to: highest, at: clock.now())
      log.notice("attempts are counted on behind those in the store", metadata: metadata)
    } catch {
      // The next attempt takes the next number, and may meet the same.
      log.warning("the attempts in the store cannot be counted: \(error)", metadata: metadata)
    }
  }

  private func report(_ result: AttemptResult, _ metadata: Logger.Metadata) {
    switch result {
    case .finished(let commit): log.info("finished: \(commit.outcome.rawValue)", metadata: metadata)
    case .retry(let fault, _): log.warning("\(fault.faultClass.rawValue): \(fault.detail)", metadata: metadata)
    case .released: log.info("given back, the daemon is stopping", metadata: metadata)
    case .cancelled: log.info("cancelled", metadata: metadata)
    case .dead:
      log.error("dead: it cost too many attempts (ephemeral queue inspect shows them)", metadata: metadata)
    case .fenced: log.warning("fenced: the job went on without this attempt", metadata: metadata)
    case .abandoned(let reason): log.warning("abandoned: \(reason)", metadata: metadata)
    }
  }
}

extension Duration {
  var inSeconds: Double {
    let (seconds, attoseconds) = components
    return Double(seconds) + Double(attoseconds) * 1e-18
  }
}
