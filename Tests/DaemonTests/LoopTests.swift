import Foundation
import ObjectStore
import Queue
import Testing
import Wire

@testable import JobRunner

/// What an operator notices of the daemon's loops. A loop that did not end would run into the time limit.
@Suite("The daemon's loops", .timeLimit(.minutes(15)))
struct LoopTests {
  @Test("state.json follows the queue")
  func statesFollow() throws {
    let host = try TestDaemon()
    host.states.start()
    defer { host.states.stop(within: 5) }
    let job = try host.upload("one")
    host.states.note(CollectionOfOne(job))
    eventually { host.said(of: job)?.state == "ready" }
    let lease = try #require(try host.queue.claim(ClaimRequest(owner: "test"), at: SystemClock().now()))
    host.states.note(job, done: 7)
    eventually { host.said(of: job)?.done == 7 }
    #expect(host.said(of: job)?.state == "running" && host.said(of: job)?.attempt == 1)
    try host.queue.release(lease, at: SystemClock().now())
    host.states.note(CollectionOfOne(job))
    eventually { host.said(of: job)?.state == "ready" }
    #expect(host.said(of: job)?.done == 0)
  }

  @Test("While the store is away the states wait, the log says so once, and then they are written")
  func statesWait() throws {
    let host = try TestDaemon()
    let job = try host.upload("one")
    host.store.turn(.fails)
    host.states.start()
    defer { host.states.stop(within: 5) }
    host.states.note(CollectionOfOne(job))
    eventually { host.store.struck >= 4 }
    #expect(host.said(of: job) == nil)
    host.store.turn(.works)
    eventually { host.said(of: job)?.state == "ready" }
    #expect(host.log.count(.warning, "state.json") == 1)
  }

  @Test("What was noted before the stop is written; a store that hangs does not hold up the stop")
  func statesStop() throws {
    let host = try TestDaemon()
    let job = try host.upload("one")
    host.states.note(CollectionOfOne(job))
    host.states.start()
    host.states.stop(within: 30)
    #expect(host.said(of: job)?.state == "ready")

    let slow = try TestDaemon()
    slow.store.turn(.works)
    let waiting = try slow.upload("two")
    slow.store.turn(.hangs)
    slow.states.start()
    slow.states.note(CollectionOfOne(waiting))
    eventually { slow.store.struck > 0 }
    slow.states.stop(within: 0.1)
    #expect(slow.said(of: waiting) == nil)
    slow.store.turn(.works)
  }

  @Test("The inbox is listed again after a failure that the log names once, and its bundles are taken in")
  func intakeRetries() throws {
    let host = try TestDaemon()
    let found = Counter()
    let job = try host.upload("one", enqueued: false)
    host.store.turn(.fails)
    let intake = try host.intake(found: found)
    intake.start()
    defer { intake.stop(within: 5) }
    eventually { host.store.struck >= 4 }
    #expect(found.value == 0)
    host.store.turn(.works)
    eventually { found.value == 1 }
    #expect(try host.state(of: job) == .ready)
    #expect(host.log.count(.warning, "intake") == 1)
  }

  @Test("A listing that hangs does not hold up the intake's stop")
  func intakeStops() throws {
    let host = try TestDaemon()
    host.store.turn(.hangs)
    let intake = try host.intake()
    intake.start()
    eventually { host.store.struck > 0 }
    intake.stop(within: 0.1)
    host.store.turn(.works)
  }

  @Test("A job waits unharmed for a worker that is not there, the log says so once, and then it runs to its commit")
  func executorWaits() throws {
    let host = try TestDaemon()
    let job = try host.upload("one")
    let executor = try host.executor()
    host.states.start()
    executor.start()
    defer {
      executor.stop(within: 5)
      host.states.stop(within: 5)
    }
    eventually { host.log.count(.warning, "worker is not ready") == 1 }
    #expect(try host.queue.inspect(job)?.job.attempt == 0)
    let worker = try ScriptedWorker(host.worker)
    defer { worker.stop() }
    eventually { host.said(of: job)?.state == "finished" }
    let commit = try #require(try host.queue.inspect(job)?.job.commit)
    #expect(commit.attempt == 1 && commit.outcome == .refused)
    #expect(
      try host.store.names(under: "jobs/\(job.hex)/")
        == ["attempts/1/output.jsonl.age", "attempts/1/receipt.cose", "commit.json", "state.json"])
    #expect(host.log.count(.warning, "worker is not ready") == 1)
  }

  @Test("A stop gives the attempt under way back: it costs the job nothing")
  func executorStops() throws {
    let host = try TestDaemon()
    let worker = try ScriptedWorker(host.worker, .hangsInJobs)
    defer { worker.stop() }
    let job = try host.upload("one")
    let executor = try host.executor()
    executor.start()
    eventually { worker.stuckJobs == 1 }
    executor.stop(within: 60)
    let left = try #require(try host.queue.inspect(job)?.job)
    #expect(left.state == .ready && left.faults == 0)
    #expect(host.log.count(.info, "given back") == 1)
  }

  @Test("When a later attempt has committed, the files of the failed one go, and the committed ones stay")
  func leftovers() throws {
    let host = try TestDaemon()
    let worker = try ScriptedWorker(host.worker)
    defer { worker.stop() }
    let job = try host.upload("one")
    host.store.failOnce("attempts/1/receipt.cose")
    let executor = try host.executor()
    executor.start()
    defer { executor.stop(within: 5) }
    try eventually { try host.state(of: job) == .finished }
    try eventually { try !host.store.names(under: StoreLayout.attempts(job)).contains("1/output.jsonl.age") }
    #expect(try host.queue.inspect(job)?.job.commit?.attempt == 2)
    #expect(try host.store.names(under: StoreLayout.attempts(job)) == ["2/output.jsonl.age", "2/receipt.cose"])
  }

  @Test("Beside a commit its attempt alone stays; without one, whatever has a receipt; what is no attempt's always")
  func whatStays() throws {
    let host = try TestDaemon()
    let job = try host.upload("one")
    let left = AttemptLeftovers(store: host.store, job: job)
    let names = [
      "1/output.jsonl.age", "2/output.jsonl.age", "2/receipt.cose", "3/output.jsonl.age", "x/y", "03/z", "4",
    ]
    for name in names { _ = try host.store.put(try ObjectKey(StoreLayout.attempts(job) + name), [1], .always) }
    try left.removeWithoutReceipt()
    let strangers = ["03/z", "4", "x/y"]
    #expect(
      try host.store.names(under: StoreLayout.attempts(job)).sorted()
        == (["2/output.jsonl.age", "2/receipt.cose"] + strangers).sorted())
    try left.remove(besides: JobCommit(attempt: 2, outcome: .completed, receipt: job))
    #expect(try host.store.names(under: StoreLayout.attempts(job)).count == 5)
    try left.remove(besides: JobCommit(attempt: 5, outcome: .completed, receipt: job))
    #expect(try host.store.names(under: StoreLayout.attempts(job)).sorted() == strangers.sorted())
  }
}
