import Testing
import Wire

@testable import Queue

// Many small worlds, each made by its seed: jobs arrive, executors and zombies take steps in any order, faults strike
// before and after effects, the daemon is killed, operators cancel, pause and retry. Then the faults stop, and every
// promise of the queue must hold. A failing seed repeats by its number.

@Suite("Queue simulation")
struct QueueSimulationTests {
  @Test("No job is lost, none is committed twice, none without a receipt, and every job ends", arguments: 1...24)
  func promises(seed: UInt64) throws {
    var simulation = try Simulation(seed: seed)
    defer { simulation.fixture.remove() }
    for _ in 0..<400 { try simulation.step() }
    try simulation.settle()
    #expect(simulation.host.violations.isEmpty)
    try simulation.check()
  }
}

private struct Simulation {
  let fixture: StoreFixture
  let host: SimulatedHost
  private var now = Timestamp.start
  private var attempts: [SimulatedAttempt] = []
  private var acknowledged: Set<JobName> = []
  private var crashes: UInt64 = 0

  private var store: any QueueStore { fixture.store }

  init(seed: UInt64) throws {
    fixture = try StoreFixture(.sqlite, policy: RetryPolicy(strikeLimit: 4, cap: .seconds(60)), seed: seed)
    host = SimulatedHost(seed: seed &* 1_000_003)
    host.faultRate = [0, 20, 100, 250][Int(seed % 4)]
  }

  mutating func step() throws {
    switch host.random.upTo(99) {
    case 0..<8: try enqueue()
    case 8..<20: try claim()
    case 20..<70: stepAttempt()
    case 70..<80: try heartbeat()
    case 80..<88: now = now + .milliseconds(host.random.upTo(40_000))
    case 88..<92: _ = try store.reap(.expired, at: now)
    case 92: try crash()
    case 93..<95: try cancel()
    case 95: try retryDead()
    case 96: try store.setPaused(host.chance(500), queue: queueName("a"), at: now)
    case 97: postToAttempt(.shutdown)
    case 98: postToAttempt(.deadlinePassed)
    default: try adopt()
    }
  }

  private mutating func enqueue() throws {
    let numbers = (0..<Int(1 + host.random.upTo(2))).map { _ in UInt64(host.random.upTo(60)) }
    let jobs = try numbers.map {
      try NewJob.sample($0, queue: $0 % 2 == 0 ? "a" : "b", tenant: $0 % 3 == 0 ? "x" : nil, priority: Int64($0 % 4))
    }
    _ = try store.enqueue(jobs, at: now)
    acknowledged.formUnion(jobs.map(\.name))
  }

  private mutating func claim() throws {
    guard attempts.count < 6, let lease = try store.claim(.test, at: now) else { return }
    let isHeldTwice = attempts.contains { $0.lease.job == lease.job && $0.lease.attempt >= lease.attempt }
    if isHeldTwice { host.note("\(lease.job) was claimed under an old attempt") }
    attempts.append(SimulatedAttempt(lease))
  }

  private mutating func stepAttempt() {
    guard !attempts.isEmpty else { return }
    let index = Int(host.random.upTo(Int64(attempts.count - 1)))
    attempts[index].step(host: host, store: store, at: now)
    attempts.removeAll(where: \.isOver)
  }

  private mutating func postToAttempt(_ event: ExecutorEvent) {
    guard !attempts.isEmpty else { return }
    let index = Int(host.random.upTo(Int64(attempts.count - 1)))
    attempts[index].post(event, host: host, store: store, at: now)
  }

  /// A fenced executor hears of it at once, or (a zombie) goes on as if nothing were.
  private mutating func heartbeat() throws {
    guard !attempts.isEmpty else { return }
    let index = Int(host.random.upTo(Int64(attempts.count - 1)))
    do {
      let answer = try store.heartbeat(attempts[index].lease, leaseDuration: .seconds(30), at: now)
      if answer.cancelRequested { attempts[index].post(.cancelRequested, host: host, store: store, at: now) }
    } catch QueueError.fenced {
      if host.chance(500) { attempts[index].post(.leaseLost, host: host, store: store, at: now) }
    }
  }

  /// A write that was on its way when the daemon died may still arrive, so some attempts live on as zombies.
  private mutating func crash() throws {
    crashes += 1
    attempts.removeAll { _ in host.chance(700) }
    try fixture.crashAndReopen(seed: crashes &* 7_919 &+ UInt64(now.milliseconds))
    _ = try store.reap(.all, at: now)
  }

  private func cancel() throws {
    guard let job = host.pick(acknowledged.sorted()) else { return }
    _ = try store.requestCancel(job, at: now)
  }

  private func retryDead() throws {
    for job in try store.list(JobFilter(state: .dead)) { try store.retryDead(job.name, at: now) }
  }

  private func adopt() throws {
    guard let job = host.pick(acknowledged.sorted()), let commit = host.commits[job] else { return }
    _ = try store.adopt(commit, of: job, at: now)
  }

  /// The faults stop; the daemon goes on as it does every day.
  mutating func settle() throws {
    host.faultRate = 0
    try store.setPaused(false, queue: queueName("a"), at: now)
    for _ in 0..<2_000 {
      now = now + .seconds(5)
      _ = try store.reap(.expired, at: now)
      if let lease = try store.claim(.test, at: now) { attempts.append(SimulatedAttempt(lease)) }
      for index in attempts.indices {
        while !attempts[index].isOver { attempts[index].step(host: host, store: store, at: now) }
      }
      attempts.removeAll()
      if try store.list(JobFilter(limit: 1_000)).allSatisfy(\.state.isTerminal) { break }
    }
    for (job, commit) in host.commits { _ = try store.adopt(commit, of: job, at: now) }
  }

  func check() throws {
    let jobs = try store.list(JobFilter(limit: 1_000))
    #expect(Set(jobs.map(\.name)) == acknowledged)
    for job in jobs {
      #expect(job.state.isTerminal, "\(job.name) has not ended")
      #expect((job.state == .finished) == (host.commits[job.name] != nil))
      #expect(job.commit == host.commits[job.name])
      if let commit = job.commit { #expect(host.receipts[job.name]?.contains(commit.attempt) == true) }
      let history = try store.inspect(job.name)?.attempts ?? []
      #expect(history.map(\.number) == (0..<job.attempt).map { $0 + 1 })
      #expect(history.allSatisfy { $0.end != nil })
    }
    #expect(try fixture.store.integrityFaults().isEmpty)
  }
}
