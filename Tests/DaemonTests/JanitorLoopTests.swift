import Crypto
import Foundation
import ObjectStore
import Queue
import SealedCrypto
import Testing
import Wire

@testable import JobRunner

@Suite("The daemon's janitor", .timeLimit(.minutes(15)))
struct JanitorLoopTests {
  /// Nothing is kept longer than it must be.
  private static let atOnce = RetentionPolicy(
    inboxGrace: .zero, finished: .zero, cancelled: .zero, dead: .zero, records: nil)
  /// A moment that every age has passed.
  private let past = Timestamp(milliseconds: 1_767_225_600_000)

  /// A job that was run to its commit, with what the store then holds of it.
  private func finished(_ host: TestDaemon, _ text: String) throws -> (job: JobName, commit: JobCommit) {
    let job = try host.upload(text)
    let lease = try #require(try host.queue.claim(ClaimRequest(owner: "test"), at: past))
    let receipt = Array("receipt of \(text)".utf8)
    let commit = JobCommit(attempt: lease.attempt, outcome: .completed, receipt: SHA256.digest(of: receipt))
    _ = try host.store.put(
      try ObjectKey(StoreLayout.receipt(job, attempt: lease.attempt)), receipt, .ifAbsent)
    _ = try host.store.put(
      try ObjectKey(StoreLayout.commit(job)), try StoreRecord.encode(CommitRecord(commit)), .ifAbsent)
    try host.queue.finish(lease, with: commit, at: past)
    return (job, commit)
  }

  private func isInInbox(_ job: JobName, _ host: TestDaemon) throws -> Bool {
    try host.store.head(try ObjectKey(StoreLayout.bundle(job, queue: "default"))) != nil
  }

  @Test("A finished job's bundle and row go, its receipt stays, and its bundle is not run again when it comes back")
  func finishedJob() throws {
    let host = try TestDaemon()
    let (job, commit) = try finished(host, "one")
    let janitor = host.janitor(Self.atOnce)
    janitor.start()
    defer { janitor.stop(within: 30) }
    try eventually { try host.queue.inspect(job) == nil }
    #expect(try !isInInbox(job, host))
    #expect(try StoreEndedObjects(store: host.store).evidence(of: job) == .committed(commit))
    try host.upload("one", enqueued: false)
    let found = Counter()
    let intake = try host.intake(found: found)
    let fresh = try host.upload("two", enqueued: false)
    intake.start()
    defer { intake.stop(within: 30) }
    try eventually { try host.state(of: fresh) == .ready }
    #expect(try host.queue.inspect(job) == nil)
  }

  @Test("Evidence is the commit with the very receipt that it names")
  func evidence() throws {
    let host = try TestDaemon()
    let objects = StoreEndedObjects(store: host.store)
    let (job, commit) = try finished(host, "one")
    #expect(try objects.evidence(of: job) == .committed(commit))
    #expect(try objects.evidence(of: SHA256.digest(of: [9])) == .uncommitted)
    let receipt = try ObjectKey(StoreLayout.receipt(job, attempt: commit.attempt))
    let breakages: [() throws -> Void] = [
      { _ = try host.store.put(receipt, [1, 2, 3], .always) },
      { try host.store.delete(receipt) },
      { _ = try host.store.put(try ObjectKey(StoreLayout.commit(job)), [0x7b], .always) },
    ]
    for breakage in breakages {
      try breakage()
      guard case .unproven = try objects.evidence(of: job) else {
        Issue.record("taken for proven")
        continue
      }
      let summary = try host.janitor().sweep(Self.atOnce, isOver: { false })
      #expect(summary.unproven == 1 && summary.cleared.isEmpty && summary.prunedJobs == 0)
      #expect(try isInInbox(job, host) && host.state(of: job) == .finished)
    }
    try host.store.delete(try ObjectKey(StoreLayout.commit(job)))
    #expect(try host.janitor().sweep(Self.atOnce, isOver: { false }).unproven == 1)
  }

  @Test("A store that is away is said once, and the work goes on when it is back")
  func storeAway() throws {
    let host = try TestDaemon()
    let (job, _) = try finished(host, "one")
    host.store.turn(.fails)
    #expect(throws: (any Error).self) { try host.janitor().sweep(Self.atOnce, isOver: { false }) }
    #expect(try host.state(of: job) == .finished)
    host.store.turn(.works)
    #expect(try host.janitor().sweep(Self.atOnce, isOver: { false }).prunedJobs == 1)
  }

