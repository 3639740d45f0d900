import GRDB
import Testing
import Wire

@testable import Queue

@Suite("Queue store: retention")
struct QueueRetentionTests {
  let now = Timestamp.start

  private func finishOne(_ store: SQLiteQueue, _ number: UInt64, at moment: Timestamp) throws -> JobName {
    _ = try store.enqueue([.sample(number)], at: moment)
    let lease = try #require(try store.claim(.test, at: moment))
    try store.finish(lease, with: .sample(lease.attempt), at: moment)
    return lease.job
  }

  @Test("Nothing that has not ended, or is not cleared, can be pruned", arguments: StoreKind.allCases)
  func guards(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    let finished = try finishOne(store, 1, at: now)
    _ = try store.enqueue([.sample(2), .sample(3, isHeld: true)], at: now)
    let running = try #require(try store.claim(.test, at: now))
    let all = [finished, running.job, try jobName(3)]
    #expect(try store.prune(all) == 0)
    for state in JobState.allCases { _ = try store.markCleared([running.job, jobName(3)], in: state, at: now) }
    #expect(try store.markCleared([finished], in: .dead, at: now).isEmpty)
    #expect(try store.prune(all) == 0)
    #expect(try store.markCleared([finished], in: .finished, at: now) == [finished])
    #expect(try store.prune(all) == 1)
    #expect(try store.list(JobFilter()).map(\.state) == [.running, .held])
  }

  @Test("A pruned job is not taken in again, and its history is gone", arguments: StoreKind.allCases)
  func pruned(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    let job = try finishOne(store, 1, at: now)
    _ = try store.markCleared([job], in: .finished, at: now)
    #expect(try store.prune([job]) == 1)
    #expect(try store.enqueue([.sample(1), .sample(2)], at: now) == [false, true])
    #expect(try store.inspect(job) == nil)
    #expect(try store.claim(.test, at: now)?.job == jobName(2))
    #expect(try store.claim(.test, at: now) == nil)
    #expect(try store.stats().first?.counts == [.running: 1])
    #expect(try store.integrityFaults().isEmpty)
    // Until its name is forgotten, long after its manifest has ended.
    #expect(try store.pruneRecords(before: now, limit: 10) == 0)
    #expect(try store.pruneRecords(before: now + .milliseconds(1), limit: 10) == 1)
    #expect(try store.enqueue([.sample(1)], at: now) == [true])
  }

  @Test("A dead job whose bundle leaves is not brought back", arguments: StoreKind.allCases)
  func clearedDead(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    for number in UInt64(1)...3 { try kill(number, store) }
    let gone = try jobName(1)
    #expect(try store.markCleared([gone], in: .dead, at: now) == [gone])
    #expect(throws: QueueError.bundleCleared(gone)) { try store.retryDead(gone, at: now) }
    #expect(try store.retryAllDead(queue: queueName("other"), limit: 10, at: now).isEmpty)
    #expect(try store.retryAllDead(queue: nil, limit: 1, at: now) == [jobName(2)])
    #expect(try store.retryAllDead(queue: queueName("default"), limit: 10, at: now) == [jobName(3)])
    let states = try store.list(JobFilter()).map(\.state)
    #expect(states == [.dead, .ready, .ready])
  }

