import Foundation
import Logging
import ObjectStore
import Queue
import Wire

/// Claims jobs for one worker and runs their attempts, one after another, until it is stopped.
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
  private let lock = NSCondition()
  /// Guarded by `lock`.
  private var isStopping = false
  private var isDraining = false
  private var hasEnded = false

  init(
    queue: any QueueStore, store: any ObjectStore, supervisor: WorkerSupervisor, client: WorkerClient,
    clock: any QueueClock, states: StateWriter, log: Logger
  ) {
    self.queue = queue
    self.store = store
    self.supervisor = supervisor
    self.client = client
    self.clock = clock
    self.states = states
    self.log = log
    request = ClaimRequest(owner: "\(client.endpoint)")
  }

  /// Starts the loop on a thread of its own.
  func start() { Thread.detachNewThread { [self] in run() } }

  /// Wakes the loop because there may be something to claim.
  func wake() {
    lock.lock()
    lock.broadcast()
    lock.unlock()
  }

  /// No more claims; the attempt under way goes on. (Draining, before an upgrade.)
  func drain() {
    lock.lock()
    isDraining = true
    lock.unlock()
  }

  /// Gives the attempt under way back to the queue and waits until the loop has ended.
  func stop(within seconds: TimeInterval) {
    let limit = Date(timeIntervalSinceNow: seconds)
    lock.lock()
    isStopping = true
    lock.broadcast()
    while !hasEnded, lock.wait(until: limit) {}
    lock.unlock()
  }

  private func run() {
    var isWorkerReady = false
    while let mayClaim = pause() {
      if !mayClaim { continue }
      // A worker that is not there costs no job anything: nothing is claimed for it.
      do {
        try supervisor.makeReady()
        if !isWorkerReady { log.info("worker is ready", metadata: ["worker": "\(client.endpoint)"]) }
        isWorkerReady = true
      } catch {
        if isWorkerReady || !hasComplained { log.warning("worker is not ready: \(error)") }
        hasComplained = true
        isWorkerReady = false
        supervisor.forget()
        continue
      }
      do {
        while let lease = try queue.claim(request, at: clock.now()) {
          attempt(lease)
          lock.lock()
          let mayGoOn = !isStopping && !isDraining
          lock.unlock()
          if !mayGoOn { break }
        }
      } catch {
        log.error("queue: \(error)")
      }
    }
    lock.lock()
    hasEnded = true
    lock.broadcast()
    lock.unlock()
  }

  private var hasComplained = false

  /// Waits a moment, or until woken. Nil when the loop is to end; false while nothing may be claimed.
  private func pause() -> Bool? {
    lock.lock()
    defer { lock.unlock() }
    if !isStopping { _ = lock.wait(until: Date(timeIntervalSinceNow: 0.5)) }
    return isStopping ? nil : !isDraining
  }

  private func attempt(_ lease: Lease) {
    let metadata: Logger.Metadata = ["job": "\(lease.job)", "attempt": "\(lease.attempt)"]
    log.info("claimed", metadata: metadata)
    states.write(lease.job, state: .running, attempt: lease.attempt, done: 0)
    let driver = ExecutorDriver(lease, store: queue, clock: clock)
    let io = AttemptIO(store: store, supervisor: supervisor, client: client)
    let keeper = LeaseKeeper(lease, driver: driver, io: io, queue: queue, clock: clock, request: request)
    keeper.isStopping = { [self] in
      lock.lock()
      defer { lock.unlock() }
      return isStopping
    }
    keeper.onBeat = { [states] done in states.write(lease.job, state: .running, attempt: lease.attempt, done: done) }
    keeper.start()
    let result = driver.run(io)
    keeper.stop()
    report(result, lease, metadata)
  }

  private func report(_ result: AttemptResult, _ lease: Lease, _ metadata: Logger.Metadata) {
    let state: JobState
    switch result {
    case .finished(let commit):
      log.info("finished: \(commit.outcome.rawValue)", metadata: metadata)
      state = .finished
    case .retry(let fault, _):
      log.warning("\(fault.faultClass.rawValue): \(fault.detail)", metadata: metadata)
      state = .retryWait
    case .released:
      log.info("given back, the daemon is stopping", metadata: metadata)
      state = .ready
    case .cancelled:
      log.info("cancelled", metadata: metadata)
      state = .cancelled
    case .dead:
      log.error("dead: it cost too many attempts (ephemeral queue inspect shows them)", metadata: metadata)
      state = .dead
    case .abandoned:
      log.warning("abandoned: its lease was lost", metadata: metadata)
      return
    }
    states.write(lease.job, state: state, attempt: lease.attempt, done: 0)
  }
}
