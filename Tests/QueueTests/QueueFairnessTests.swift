import GRDB
import Testing
import Wire

@testable import Queue

@Suite("Queue store: turns of queues and tenants")
struct QueueFairnessTests {
  let now = Timestamp.start

  @Test(
    "While a lane waits with a job, every other lane has one turn at most", arguments: 1...20 as ClosedRange<UInt64>)
  func bound(seed: UInt64) throws {
    let fixture = try StoreFixture(.sqlite, seed: seed)
    defer { fixture.remove() }
    let store = fixture.store
    let random = SeededRandom(seed: seed)
    var lanes = ["default/a", "default/b", "other/"]
    var jobs: [JobName: String] = [:]
    var waiting: [String: Int] = [:]
    /// For each lane that waits: who was served meanwhile.
    var servedBefore: [String: [String]] = [:]
    for number in 0..<400 as Range<UInt64> {
      switch random.upTo(9) {
      case 0 where lanes.count < 12: lanes.append("default/new-\(number)")
      case 0..<5:
        // The first lane floods: it has more than everybody else together.
        let lane = random.upTo(1) == 0 ? lanes[0] : lanes[Int(random.upTo(Int64(lanes.count - 1)))]
        let parts = lane.split(separator: "/", omittingEmptySubsequences: false)
        let count = lane == lanes[0] ? 10 : 1 as UInt64
        let new = try (0..<count).map {
          try NewJob.sample(
            number * 100 + $0, queue: String(parts[0]), tenant: parts[1].isEmpty ? nil : String(parts[1]))
        }
        _ = try store.enqueue(new, at: now + .milliseconds(Int64(number)))
        for job in new { jobs[job.name] = lane }
        if waiting[lane, default: 0] == 0 { servedBefore[lane] = [] }
        waiting[lane, default: 0] += new.count
      default:
        guard let lease = try store.claim(.test, at: now + .milliseconds(Int64(number))) else { continue }
        let lane = try #require(jobs[lease.job])
        let served = servedBefore.removeValue(forKey: lane) ?? []
        #expect(Set(served).count == served.count, "\(lane) waited while \(served) were served")
        #expect(served.count <= lanes.count - 1)
        waiting[lane, default: 0] -= 1
        for other in servedBefore.keys { servedBefore[other]?.append(lane) }
        if waiting[lane, default: 0] > 0 { servedBefore[lane] = [] }
        switch random.upTo(3) {
        case 0:
          // A job that comes back is its lane's own matter.
          try store.release(lease, at: now + .milliseconds(Int64(number)))
          waiting[lane, default: 0] += 1
          if servedBefore[lane] == nil { servedBefore[lane] = [] }
        default: try store.finish(lease, with: .sample(1), at: now + .milliseconds(Int64(number)))
        }
      }
    }
  }

  @Test("A higher priority goes first in every lane, and lanes take turns within it", arguments: StoreKind.allCases)
  func priorities(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue((1...3).map { try .sample($0, tenant: "low") }, at: now)
    _ = try store.enqueue((11...13).map { try .sample($0, tenant: "high-1", priority: 5) }, at: now)
    _ = try store.enqueue((21...23).map { try .sample($0, tenant: "high-2", priority: 5) }, at: now)
    var order: [String] = []
    while let lease = try store.claim(.test, at: now) { order.append(lease.tenant ?? "") }
    #expect(order == ["high-1", "high-2", "high-1", "high-2", "high-1", "high-2", "low", "low", "low"])
  }

  @Test("A tenant too many shares the queue's own lane, and keeps its folder", arguments: StoreKind.allCases)
  func tooManyTenants(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    let made = UInt64(QueueLimits.tenantsPerQueue) + 50
    _ = try store.enqueue((0..<made).map { try .sample($0, tenant: "made-up-\($0)") }, at: now)
    _ = try store.enqueue([.sample(made, tenant: "late"), .sample(made + 1)], at: now)
    #expect(try store.inspect(jobName(made))?.job.tenant == "late")
    #expect(try store.inspect(jobName(made + 1))?.job.tenant == nil)
    var turns: [String: Int] = [:]
    for _ in 0..<QueueLimits.tenantsPerQueue + 1 {
      turns[try #require(try store.claim(.test, at: now)?.tenant), default: 0] += 1
    }
    // One round: each lane one turn, the shared one too.
    #expect(turns.count == QueueLimits.tenantsPerQueue + 1 && turns.values.allSatisfy { $0 == 1 })
  }

  @Test("Retries that fall due together all run, a claim at a time", arguments: StoreKind.allCases)
  func manyRetries(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    let count = QueueLimits.retriesPerClaim * 2 + 10
    _ = try store.enqueue((0..<UInt64(count)).map { try .sample($0, queue: $0 < 400 ? "paused" : "open") }, at: now)
    while let lease = try store.claim(.test, at: now) {
      _ = try store.fail(lease, with: Fault(.storeUnavailable), at: now)
    }
    try store.setPaused(true, queue: queueName("paused"), at: now)
    let later = now + .seconds(3_600)
    var claims = 0
    while try store.claim(.test, at: later) != nil { claims += 1 }
    #expect(claims == count - 400)
    try store.setPaused(false, queue: queueName("paused"), at: later)
    while try store.claim(.test, at: later) != nil { claims += 1 }
    #expect(claims == count)
  }

  @Test("A long history keeps its beginning and its end", arguments: StoreKind.allCases)
  func longHistory(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1)], at: now)
    let attempts: Int64 = 400
    for _ in 0..<attempts {
      try store.release(try #require(try store.claim(.test, at: now)), at: now)
    }
    let numbers = try #require(try store.inspect(jobName(1))).attempts.map(\.number)
    #expect(numbers.count == Int(QueueLimits.oldestAttempts + QueueLimits.newestAttempts))
    #expect(Array(numbers.prefix(16)) == Array(1...16) && numbers.last == attempts)
    #expect(try fixture.store.integrityFaults().isEmpty)
  }

  @Test("Figures by queue: states, the oldest that waits, the oldest heartbeat", arguments: StoreKind.allCases)
  func figures(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1, tenant: "a", priority: 9)], at: now + .seconds(5))
    _ = try store.enqueue([.sample(2, tenant: "b"), .sample(3, tenant: "b")], at: now + .seconds(1))
    _ = try store.enqueue([.sample(4, queue: "night", isHeld: true)], at: now)
    var stats = try store.stats()
    #expect(stats.map(\.queue.rawValue) == ["default", "night"])
    #expect(stats[0].counts == [.ready: 3] && stats[0].oldestReadyAt == now + .seconds(1))
    #expect(stats[1].counts == [.held: 1] && stats[1].oldestReadyAt == nil && stats[1].oldestHeartbeatAt == nil)
    let first = try #require(try store.claim(.test, at: now + .seconds(10)))
    _ = try store.claim(.test, at: now + .seconds(11))
    _ = try store.heartbeat(first, leaseDuration: .seconds(30), at: now + .seconds(12))
    stats = try store.stats()
    #expect(stats[0].counts == [.ready: 1, .running: 2] && stats[0].oldestHeartbeatAt == now + .seconds(11))
    try store.finish(first, with: .sample(1), at: now + .seconds(13))
    #expect(try store.stats()[0].counts == [.ready: 1, .running: 1, .finished: 1])
    #expect(try store.inspect(first.job)?.job.heartbeatAt == now + .seconds(12))
  }
}
