import Crypto
import Foundation
import ObjectStore
import Queue
import SealedCrypto
import Testing
import Wire

@testable import JobRunner

/// The database is lost or older than the store; no committed job runs again.
@Suite("Restore from the store", .timeLimit(.minutes(15)))
struct RestoreTests {
  private let now = SystemClock().now()

  /// Writes what a daemon leaves of a finished job.
  @discardableResult
  private func commit(_ host: TestDaemon, _ name: JobName, attempt: Int64 = 1) throws -> JobCommit {
    let receipt = Array("receipt of \(name)".utf8)
    let commit = JobCommit(attempt: attempt, outcome: .completed, receipt: SHA256.digest(of: receipt))
    _ = try host.store.put(try ObjectKey(StoreLayout.receipt(name, attempt: attempt)), receipt, .ifAbsent)
    _ = try host.store.put(
      try ObjectKey(StoreLayout.commit(name)), try StoreRecord.encode(CommitRecord(commit)), .ifAbsent)
    try say(host, name, .finished, attempt: attempt)
    return commit
  }

  private func say(_ host: TestDaemon, _ name: JobName, _ state: JobState, attempt: Int64) throws {
    let record = JobStateRecord(state: state.rawValue, attempt: attempt, done: 0, updatedMs: 1)
    _ = try host.store.put(try ObjectKey(StoreLayout.state(name)), try StoreRecord.encode(record), .always)
  }

  /// A database that is new, over the store of `host`.
  private func lose(_ host: TestDaemon) throws -> SQLiteQueue {
    try SQLiteQueue(path: host.folder + "/new-\(UInt32.random(in: 0 ... .max)).sqlite")
  }

  private func restore(_ queue: SQLiteQueue, _ host: TestDaemon) -> StoreRestore {
    StoreRestore(queue: queue, store: host.store, clock: SystemClock(), log: host.log.logger)
  }

  private func takeIn(_ queue: SQLiteQueue, _ host: TestDaemon, _ schedules: [ScheduleSource] = []) throws -> [JobName]
  {
    try IntakeLoop(
      queue: queue, inbox: StoreInbox(store: host.store, policyKey: nil),
      schedules: ScheduleBook(files: schedules, store: queue), clock: SystemClock(), states: host.states, interval: 1,
      log: host.log.logger, onWork: {}
    ).takeIn()
  }

  @Test("Over more jobs than a page holds a new database finishes what is committed, and claims only the rest")
  func newDatabase() throws {
    let host = try TestDaemon()
    for number in 0..<1_300 { try commit(host, try host.upload("job \(number)", enqueued: false)) }
    let waiting = try host.upload("waiting", enqueued: false)
    let queue = try lose(host)
    let restore = restore(queue, host)
    #expect(try restore.reason() == .newDatabase)
    let outcome = try restore.run(.newDatabase, takeIn: { try takeIn(queue, host) })
    #expect(outcome.counts.adopted == 1_300 && outcome.waiting == [waiting])
    try restore.noteMark()
    #expect(try restore.reason() == nil)
    let lease = try #require(try queue.claim(ClaimRequest(owner: "w"), at: now))
    #expect(lease.job == waiting)
    #expect(try queue.claim(ClaimRequest(owner: "w"), at: now) == nil)
    #expect(try queue.check().findings.isEmpty)
    #expect(try self.restore(queue, host).run(.asked).counts == RestoreCounts(), "a second time changes nothing")
    try queue.close()
  }

  @Test("A restore that is broken off goes on from its page at the next start")
  func resumes() throws {
    let host = try TestDaemon()
    for number in 0..<1_300 { try commit(host, try host.upload("job \(number)", enqueued: false)) }
    let queue = try lose(host)
    let restore = restore(queue, host)
    var looks = 0
    let first = try restore.run(
      .newDatabase, takeIn: { try takeIn(queue, host) },
      isStopping: {
        looks += 1
        return looks > 1
      })
    #expect((400..<1_300).contains(first.counts.adopted))
    #expect(try restore.reason() == .unfinished)
    let second = try restore.run(
      .unfinished,
      takeIn: {
        Issue.record("the inbox was read"); return []
      })
    #expect(first.counts.adopted + second.counts.adopted == 1_300)
    #expect(try queue.standing().restoredThrough == nil)
    try queue.close()
  }