  @Test("An operator prunes one state at an age, or all at the daemon's; what is not proven is named")
  func prune() throws {
    let host = try TestDaemon()
    let desk = try host.desk()
    let (job, _) = try finished(host, "one")
    let (broken, _) = try finished(host, "two")
    try host.store.delete(try ObjectKey(StoreLayout.commit(broken)))
    let cancelled = try host.upload("three")
    _ = try host.queue.requestCancel(cancelled, at: past)
    var request = OperatorRequest(verb: .prune, state: "finished")
    request.olderThanDays = 1
    let reply = try desk.answer(request)
    #expect(reply.facts?["pruned"] == .number(1) && reply.facts?["unproven"] == .number(1))
    #expect(reply.table?.rows.count == 1)
    #expect(try host.queue.inspect(job) == nil)
    #expect(try host.state(of: broken) == .finished && host.state(of: cancelled) == .cancelled)
    request.state = "ready"
    #expect(try desk.answer(request).error != nil)
    #expect(try desk.answer(OperatorRequest(verb: .prune)).error == nil)
    #expect(try host.queue.inspect(cancelled) == nil)
  }

  private func bury(_ job: JobName, _ host: TestDaemon) throws {
    var moment = past
    while try host.state(of: job) != .dead {
      let lease = try #require(try host.queue.claim(ClaimRequest(owner: "test"), at: moment))
      if lease.isExhausted {
        try host.queue.giveUp(lease, at: moment)
      } else {
        moment = try host.queue.fail(lease, with: Fault(.workerLost), at: moment)
      }
    }
  }

  @Test("An operator whose patience ends is told that more is left, each request does some of it, and the last says so")
  func patience() throws {
    let host = try TestDaemon()
    var desk = try host.desk()
    desk.patience = .zero
    let jobs = try ["one", "two", "three"].map { try finished(host, $0).job }
    var request = OperatorRequest(verb: .prune, state: "finished")
    request.olderThanDays = 1
    var left: [Int] = []
    var reply = try desk.answer(request)
    while reply.facts?["more"] == .bool(true) {
      #expect(reply.error == nil && reply.message?.contains("run it again") == true)
      left.append(try jobs.filter { try host.queue.inspect($0) != nil || isInInbox($0, host) }.count)
      try #require(left.count < 20)
      reply = try desk.answer(request)
    }
    #expect(reply.facts?["more"] == .bool(false) && reply.message?.contains("again") == false)
    #expect(left.count > 2 && left == left.sorted(by: >))
    #expect(try jobs.allSatisfy { try host.queue.inspect($0) == nil && !isInInbox($0, host) })
    // Dead jobs come back by the batch.
    let dead = try host.upload("dead")
    try bury(dead, host)
    request = OperatorRequest(verb: .retry)
    request.all = true
    reply = try desk.answer(request)
    #expect(reply.facts?["retried"] == .number(1) && reply.facts?["more"] == .bool(false))
  }

  @Test(
    "A sweep that was cut short goes on when it is asked for again, so that jobs that stay never hold it up for ever")
  func resumed() throws {
    let host = try TestDaemon()
    let janitor = host.janitor()
    for text in ["one", "two", "three"] {
      try host.store.delete(try ObjectKey(StoreLayout.commit(try finished(host, text).job)))
    }
    var requests = 0
    var summary = JanitorSummary()
    repeat {
      summary = try janitor.sweep(Self.atOnce, isOver: { true })
      #expect(summary.unproven == 1)
      requests += 1
    } while summary.hasMore && requests < 9
    #expect(requests == 3)
    _ = try finished(host, "four")
    let next = try janitor.sweep(Self.atOnce, isOver: { false })
    #expect(next.unproven == 3 && next.prunedJobs == 1 && !next.hasMore)
  }

  @Test("Every dead job runs again at one word, or those of one queue; a drain can be undone")
  func retryAll() throws {
    let host = try TestDaemon()
    let desk = try host.desk()
    for text in ["one", "two"] { try bury(try host.upload(text), host) }
    var request = OperatorRequest(verb: .retry, queue: "default")
    request.all = true
    #expect(try desk.answer(request).facts?["retried"] == .number(2))
    #expect(try host.queue.stats().first?.counts == [.ready: 2])
    request.queue = "nosuch"
    #expect(try desk.answer(request).isMissing == true)
    #expect(try desk.answer(OperatorRequest(verb: .drain)).facts?["draining"] == .bool(true))
    #expect(try desk.answer(OperatorRequest(verb: .undrain)).facts?["draining"] == .bool(false))
  }
}
