import Testing
import Wire

@testable import Queue

@Suite("Crashes")
struct CrashTests {
  /// More steps than an undisturbed attempt takes.
  private static let steps = 16

  @Test("A job whose daemon is killed after any step is finished once", arguments: 0...steps)
  func killAfter(step: Int) throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let host = SimulatedHost(seed: UInt64(step))
    _ = try fixture.store.enqueue([.sample(1)], at: .start)
    let lease = try #require(try fixture.store.claim(.test, at: .start))
    var doomed = SimulatedAttempt(lease)
    for _ in 0..<step { doomed.step(host: host, store: fixture.store, at: .start) }
    let wasCommitted = host.commits[lease.job] != nil
    let startsBefore = host.jobsStarted[lease.job] ?? 0

    try fixture.crashAndReopen()
    _ = try fixture.store.reap(.all, at: .start)
    let later = Timestamp.start + .seconds(3_600)
    if let next = try fixture.store.claim(.test, at: later) {
      var attempt = SimulatedAttempt(next)
      while !attempt.isOver { attempt.step(host: host, store: fixture.store, at: later) }
    }
    let detail = try #require(try fixture.store.inspect(lease.job))
    #expect(detail.job.state == .finished && detail.job.commit == host.commits[lease.job])
    if wasCommitted { #expect(host.jobsStarted[lease.job] == startsBefore, "a committed job ran again") }
    #expect(host.violations.isEmpty)
    #expect(try fixture.store.integrityFaults().isEmpty)
    #expect(try fixture.store.claim(.test, at: later + .seconds(3_600)) == nil)
  }

  @Test("What a returned call promised is there after a kill")
  func durability() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    _ = try fixture.store.enqueue([.sample(1), .sample(2), .sample(3), .sample(4, isHeld: true)], at: .start)
    let first = try #require(try fixture.store.claim(.test, at: .start))
    try fixture.store.finish(first, with: .sample(1), at: .start)
    let second = try #require(try fixture.store.claim(.test, at: .start))
    _ = try fixture.store.fail(second, with: Fault(.workerLost), at: .start)
    try fixture.crashAndReopen()
    let states = try fixture.store.list(JobFilter()).map(\.state)
    #expect(states == [.finished, .retryWait, .ready, .held])
    #expect(try fixture.store.enqueue([.sample(1), .sample(3)], at: .start) == [false, false])
  }

  @Test("A zombie whose commit comes in after its successor began makes the successor finish by it")
  func lateCommit() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let host = SimulatedHost(seed: 5)
    _ = try fixture.store.enqueue([.sample(1)], at: .start)
    var zombie = SimulatedAttempt(try #require(try fixture.store.claim(.test, at: .start)))
    for _ in 0..<11 { zombie.step(host: host, store: fixture.store, at: .start) }
    _ = try fixture.store.reap(.expired, at: .start + .seconds(60))
    let later = Timestamp.start + .seconds(120)
    var successor = SimulatedAttempt(try #require(try fixture.store.claim(.test, at: later)))
    for _ in 0..<4 { successor.step(host: host, store: fixture.store, at: later) }
    while !zombie.isOver { zombie.step(host: host, store: fixture.store, at: later) }
    #expect(host.commits[successor.lease.job]?.attempt == 1)
    #expect(try fixture.store.inspect(successor.lease.job)?.job.state == .running)
    while !successor.isOver { successor.step(host: host, store: fixture.store, at: later) }
    #expect(try fixture.store.inspect(successor.lease.job)?.job.commit?.attempt == 1)
    #expect(host.violations.isEmpty)
  }
}
