import Foundation
import ObjectStore
import Queue
import Synchronization
import Testing
import Wire

@testable import JobRunner

/// Several workers of one daemon: what one does or does not do is no other's trouble.
@Suite("Several workers", .timeLimit(.minutes(15)))
struct WorkerPoolTests {
  private func scripted(
    _ host: TestDaemon, _ name: String, _ conduct: ScriptedWorker.Conduct = .serves, refusesEpochs: Bool = false
  ) throws -> ScriptedWorker {
    try ScriptedWorker(.unix("\(host.folder)/\(name)"), conduct, refusesEpochs: refusesEpochs)
  }

  private func owners(_ host: TestDaemon, _ job: JobName) throws -> [String] {
    try host.queue.inspect(job)?.attempts.map(\.owner) ?? []
  }

  @Test("a dead, a silent and a stuck worker hold up nobody else's jobs, and none of them costs a job an attempt")
  func troubles() throws {
    let host = try TestDaemon()
    let silent = try scripted(host, "silent", .isSilent)
    let stuck = try scripted(host, "stuck", .hangsInJobs)
    let names = ["dead", "silent", "stuck", "well"]
    let pool = WorkerPool(try names.map { try host.managed($0, at: $0) })
    defer {
      silent.stop()
      stuck.stop()
      pool.stop(within: 20)
    }
    let first = try host.upload("first")
    pool.start()
    eventually { stuck.stuckJobs == 1 }
    let well = try scripted(host, "well")
    defer { well.stop() }
    let jobs = try (0..<8).map { try host.upload("job \($0)") }
    pool.wake()
    for job in jobs {
      try eventually { try host.state(of: job) == .finished }
      #expect(try owners(host, job) == ["well"])
    }
    #expect(try host.state(of: first) == .running && owners(host, first) == ["stuck"])
    eventually { pool.workers[3].health.view.state == .ready }
    eventually { pool.workers[0].health.view.lastErrorAt != nil }
    let rows = try host.desk(workers: pool.workers).answer(OperatorRequest(verb: .workers)).table?.rows ?? []
    let states = rows.map { row in
      if case .text(let state) = row["state"] { state } else { "" }
    }
    #expect(states == ["not_ready", "not_ready", "busy", "ready"], "\(states)")
    guard case .text(let error) = rows[0]["last_error"] else { return #expect(Bool(false), "no error") }
    #expect(error.contains("dead"), "\(error)")
    #expect(rows[2]["job"] == .text(first.hex))
  }

  @Test("three workers that start together make one epoch; the others load it")
  func oneEpoch() throws {
    let host = try TestDaemon()
    let names = ["a", "b", "c"]
    let workers = try names.map { try scripted(host, $0) }
    let pool = WorkerPool(try names.map { try host.managed($0, at: $0) })
    pool.start()
    defer {
      pool.stop(within: 20)
      for worker in workers { worker.stop() }
    }
    eventually { workers.allSatisfy { $0.epochs.contains(1) } }
    #expect(workers.flatMap(\.made) == [1])
    #expect(try host.shared.shelf.all().map(\.number) == [1])
  }

  @Test("two workers that refuse each other's epochs do not make new ones for ever")
  func refusedEpochs() throws {
    let host = try TestDaemon()
    let workers = try ["a", "b"].map { try scripted(host, $0, refusesEpochs: true) }
    let pool = WorkerPool(try ["a", "b"].map { try host.managed($0, at: $0) })
    defer { for worker in workers { worker.stop() } }
    for _ in 0..<6 { for worker in pool.workers { try worker.supervisor.makeReady() } }
    #expect(workers.flatMap(\.made) == [1])
    let note = try EpochDesk(pool: pool).list().table?.rows.first?["note"]
    guard case .text(let words) = note else { return #expect(Bool(false), "no note") }
    #expect(words.contains("worker b: "), "\(words)")
  }

  @Test("a worker that holds no key for a bundle leaves it to one that has not tried, and takes it again when all have")
  func unopened() throws {
    let host = try TestDaemon()
    let blind = try scripted(host, "blind", .opensNothing)
    let pool = WorkerPool(try ["blind", "seeing"].map { try host.managed($0, at: $0) })
    defer {
      blind.stop()
      pool.stop(within: 20)
    }
    let job = try host.upload("one")
    pool.start()
    // Alone it may try again and again: the queue's patience decides.
    try eventually { try owners(host, job).filter { $0 == "blind" }.count >= 2 }
    let seeing = try scripted(host, "seeing")
    defer { seeing.stop() }
    try eventually { try host.state(of: job) == .finished }
    #expect(try owners(host, job).last == "seeing")
    #expect(try host.queue.inspect(job)?.attempts.first?.fault?.faultClass == .bundleUnopened)
  }

  @Test("who is left what: only to others that are there, serve the queue and have not tried; new keys begin anew")
  func roster() throws {
    let roster = WorkerRoster()
    let clock = SystemClock()
    let (night, job) = (try #require(QueueName("night")), SHA256Name.of("a"))
    let members = ["a", "b", "c"].map { WorkerHealth(name: $0, clock: clock) }
    for health in members {
      roster.add(WorkerRoster.Member(health: health, queues: health.name == "c" ? [night] : nil))
      health.supplied()
    }
    let other = try #require(QueueName("default"))
    roster.couldNotOpen(job, in: other, worker: "a")
    #expect(roster.leftToOthers(by: "a") == [job] && roster.leftToOthers(by: "b").isEmpty)
    roster.couldNotOpen(job, in: other, worker: "b")
    #expect(roster.leftToOthers(by: "a").isEmpty, "c does not serve the queue")
    roster.keysChanged(at: "b")
    #expect(roster.leftToOthers(by: "a") == [job])
    members[1].drain()
    #expect(roster.leftToOthers(by: "a").isEmpty, "b is drained")
    members[1].undrain()
    members[1].supplied()
    #expect(roster.leftToOthers(by: "a") == [job])
    roster.settle(job)
    #expect(roster.leftToOthers(by: "a").isEmpty)
    for number in 0..<200 { roster.couldNotOpen(SHA256Name.of("\(number)"), in: other, worker: "a") }
    #expect(roster.leftToOthers(by: "a").count == WorkerRoster.jobsLimit)
  }

  @Test("a claim passes over the jobs that it leaves, and takes the next of the same lane")
  func leaving() throws {
    let host = try TestDaemon()
    let (first, second) = (try host.upload("one"), try host.upload("two"))
    let now = SystemClock().now()
    let request = ClaimRequest(queues: [try #require(QueueName("default"))], owner: "w")
    let claimed = try host.queue.claim(request.leaving([first]), at: now)
    #expect(claimed?.job == second)
    #expect(try host.queue.claim(request.leaving([first, second]), at: now) == nil)
    #expect(try host.queue.claim(request, at: now)?.job == first)
  }

  @Test("a worker that fails attempts in a row is put aside, others go on, and an operator brings it back")
  func quarantine() throws {
    let seen = SeenStates()
    let host = try TestDaemon(events: seen)
    let failing = try scripted(host, "failing", .diesInJobs)
    let pool = WorkerPool([try host.managed("failing", at: "failing")])
    let desk = try host.desk(workers: pool.workers)
    defer {
      failing.stop()
      pool.stop(within: 20)
    }
    let jobs = try (0..<4).map { try host.upload("job \($0)") }
    pool.start()
    eventually { pool.workers[0].health.view.state == .quarantined }
    eventually { host.log.count(.warning, "worker is put aside") >= 1 && seen.all.contains(.quarantined) }
    failing.turn(.serves)
    #expect(try desk.answer(OperatorRequest(verb: .workerUndrain, worker: "no-such")).isMissing == true)
    #expect(try desk.answer(OperatorRequest(verb: .workerUndrain, worker: "failing")).error == nil)
    for job in jobs { try eventually { try host.state(of: job) == .finished } }
    #expect(pool.workers[0].health.view.faultsInRow == 0)
  }

  @Test("a drained worker is given nothing while the others work, until it is undrained")
  func drain() throws {
    let host = try TestDaemon()
    let workers = try ["a", "b"].map { try scripted(host, $0) }
    let pool = WorkerPool(try ["a", "b"].map { try host.managed($0, at: $0) })
    let desk = try host.desk(workers: pool.workers)
    #expect(try desk.answer(OperatorRequest(verb: .workerDrain, worker: "a")).facts?["draining"] == .bool(true))
    pool.start()
    defer {
      pool.stop(within: 20)
      for worker in workers { worker.stop() }
    }
    let jobs = try (0..<5).map { try host.upload("job \($0)") }
    for job in jobs {
      try eventually { try host.state(of: job) == .finished }
      #expect(try owners(host, job) == ["b"])
    }
    _ = try desk.answer(OperatorRequest(verb: .workerDrain, worker: "b"))
    _ = try desk.answer(OperatorRequest(verb: .workerUndrain, worker: "a"))
    let last = try host.upload("last")
    try eventually { try host.state(of: last) == .finished }
    #expect(try owners(host, last) == ["a"])
    let status = try desk.answer(OperatorRequest(verb: .status))
    #expect(status.facts?["workers_serving"] == .number(1) && status.table?.rows.count == 2)
  }

  @Test("a worker claims from the queues that it serves, and from no other")
  func queues() throws {
    let host = try TestDaemon()
    let worker = try scripted(host, "a")
    let pool = WorkerPool([try host.managed("a", at: "a", queues: [try #require(QueueName("night"))])])
    pool.start()
    defer {
      pool.stop(within: 20)
      worker.stop()
    }
    let (other, mine) = (try host.upload("one"), try host.upload("two", to: "night"))
    try eventually { try host.state(of: mine) == .finished }
    #expect(try host.queue.inspect(other)?.job.attempt == 0)
  }

  @Test("quarantines double from the first to the longest, and are never nothing")
  func quarantineLengths() {
    let policy = QuarantinePolicy()
    for (faults, longest) in [(3, 5.0), (4, 10), (5, 20), (9, 300), (10_000, 300)] {
      for _ in 0..<50 {
        let seconds = policy.wait(afterFaults: faults).inSeconds
        #expect(seconds >= longest / 2 && seconds <= longest, "\(faults)")
      }
    }
  }
}

/// States that an observer was told.
private final class SeenStates: DaemonEvents {
  private let states = Mutex<[WorkerState]>([])
  var all: [WorkerState] { states.withLock { $0 } }
  func workerChanged(_ worker: String, to state: WorkerState) { states.withLock { $0.append(state) } }
}
