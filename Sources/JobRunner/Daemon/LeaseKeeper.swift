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

  /// Looks around four times a second, renews the lease at a third of its length.
  ///
  /// The lease is lost when the queue says so, or when it has run out and the queue cannot be asked: a machine that slept
  /// past the end still holds what nobody took back.
  private func run() {
    var renewAt = clock.now() + request.leaseDuration / 3
    var until = lease.leaseUntil
    var cancelSeen = lease.cancelRequested
    while loop.rest(atMost: LeaseKeeper.lookSeconds) {
      let now = clock.now()
      if isStopping() { return end(.shutdown) }
      if now >= lease.deadlineAt { return end(.deadlinePassed) }
      if now < renewAt { continue }
      do {
        let beat = try queue.heartbeat(lease, leaseDuration: request.leaseDuration, at: now)
        until = beat.leaseUntil
        renewAt = now + request.leaseDuration / 3
        if beat.cancelRequested, !cancelSeen {
          cancelSeen = true
          driver.post(.cancelRequested)
        }
        onBeat(driver.itemsDone)
      } catch QueueError.fenced {
        return end(.leaseLost)
      } catch {
        // The disk may recover before the lease runs out; until then the attempt goes on.
        if now >= until { return end(.leaseLost) }
        renewAt = now + .seconds(1)
      }
    }
  }

  private func end(_ event: ExecutorEvent) {
    driver.post(event)
    io.interrupt()
  }
}