  @Test("Attempts go on behind those in the store; what was cancelled stays so; what a run had taken is not held again")
  func unfinishedJobs() throws {
    let host = try TestDaemon()
    let tried = try host.upload("tried", enqueued: false)
    _ = try host.store.put(try ObjectKey(StoreLayout.result(tried, attempt: 3, .output)), [1], .ifAbsent)
    let said = try host.upload("said", enqueued: false)
    try say(host, said, .retryWait, attempt: 5)
    let cancelled = try host.upload("cancelled", enqueued: false)
    try say(host, cancelled, .cancelled, attempt: 0)
    let text = "name: default\nqueue: default\n"
    let schedule = ScheduleSource(
      file: "default.yaml", text: text, definition: try ScheduleFile.parse(text, file: "default.yaml"))
    let untouched = try host.upload("untouched", enqueued: false)
    let queue = try lose(host)
    let counts = try restore(queue, host).run(.newDatabase, takeIn: { try takeIn(queue, host, [schedule]) }).counts
    #expect(counts.cancelled == 1 && counts.raised == 2 && counts.released == 2)
    let states = try [tried, said, cancelled, untouched].map { try queue.inspect($0)?.job }
    #expect(states.map { $0?.state } == [.ready, .ready, .cancelled, .held])
    #expect(states.map { $0?.attempt } == [3, 5, 0, 0])
    let claims = try (0..<2).map { _ in try #require(try queue.claim(ClaimRequest(owner: "w"), at: now)).attempt }
    #expect(claims.sorted() == [4, 6])
    #expect(try queue.check().findings.isEmpty, "the history says why numbers are missing")
    try queue.close()
  }

  @Test("A copy that is older than the store is noticed, and so is another database that served the store meanwhile")
  func olderCopy() throws {
    let host = try TestDaemon()
    let first = try host.upload("first")
    try host.restore.noteMark()
    let path = host.folder + "/copy.sqlite"
    _ = try host.queue.backUp(to: path)
    try host.restore.noteMark()
    try commit(host, first)
    #expect(try host.restore.reason() == nil, "the database itself is not behind")

    let copy = try SQLiteQueue(path: path)
    let restore = restore(copy, host)
    #expect(try restore.reason() == .olderCopy(mark: 1, known: 2))
    #expect(try restore.run(try #require(try restore.reason())).counts.adopted == 1)
    #expect(try copy.inspect(first)?.job.state == .finished)
    try copy.close()

    let other = try lose(host)
    let otherRestore = self.restore(other, host)
    usleep(2_000)
    try otherRestore.noteMark()
    guard case .servedByAnother = try host.restore.reason() else {
      Issue.record("\(String(describing: try host.restore.reason()))")
      return
    }
    try other.close()
  }

  @Test("Without any restore a committed job is finished from its commit alone, and the log names the older database")
  func lazily() throws {
    let host = try TestDaemon()
    let worker = try ScriptedWorker(host.worker)
    defer { worker.stop() }
    let job = try host.upload("done")
    let standing = try commit(host, job, attempt: 2)
    let executor = try host.executor()
    executor.start()
    defer { executor.stop(within: 20) }
    try eventually { try host.state(of: job) == .finished }
    #expect(try host.queue.inspect(job)?.job.commit == standing)
    #expect(try host.store.names(under: StoreLayout.attempts(job)) == ["2/receipt.cose"], "nothing was computed")
    eventually { host.log.count(.warning, "database is older than the store") == 1 }
  }

  @Test("An attempt whose number stands in the store is made once more under a free one")
  func attemptTaken() throws {
    let host = try TestDaemon()
    let worker = try ScriptedWorker(host.worker)
    defer { worker.stop() }
    let job = try host.upload("again")
    for attempt in 1...4 {
      _ = try host.store.put(
        try ObjectKey(StoreLayout.result(job, attempt: Int64(attempt), .output)), [9], .ifAbsent)
    }
    let executor = try host.executor()
    executor.start()
    defer { executor.stop(within: 20) }
    try eventually { try host.state(of: job) == .finished }
    let detail = try #require(try host.queue.inspect(job))
    #expect(detail.job.commit?.attempt == 5)
    #expect(detail.attempts.map(\.number) == [1, 4, 5])
    #expect(detail.attempts.first?.fault?.faultClass == .attemptTaken && detail.job.strikes == 0)
  }

  @Test("Runs, pauses and added schedules are on record, and come back: no night runs twice and nothing paused runs")
  func runsAndSettings() throws {
    let host = try TestDaemon()
    let text = "name: nightly\ncron: \"0 2 * * *\"\n"
    let definition = try ScheduleFile.parse(text, file: "nightly.yaml")
    let night = Timestamp(milliseconds: 1_767_232_800_000)  // 2026-01-01T02:00:00Z
    _ = try ScheduleBook(files: [], store: host.queue).add(text, file: "nightly.yaml", replacing: false, at: night)
    let driver = SchedulerDriver([definition], store: host.queue)
    _ = try driver.turn(by: ManualClock(night + .seconds(-3_600)))
    let opened = try driver.turn(by: ManualClock(night + .seconds(86_400)))
    #expect(opened.opened["nightly"]?.count == 1)
    let paused = try #require(QueueName("slow"))
    try host.queue.setPaused(true, queue: paused, at: night)
    try host.restore.noteMark()
    let recorder = HostRecorder(
      queue: host.queue, store: host.store, restore: host.restore, log: host.log.logger)
    try recorder.record()
    let records = try host.store.names(under: StoreLayout.runs)
    #expect(records.count == (try host.queue.runs(of: "nightly", limit: 10).count))
    try recorder.record()
    #expect(try host.store.names(under: StoreLayout.runs) == records)

    let queue = try lose(host)
    try commit(host, try host.upload("any", enqueued: false))
    _ = try restore(queue, host).run(.newDatabase, takeIn: { try takeIn(queue, host) })
    let book = try ScheduleBook(files: [], store: queue)
    #expect(book.inForce.map(\.name) == ["nightly"])
    #expect(try queue.settings().pausedQueues.keys.map(\.rawValue) == ["slow"])
    let again = try SchedulerDriver(book.ticking, store: queue).turn(by: ManualClock(night + .seconds(86_400)))
    #expect(again.opened.isEmpty && again.skipped.isEmpty, "that night had its run")
    let next = try SchedulerDriver(book.ticking, store: queue).turn(by: ManualClock(night + .seconds(2 * 86_400)))
    #expect(next.opened["nightly"]?.count == 1)
    try queue.close()
  }

  @Test("Records that no daemon writes are passed over")
  func hostileRecords() throws {
    let host = try TestDaemon()
    for (key, text) in [
      ("host/runs/nightly/000000000000001.json", "{}"), ("host/runs/nightly/x.json", "nonsense"),
      ("host/databases/x.json", "[]"), ("jobs/\(String(repeating: "ab", count: 32))/attempts/99999999999999/x", "1"),
      ("jobs/nobody/commit.json", "{}"), ("host/settings/x.json", #"{"paused_queues":{"../x":1},"schedules":[]}"#),
    ] { _ = try host.store.put(try ObjectKey(key), Array(text.utf8), .always) }
    let bad = try host.upload("bad", enqueued: false)
    _ = try host.store.put(try ObjectKey(StoreLayout.commit(bad)), Array(#"{"attempt":-1}"#.utf8), .always)
    let queue = try lose(host)
    let counts = try restore(queue, host).run(.newDatabase, takeIn: { try takeIn(queue, host) }).counts
    #expect(counts == RestoreCounts() && host.log.count(.error, "cannot be read") == 1)
    #expect(try queue.inspect(bad)?.job.state == .ready)
    try queue.close()
  }
}
