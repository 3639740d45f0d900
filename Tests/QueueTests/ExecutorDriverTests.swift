import Foundation
import Synchronization
import Testing
import Wire

@testable import Queue

@Suite("Executor driver")
struct ExecutorDriverTests {
  /// I/O over a simulated host; `block` makes the first read wait for an interrupt.
  private final class HostIO: ExecutorIO {
    let host: SimulatedHost
    let blocks: Bool
    let reading = DispatchSemaphore(value: 0)
    let interrupted = DispatchSemaphore(value: 0)
    var progress = 0
    var closed = 0
    /// Called when the commit has been written.
    var afterCommit: () -> Void = {}

    init(_ host: SimulatedHost, blocks: Bool = false) {
      self.host = host
      self.blocks = blocks
    }

    func perform(_ action: ExecutorAction, lease: Lease) -> ExecutorEvent {
      if blocks, case .readRequest = action {
        reading.signal()
        interrupted.wait()
        return .fault(Fault(.workerLost))
      }
      defer { if case .writeCommit = action { afterCommit() } }
      return host.perform(action, lease: lease, progress: &progress)
    }

    func interrupt() { interrupted.signal() }

    func close() { closed += 1 }
  }

  @Test("A job runs from claim to finish")
  func wholeJob() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    _ = try fixture.store.enqueue([.sample(1)], at: .start)
    let lease = try #require(try fixture.store.claim(.test, at: .start))
    let io = HostIO(SimulatedHost(seed: 1))
    let driver = ExecutorDriver(lease, store: fixture.store, clock: ManualClock(.start))
    guard case .finished(let commit) = driver.run(io) else {
      Issue.record("not finished")
      return
    }
    #expect(commit == io.host.commits[lease.job] && io.closed == 1 && driver.itemsDone == 3)
    #expect(try fixture.store.inspect(lease.job)?.job.commit == commit)
  }

  @Test("An interruption from another thread ends a blocked attempt, and its cause counts, not the broken read")
  func interruption() async throws {
    let endings: [(ExecutorEvent, AttemptResult, JobState)] = [
      (.shutdown, .released, .ready), (.leaseLost, .abandoned("its lease was lost"), .running),
    ]
    for (event, expected, state) in endings {
      let fixture = try StoreFixture(.sqlite)
      defer { fixture.remove() }
      _ = try fixture.store.enqueue([.sample(1)], at: .start)
      let lease = try #require(try fixture.store.claim(.test, at: .start))
      let driver = ExecutorDriver(lease, store: fixture.store, clock: ManualClock(.start))
      nonisolated(unsafe) let io = HostIO(SimulatedHost(seed: 1), blocks: true)
      let thread = Thread {
        io.reading.wait()
        driver.post(event)
        io.interrupt()
      }
      thread.start()
      #expect(driver.run(io) == expected)
      #expect(io.closed == 1)
      #expect(try fixture.store.inspect(lease.job)?.job.state == state)
    }
  }

  @Test("A fault sends the job to its next attempt, and says when")
  func fault() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    _ = try fixture.store.enqueue([.sample(1)], at: .start)
    let lease = try #require(try fixture.store.claim(.test, at: .start))
    let host = SimulatedHost(seed: 1)
    host.faultRate = 1_000
    let result = ExecutorDriver(lease, store: fixture.store, clock: ManualClock(.start)).run(HostIO(host))
    let due = try #require(try fixture.store.inspect(lease.job)?.job.nextAttemptAt)
    #expect(result == .retry(Fault(.storeUnavailable), at: due))
  }

  @Test("A commit that was written counts though the lease was lost meanwhile, even against a later attempt")
  func lateCommit() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    _ = try fixture.store.enqueue([.sample(1)], at: .start)
    let lease = try #require(try fixture.store.claim(.test, at: .start))
    let host = SimulatedHost(seed: 1)
    let io = HostIO(host)
    io.afterCommit = {
      _ = try? fixture.store.reap(.all, at: .start)
      _ = try? fixture.store.claim(.test, at: .start + .seconds(3600))
    }
    let result = ExecutorDriver(lease, store: fixture.store, clock: ManualClock(.start)).run(io)
    let job = try #require(try fixture.store.inspect(lease.job))
    #expect(result == .finished(try #require(host.commits[lease.job])))
    #expect(job.job.state == .finished && job.job.commit?.attempt == 1)
    #expect(job.attempts.map(\.end) == [.faulted, .superseded])
  }

  @Test("A queue that cannot record the end says why")
  func unrecorded() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    _ = try fixture.store.enqueue([.sample(1)], at: .start)
    let lease = try #require(try fixture.store.claim(.test, at: .start))
    try fixture.store.close()
    let result = ExecutorDriver(lease, store: fixture.store, clock: ManualClock(.start)).run(
      HostIO(SimulatedHost(seed: 1)))
    #expect(result == .abandoned("the queue's database failed: it was closed"))
  }
}