  private func kill(_ number: UInt64, _ store: SQLiteQueue) throws {
    _ = try store.enqueue([.sample(number)], at: now)
    for _ in 0..<3 {
      let lease = try #require(try store.claim(.test, at: now + .seconds(3_600)))
      _ = try store.fail(lease, with: Fault(.workerLost), at: now)
    }
    try store.giveUp(try #require(try store.claim(.test, at: now + .seconds(3_600))), at: now)
  }

  @Test("What has ended is paged in the order of its end", arguments: StoreKind.allCases)
  func paging(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    var names: [JobName] = []
    for number in UInt64(0)..<7 {
      names.append(try finishOne(store, number, at: now + .seconds(Int64(number / 2))))
    }
    var seen: [JobName] = []
    var cursor: EndedCursor?
    while true {
      let page = try store.ended(.finished, before: now + .seconds(3), isCleared: false, after: cursor, limit: 2)
      guard let last = page.last else { break }
      seen += page.map(\.name)
      cursor = EndedCursor(last)
    }
    #expect(seen == Array(names.prefix(6)))
    _ = try store.markCleared([names[0]], in: .finished, at: now)
    let cleared = try store.ended(.finished, before: now + .seconds(9), isCleared: true, after: nil, limit: 9)
    #expect(cleared.map(\.name) == [names[0]] && cleared.first?.inboxClearedAt == now)
  }

  @Test("A cancel statement is forgotten with its job, and the job stays cancelled", arguments: StoreKind.allCases)
  func cancels(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    let (early, late) = (try jobName(71), try jobName(72))
    _ = try store.enqueue([.sample(1)], at: now)
    _ = try store.recordCancel(early, of: jobName(1), at: now)
    _ = try store.recordCancel(late, of: jobName(2), at: now)
    let end = now + .seconds(1)
    // The first still has its job in the queue.
    #expect(try store.idleCancels(before: end, limit: 10).map(\.statement) == [late])
    _ = try store.markCleared([jobName(1)], in: .cancelled, at: now)
    _ = try store.prune([jobName(1)])
    let idle = try store.idleCancels(before: end, limit: 10)
    #expect(Set(idle.map(\.statement)) == [early, late])
    try store.forgetCancels(idle)
    #expect(try store.idleCancels(before: end, limit: 10).isEmpty)
    #expect(try store.unrecordedCancels([early, late]) == [early, late])
    // Neither runs, though one of the bundles never was here before.
    #expect(try store.enqueue([.sample(1), .sample(2)], at: now) == [false, false])
  }

  @Test("Runs go when their members have, though never a schedule's newest", arguments: StoreKind.allCases)
  func runs(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    let queue = try queueName("night")
    _ = try store.enqueue([.sample(1, queue: "night", isHeld: true)], at: now)
    for night in Int64(0)..<4 {
      let nominal = now + .seconds(night * 86_400)
      _ = try store.openRun(
        NewRun(schedule: "nightly", nominalAt: nominal, trigger: .clock, queue: queue), at: nominal)
    }
    let end = now + .days(30)
    #expect(try store.pruneRecords(before: end, limit: 1) == 1)
    #expect(try store.pruneRecords(before: end, limit: 10) == 1)
    let left = try store.runs(of: "nightly", limit: 9)
    #expect(left.map(\.members) == [[:], [.ready: 1]])
    #expect(try store.standing(of: "nightly", at: now + .days(3)).lastNominalAt == now + .days(3))
  }

  @Test("Lanes and queues without jobs go, and a paused queue stays", arguments: StoreKind.allCases)
  func emptyQueues(kind: StoreKind) throws {
    let fixture = try StoreFixture(kind)
    defer { fixture.remove() }
    let store = fixture.store
    let job = try finishOne(store, 1, at: now)
    _ = try store.enqueue([.sample(2, queue: "busy", tenant: "a")], at: now)
    try store.setPaused(true, queue: queueName("paused"), at: now)
    _ = try store.markCleared([job], in: .finished, at: now)
    _ = try store.prune([job])
    #expect(try store.pruneRecords(before: now, limit: 10) == 2)
    #expect(try store.stats().map(\.queue.rawValue) == ["busy", "paused"])
  }

  @Test("A database of the first version is taken over as it stands")
  func migration() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    try fixture.store.close()
    for suffix in ["", "-wal", "-shm"] { try? fixture.removeFile(suffix) }
    let old = try DatabaseQueue(path: fixture.path)
    try QueueSchema.migrator.migrate(old, upTo: "1 jobs")
    try old.write { db in
      try db.execute(
        sql: """
          INSERT INTO queues (name) VALUES ('q');
          INSERT INTO lanes (queue, tenant) VALUES ('q', ''), ('q', 't');
          INSERT INTO runs (schedule, nominal_at, cause, opened_at) VALUES ('s', 1, 'clock', 1);
          INSERT INTO jobs (name, lane, priority, bundle_bytes, state, run, enqueued_at, ready_at)
            VALUES (zeroblob(32), 2, 0, 0, 'ready', 1, 1, 1), (randomblob(32), 1, 0, 0, 'held', NULL, 1, 1);
          """)
    }
    try old.close()
    let store = try SQLiteQueue(path: fixture.path)
    defer { try? store.close() }
    #expect(try store.integrityFaults().isEmpty)
    #expect(try store.stats().first?.counts == [.ready: 1, .held: 1])
    #expect(try store.standing(of: "s", at: now).hasOpenRun)
    let lease = try #require(try store.claim(.test, at: now))
    #expect(lease.tenant == "t" && lease.inboxFolder == "q/t")
    try store.finish(lease, with: .sample(1), at: now)
    #expect(try !store.standing(of: "s", at: now).hasOpenRun)
    #expect(try store.integrityFaults().isEmpty)
  }
}
