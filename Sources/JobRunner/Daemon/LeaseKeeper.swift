import Foundation
import Queue

/// Keeps one attempt's lease alive from a thread of its own, and brings news to the attempt.
final class LeaseKeeper: @unchecked Sendable {
  private let lease: Lease
  private let driver: ExecutorDriver
  private let io: AttemptIO
  private let queue: any QueueStore
  private let clock: any QueueClock
  private let request: ClaimRequest
  private let loop = StoppableLoop("lease", allowanceSeconds: 60)
  private static let lookSeconds = 0.25
  /// Asked at each beat.
  var isStopping: () -> Bool = { false }
  /// Told the items done at each beat; must not block, since the lease waits for it.
  var onBeat: (UInt64) -> Void = { _ in }

  init(
    _ lease: Lease, driver: ExecutorDriver, io: AttemptIO, queue: any QueueStore, clock: any QueueClock,
    request: ClaimRequest
  ) {
    self.lease = lease
    self.driver = driver
    self.io = io
    self.queue = queue
    self.clock = clock
    self.request = request
  }

  func start() { loop.start { [self] in run() } }

  /// The attempt is over. A heartbeat under way is not waited for: the queue's fence refuses it.
  func stop() { loop.stop(within: 0) }

  /// Looks around four times a second; what is due then, the ``LeaseWatch`` says.
  private func run() {
    var watch = LeaseWatch(lease, leaseDuration: request.leaseDuration, at: clock.now())
    while loop.rest(atMost: LeaseKeeper.lookSeconds) {
      let now = clock.now()
      var step = watch.look(at: now, isStopping: isStopping())
      if case .renew = step { step = renew(&watch, at: now) }
      if case .end(let event) = step { return end(event) }
    }
  }

  private func renew(_ watch: inout LeaseWatch, at now: Timestamp) -> LeaseWatch.Step {
    do {
      let beat = try queue.heartbeat(lease, leaseDuration: request.leaseDuration, at: now)
      if watch.renewed(beat, at: now) { driver.post(.cancelRequested) }
      onBeat(driver.itemsDone)
      return .rest
    } catch {
      return watch.notRenewed(error, at: now)
    }
  }

  private func end(_ event: ExecutorEvent) {
    driver.post(event)
    io.interrupt()
  }
}
