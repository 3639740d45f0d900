import Testing
import Wire

@testable import Queue

@Suite("Queue store: cancels, commits, operators, runs")
struct QueueOperatorConformanceTests {
  let now = Timestamp.start

  @Test("A job that never ran is cancelled at once", arguments: StoreKind.allCases)
  func cancelReady(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1), .sample(2, isHeld: true)], at: now)
    #expect(try store.requestCancel(jobName(1), at: now) == .cancelled)
    #expect(try store.requestCancel(jobName(2), at: now) == .cancelled)
    #expect(try store.requestCancel(jobName(1), at: now) == .tooLate)
    #expect(try store.requestCancel(jobName(3), at: now) == .unknown)
    #expect(try store.claim(.test, at: now) == nil)
  }

  @Test("A running job sees the request in its heartbeat and ends as cancelled", arguments: StoreKind.allCases)
  func cancelRunning(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1)], at: now)
    let lease = try #require(try store.claim(.test, at: now))
    #expect(try store.requestCancel(lease.job, at: now) == .requested)
    #expect(try store.heartbeat(lease, leaseDuration: .seconds(30), at: now).cancelRequested)
    try store.cancel(lease, at: now)
    #expect(try store.inspect(lease.job)?.job.state == .cancelled)
  }

  @Test("A job that ran before is claimed once more, to look for its commit", arguments: StoreKind.allCases)
  func cancelWaiting(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind, policy: RetryPolicy(base: .seconds(1_000), cap: .seconds(9_000)))
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1)], at: now)
    let lease = try #require(try store.claim(.test, at: now))
    _ = try store.fail(lease, with: Fault(.storeUnavailable), at: now)
    #expect(try store.requestCancel(lease.job, at: now) == .requested)
    let last = try #require(try store.claim(.test, at: now))
    #expect(last.cancelRequested)
    try store.finish(last, with: .sample(1), at: now)
    #expect(try store.inspect(lease.job)?.job.commit?.attempt == 1)
  }

  @Test("A cancel that comes before its job cancels it on arrival, and is recorded once", arguments: StoreKind.allCases)
  func earlyCancel(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    let statement = try jobName(77)
    #expect(try store.unrecordedCancels([statement]) == [statement])
    #expect(try store.recordCancel(statement, of: jobName(1), at: now) == .unknown)
    #expect(try store.unrecordedCancels([statement]).isEmpty)
    #expect(try store.enqueue([.sample(1)], at: now) == [true])
    #expect(try store.inspect(jobName(1))?.job.state == .cancelled)
  }

  @Test("A commit that is found ends a job in any state, once", arguments: StoreKind.allCases)
  func adoption(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1), .sample(2), .sample(3, isHeld: true)], at: now)
    let lease = try #require(try store.claim(.test, at: now))
    _ = try store.requestCancel(jobName(2), at: now)
    for number in UInt64(1)...3 {
      #expect(try store.adopt(.sample(1, .partial), of: jobName(number), at: now))
      #expect(try !store.adopt(.sample(4, .failed), of: jobName(number), at: now))
      #expect(try store.inspect(jobName(number))?.job.commit == .sample(1, .partial))
    }
    #expect(throws: QueueError.fenced(lease.job, attempt: 1)) { try store.finish(lease, with: .sample(1), at: now) }
    #expect(throws: QueueError.unknownJob(try jobName(4))) { try store.adopt(.sample(1), of: jobName(4), at: now) }
  }

  @Test("Only a dead job can be brought back", arguments: StoreKind.allCases)
  func retryDead(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1)], at: now)
    let job = try jobName(1)
    #expect(throws: QueueError.illegalMove(job, from: .ready, to: .ready)) { try store.retryDead(job, at: now) }
    #expect(throws: QueueError.unknownJob(try jobName(2))) { try store.retryDead(jobName(2), at: now) }
  }

  @Test("A paused queue gives nothing, and others go on", arguments: StoreKind.allCases)
  func pause(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1, queue: "a"), .sample(2, queue: "b")], at: now)
    try store.setPaused(true, queue: queueName("a"), at: now)
    #expect(try store.claim(.test, at: now)?.job == jobName(2))
    #expect(try store.claim(.test, at: now) == nil)
    #expect(try store.stats().map(\.isPaused) == [true, false])
    try store.setPaused(false, queue: queueName("a"), at: now)
    #expect(try store.claim(.test, at: now)?.job == jobName(1))
  }

  @Test("An executor can ask for some queues only", arguments: StoreKind.allCases)
  func queueFilter(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1, queue: "a"), .sample(2, queue: "b")], at: now)
    #expect(try store.claim(ClaimRequest(queues: [queueName("b")], owner: "w"), at: now)?.job == jobName(2))
    #expect(try store.claim(ClaimRequest(queues: [queueName("b")], owner: "w"), at: now) == nil)
    #expect(try store.claim(ClaimRequest(queues: [], owner: "w"), at: now) == nil)
  }

  @Test("Listing pages through jobs and filters them", arguments: StoreKind.allCases)
  func listing(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue((1...5).map { try .sample($0, queue: $0 == 3 ? "b" : "a") }, at: now)
    let first = try store.list(JobFilter(limit: 2))
    let second = try store.list(JobFilter(after: first.last?.row ?? 0, limit: 2))
    #expect((first + second).map(\.name) == (try (1...4).map { try jobName($0) }))
    #expect(try store.list(JobFilter(queue: queueName("b"))).map(\.name) == [jobName(3)])
    #expect(try store.list(JobFilter(state: .dead)).isEmpty)
    #expect(try store.stats().map(\.counts) == [[.ready: 4], [.ready: 1]])
    #expect(try store.stats().first?.oldestReadyAt == now)
  }

  @Test("A run takes every held job of its queue, and a nominal time has one run", arguments: StoreKind.allCases)
  func runs(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    let run = NewRun(schedule: "nightly", nominalAt: now, trigger: .clock, queue: try queueName("night"))
    _ = try store.enqueue((1...3).map { try .sample($0, queue: "night", isHeld: true) }, at: now)
    _ = try store.enqueue([.sample(9, queue: "other", isHeld: true)], at: now)
    #expect(try store.claim(.test, at: now) == nil)
    guard case .opened(let id, let members) = try store.openRun(run, at: now) else {
      Issue.record("the run was not opened")
      return
    }
    #expect(members == 3)
    #expect(try store.openRun(run, at: now) == .exists)
    #expect(try store.list(JobFilter(run: id)).count == 3)
    let lease = try #require(try store.claim(.test, at: now))
    try store.finish(lease, with: .sample(1), at: now)
    let seen = try #require(try store.runs(of: "nightly", limit: 5).first)
    #expect(seen.members == [.finished: 1, .ready: 2] && !seen.isOver && seen.id == id)
    #expect(try store.standing(of: "nightly", at: now) == ScheduleStanding(lastNominalAt: now, hasOpenRun: true))
    #expect(try store.inspect(jobName(9))?.job.state == .held)
  }

  @Test("A run that takes over gathers what an earlier run has not begun", arguments: StoreKind.allCases)
  func takeover(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    let queue = try queueName("night")
    let first = NewRun(schedule: "nightly", nominalAt: now, trigger: .clock, queue: queue)
    let second = NewRun(
      schedule: "nightly", nominalAt: now + .seconds(9), trigger: .clock, queue: queue, takesOver: true)
    _ = try store.enqueue((1...3).map { try .sample($0, queue: "night", isHeld: true) }, at: now)
    _ = try store.openRun(first, at: now)
    _ = try store.claim(.test, at: now)
    _ = try store.enqueue([.sample(4, queue: "night", isHeld: true)], at: now)
    _ = try store.openRun(second, at: now + .seconds(9))
    #expect(try store.runs(of: "nightly", limit: 5).map(\.members) == [[.ready: 3], [.running: 1]])
  }

  @Test("A skipped nominal time is remembered and never run", arguments: StoreKind.allCases)
  func skips(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    try store.skipRun(schedule: "nightly", nominalAt: now, reason: .overlap, at: now)
    let run = NewRun(schedule: "nightly", nominalAt: now, trigger: .clock, queue: try queueName("night"))
    #expect(try store.openRun(run, at: now) == .exists)
    #expect(try store.standing(of: "nightly", at: now) == ScheduleStanding(lastNominalAt: now, hasOpenRun: false))
    #expect(try store.runs(of: "nightly", limit: 1).first?.skipped == .overlap)
  }
}
