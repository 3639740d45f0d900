import Testing
import Wire

@testable import Queue

@Suite("Queue store: jobs and leases")
struct QueueConformanceTests {
  let now = Timestamp.start

  @Test("Enqueueing is idempotent by name", arguments: StoreKind.allCases)
  func idempotence(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    #expect(try store.enqueue([.sample(1), .sample(2)], at: now) == [true, true])
    #expect(try store.enqueue([.sample(2), .sample(3), .sample(3)], at: now) == [false, true, false])
    #expect(try store.list(JobFilter()).map(\.name) == [jobName(1), jobName(2), jobName(3)])
  }

  @Test("The highest priority goes first, then the job that has been ready for longest", arguments: StoreKind.allCases)
  func order(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1)], at: now + .seconds(2))
    _ = try store.enqueue([.sample(2)], at: now + .seconds(1))
    _ = try store.enqueue([.sample(3, priority: 5)], at: now + .seconds(3))
    let claims = try (0..<3).map { _ in try store.claim(.test, at: now + .seconds(4))?.job }
    #expect(claims == [try jobName(3), try jobName(2), try jobName(1)])
    #expect(try store.claim(.test, at: now + .seconds(4)) == nil)
  }

  @Test("A flooding tenant delays another by one job at most", arguments: StoreKind.allCases)
  func fairness(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue((1...20).map { try .sample($0, tenant: "flood") }, at: now)
    _ = try store.enqueue((101...103).map { try .sample($0, tenant: "small") }, at: now + .seconds(1))
    var order: [JobName] = []
    while let lease = try store.claim(.test, at: now + .seconds(2)) { order.append(lease.job) }
    let positions = try (101...103).map { order.firstIndex(of: try jobName($0)) }
    #expect(positions.allSatisfy { ($0 ?? 99) <= 5 })
    #expect(order.count == 23)
  }

  @Test("A claim carries a new attempt and a token that never comes twice", arguments: StoreKind.allCases)
  func tokens(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1)], at: now)
    var tokens: Set<LeaseToken> = []
    for attempt in 1...5 {
      let lease = try #require(try store.claim(.test, at: now))
      #expect(lease.attempt == Int64(attempt))
      #expect(lease.leaseUntil == now + .seconds(30) && lease.deadlineAt == now + .seconds(600))
      tokens.insert(lease.token)
      try store.release(lease, at: now)
    }
    #expect(tokens.count == 5)
  }

  @Test("Two claimers never hold the same job", arguments: StoreKind.allCases)
  func concurrentClaims(kind: StoreKind) async throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store: any QueueStore = fixture.store
    let moment = now
    _ = try store.enqueue((1...60).map { try .sample($0) }, at: now)
    let claimed = try await withThrowingTaskGroup(of: [JobName].self) { group in
      for worker in 0..<2 {
        group.addTask {
          var mine: [JobName] = []
          while let lease = try store.claim(ClaimRequest(owner: "worker-\(worker)"), at: moment) {
            mine.append(lease.job)
            try store.finish(lease, with: .sample(lease.attempt), at: moment)
          }
          return mine
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    #expect(claimed.count == 60 && Set(claimed).count == 60)
    #expect(try store.stats().first?.counts == [.finished: 60])
  }

  @Test(
    "A job waits no longer than the longest wait, whatever the clock was when its wait began",
    arguments: StoreKind.allCases)
  func clockSetBack(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    let wrong = now + .days(3_650)
    _ = try store.enqueue([.sample(1)], at: wrong)
    let stray = try store.fail(
      try #require(try store.claim(.test, at: wrong)), with: Fault(.storeUnavailable), at: wrong)
    #expect(stray >= wrong)
    #expect(try store.claim(.test, at: now) == nil)
    _ = try store.enqueue([.sample(2)], at: now)
    let due = try store.fail(try #require(try store.claim(.test, at: now)), with: Fault(.storeUnavailable), at: now)
    _ = try store.reap(.expired, at: now)
    #expect(try store.inspect(jobName(2))?.job.nextAttemptAt == due)
    #expect(try store.inspect(jobName(1))?.job.nextAttemptAt == now)
    #expect(try store.claim(.test, at: now)?.job == jobName(1))
  }

  @Test("A zombie's calls are all refused once its lease was taken back", arguments: StoreKind.allCases)
  func fencing(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1)], at: now)
    let zombie = try #require(try store.claim(.test, at: now))
    let later = now + .seconds(31)
    let reaped = try store.reap(.expired, at: later)
    #expect(reaped == [ReapedLease(job: zombie.job, attempt: 1, fault: .leaseExpired)])
    let successor = try #require(try store.claim(.test, at: later + .seconds(60)))
    let fenced = QueueError.fenced(zombie.job, attempt: 1)
    #expect(throws: fenced) { try store.finish(zombie, with: .sample(1), at: later) }
    #expect(throws: fenced) { try store.heartbeat(zombie, leaseDuration: .seconds(30), at: later) }
    #expect(throws: fenced) { try store.fail(zombie, with: Fault(.workerLost), at: later) }
    #expect(throws: fenced) { try store.release(zombie, at: later) }
    #expect(throws: fenced) { try store.cancel(zombie, at: later) }
    #expect(throws: fenced) { try store.giveUp(zombie, at: later) }
    try store.finish(successor, with: .sample(2), at: later + .seconds(61))
    #expect(throws: QueueError.fenced(zombie.job, attempt: 2)) {
      try store.finish(successor, with: .sample(2), at: later)
    }
    #expect(try store.inspect(zombie.job)?.attempts.map(\.end) == [.faulted, .finished])
  }

  @Test("A token of the right attempt but another draw is refused", arguments: StoreKind.allCases)
  func wrongToken(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1)], at: now)
    let lease = try #require(try store.claim(.test, at: now))
    let forged = Lease(
      job: lease.job, queue: lease.queue, attempt: lease.attempt, token: LeaseToken(rawValue: lease.token.rawValue ^ 1),
      bundleBytes: 0, claimedAt: now, leaseUntil: now, deadlineAt: now, cancelRequested: false, isExhausted: false)
    #expect(throws: QueueError.fenced(lease.job, attempt: 1)) { try store.finish(forged, with: .sample(1), at: now) }
  }

  @Test("A heartbeat moves the lease on, though never past the deadline", arguments: StoreKind.allCases)
  func heartbeats(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1)], at: now)
    let lease = try #require(try store.claim(.test, at: now))
    let first = try store.heartbeat(lease, leaseDuration: .seconds(30), at: now + .seconds(20))
    #expect(first == Heartbeat(leaseUntil: now + .seconds(50), cancelRequested: false))
    #expect(try store.reap(.expired, at: now + .seconds(40)).isEmpty)
    let last = try store.heartbeat(lease, leaseDuration: .seconds(30), at: now + .seconds(590))
    #expect(last.leaseUntil == now + .seconds(600))
    #expect(try store.reap(.expired, at: now + .seconds(600)).map(\.fault) == [.deadlineExceeded])
  }

  @Test("A release costs nothing and keeps the job's place", arguments: StoreKind.allCases)
  func releases(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1)], at: now)
    _ = try store.enqueue([.sample(2)], at: now + .seconds(1))
    let lease = try #require(try store.claim(.test, at: now + .seconds(2)))
    try store.release(lease, at: now + .seconds(3))
    let job = try #require(try store.inspect(lease.job)?.job)
    #expect(job.state == .ready && job.faults == 0 && job.strikes == 0 && job.attempt == 1)
    #expect(try store.claim(.test, at: now + .seconds(4))?.job == lease.job)
  }

  @Test("After too many strikes an attempt may give up, and only then", arguments: StoreKind.allCases)
  func dying(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1)], at: now)
    var moment = now
    for strike in 1...3 {
      let lease = try #require(try store.claim(.test, at: moment))
      #expect(!lease.isExhausted)
      #expect(throws: QueueError.notExhausted(lease.job)) { try store.giveUp(lease, at: moment) }
      moment = try store.fail(lease, with: Fault(.workerLost, detail: "try \(strike)"), at: moment)
    }
    let last = try #require(try store.claim(.test, at: moment))
    #expect(last.isExhausted)
    try store.giveUp(last, at: moment)
    let dead = try #require(try store.inspect(last.job))
    #expect(dead.job.state == .dead && dead.job.finishedAt == moment && dead.job.lastFault == .workerLost)
    #expect(dead.attempts.map(\.end) == [.faulted, .faulted, .faulted, .gaveUp])
    #expect(dead.attempts.first?.fault == Fault(.workerLost, detail: "try 1"))
    try store.retryDead(last.job, at: moment)
    let again = try #require(try store.claim(.test, at: moment))
    #expect(!again.isExhausted && again.attempt == 5)
  }

  @Test("Faults that are not the job's own never make it dead", arguments: StoreKind.allCases)
  func outages(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1)], at: now)
    var moment = now
    for _ in 0..<50 {
      let lease = try #require(try store.claim(.test, at: moment))
      #expect(!lease.isExhausted)
      let due = try store.fail(lease, with: Fault(.storeUnavailable), at: moment)
      #expect(due >= moment && due <= moment + .seconds(600))
      moment = due
    }
  }

  @Test("A waiting retry is not claimed before its time", arguments: StoreKind.allCases)
  func retryTimes(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind, policy: RetryPolicy(base: .seconds(100), cap: .seconds(1_000)))
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1)], at: now)
    let lease = try #require(try store.claim(.test, at: now))
    let due = try store.fail(lease, with: Fault(.workerRetry), at: now)
    #expect(due > now)
    #expect(try store.claim(.test, at: due + .milliseconds(-1)) == nil)
    #expect(try store.claim(.test, at: due)?.job == lease.job)
  }

  @Test("A worker's retry costs a job nothing for a long time, but not for ever", arguments: StoreKind.allCases)
  func patience(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind, policy: RetryPolicy(strikeLimit: 2, patience: 5, base: .seconds(1)))
    defer { fixture.remove() }
    let store = fixture.store
    var moment = now
    _ = try store.enqueue([.sample(1)], at: moment)
    for fault in 1...7 {
      let lease = try #require(try store.claim(.test, at: moment))
      #expect(!lease.isExhausted, "fault \(fault)")
      let faults = [Fault(.workerRetry), Fault(.bundleUnopened)]
      moment = max(moment, try store.fail(lease, with: faults[fault % 2], at: moment))
    }
    #expect(try #require(try store.claim(.test, at: moment)).isExhausted)
  }

  @Test("A start takes back every lease, without a strike", arguments: StoreKind.allCases)
  func reapAll(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1), .sample(2)], at: now)
    _ = try store.claim(.test, at: now)
    #expect(try store.reap(.all, at: now + .seconds(1)).map(\.fault) == [.daemonLost])
    let job = try #require(try store.inspect(jobName(1))?.job)
    #expect(job.state == .retryWait && job.strikes == 0 && job.faults == 1 && job.leaseUntil == nil)
  }
}
