import Foundation
import GRDB
import Testing
import Wire

@testable import Queue

/// Runs of more members than one transaction takes, and runs whose members' rows are gone.
@Suite("Long runs and old runs")
struct LongRunTests {
  let now = Timestamp.start

  private func night(_ number: Int64 = 0, takesOver: Bool = false) throws -> NewRun {
    NewRun(
      schedule: "nightly", nominalAt: now + .seconds(number * 86_400), trigger: .clock, queue: try queueName("night"),
      takesOver: takesOver)
  }

  private func hold(_ numbers: ClosedRange<UInt64>, _ store: SQLiteQueue) throws {
    for number in numbers {
      _ = try store.enqueue(
        [.sample(number, queue: "night", tenant: number.isMultiple(of: 2) ? "a" : nil, isHeld: true)], at: now)
    }
  }

  /// Has the disk fail, as it were, when the run is to get more members than these.
  private func cutShort(_ store: SQLiteQueue, after members: Int) throws {
    try store.write { db in
      try db.execute(
        sql: """
          CREATE TEMP TRIGGER cut BEFORE UPDATE OF run ON jobs
          WHEN (SELECT COUNT(*) FROM jobs WHERE run = NEW.run) >= \(members)
          BEGIN SELECT RAISE(ABORT, 'cut'); END
          """)
    }
  }

  private func members(_ run: RunID, _ store: SQLiteQueue) throws -> [JobName] {
    try store.list(JobFilter(run: run, limit: 1_000)).map(\.name)
  }

  @Test("A run takes its members in steps, and others' calls come in between", arguments: [1, 3, 10, 11, 1_000])
  func steps(step: Int) throws {
    let fixture = try StoreFixture(.sqlite, membersPerStep: step)
    defer { fixture.remove() }
    let store = fixture.store
    try hold(1...10, store)
    let before = store.writes.transactions
    let opened = try store.openRun(night(), at: now)
    guard case .opened(let run, let count) = opened else { return #expect(Bool(false), "\(opened)") }
    let taken = Set(try members(run, store))
    #expect(try count == 10 && taken == Set((1...10).map { try jobName($0) }))
    // As many as are full, and the one that finds nothing more to take.
    #expect(store.writes.transactions - before == 10 / step + 1)
    #expect(try store.openRun(night(), at: now) == .exists)
    #expect(try store.run(run)?.isFilling == false)
    #expect(try store.fillRuns().isEmpty)
    #expect(try store.integrityFaults().isEmpty)
  }

  @Test("A run that is cut short goes on after the crash with the very same members, and is not over before")
  func crash() throws {
    let fixture = try StoreFixture(.sqlite, membersPerStep: 3)
    defer { fixture.remove() }
    try hold(1...10, fixture.store)
    try cutShort(fixture.store, after: 7)
    #expect(throws: QueueError.self) { try fixture.store.openRun(night(), at: now) }
    try fixture.crashAndReopen()
    let store = fixture.store
    let run = try #require(try store.runs(of: "nightly", limit: 9).first)
    #expect(try members(run.id, store).count == 6 && run.isFilling && run.status == .running)
    // What comes now is the next run's, and the end of those six does not end the run.
    try hold(11...12, store)
    while let lease = try store.claim(.test, at: now) { try store.finish(lease, with: .sample(lease.attempt), at: now) }
    #expect(try store.run(run.id)?.status == .running)
    #expect(try store.standing(of: "nightly", at: now).hasOpenRun)
    #expect(try store.pruneRecords(before: now + .days(30), limit: 10) == 0)
    let definition = try ScheduleFile.parse("name: nightly\nqueue: night\ncron: 0 2 * * *\n", file: "n.yaml")
    #expect(try SchedulerDriver([definition], store: store).turn(by: ManualClock(now)).filled == [run.id])
    #expect(Set(try members(run.id, store)) == Set(try (1...10).map { try jobName($0) }))
    #expect(try store.list(JobFilter(state: .held)).map(\.name) == [jobName(11), jobName(12)])
    while let lease = try store.claim(.test, at: now) { try store.finish(lease, with: .sample(lease.attempt), at: now) }
    #expect(try store.run(run.id)?.status == .completed)
    #expect(try !store.standing(of: "nightly", at: now).hasOpenRun)
    #expect(try store.integrityFaults().isEmpty)
  }

  @Test("The next run waits until the one that was cut short has its members, also when it replaces that one")
  func successor() throws {
    for takesOver in [false, true] {
      let fixture = try StoreFixture(.sqlite, membersPerStep: 3)
      defer { fixture.remove() }
      let store = fixture.store
      try hold(1...8, store)
      try cutShort(store, after: 4)
      #expect(throws: QueueError.self) { try store.openRun(night(), at: now) }
      try store.write { db in try db.execute(sql: "DROP TRIGGER cut") }
      try hold(9...9, store)
      guard case .opened(let second, let count) = try store.openRun(night(1, takesOver: takesOver), at: now) else {
        return #expect(Bool(false), "not opened")
      }
      let taken = Int64(try members(second, store).count)
      #expect(count == (takesOver ? 9 : 1) && taken == count)
      #expect(try store.runs(of: "nightly", limit: 9).last?.members[.ready, default: 0] == (takesOver ? 0 : 8))
      #expect(try store.integrityFaults().isEmpty)
    }
  }

  @Test("What became of members is known when their rows are gone")
  func pruned() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let store = fixture.store
    try hold(1...4, store)
    guard case .opened(let run, _) = try store.openRun(night(), at: now) else { return }
    for outcome in [JobOutcome.completed, .completed, .partial] {
      let lease = try #require(try store.claim(.test, at: now))
      try store.finish(lease, with: .sample(1, outcome), at: now)
    }
    let last = try #require(try store.list(JobFilter(state: .ready)).first?.name)
    _ = try store.requestCancel(last, at: now)
    let before = try #require(try store.run(run))
    #expect(before.members == [.finished: 3, .cancelled: 1] && before.status == .partial)
    for state in [JobState.finished, .cancelled] {
      let jobs = try store.list(JobFilter(state: state)).map(\.name)
      #expect(try store.prune(store.markCleared(jobs, in: state, at: now)) == jobs.count)
      #expect(try store.run(run) == before)
    }
    #expect(try members(run, store).isEmpty)
  }

  @Test("A run whose members went before they were counted, or under another database, is not called completed")
  func unknown() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    try fixture.store.close()
    for suffix in ["", "-wal", "-shm"] { try? fixture.removeFile(suffix) }
    let old = try DatabaseQueue(path: fixture.path)
    try QueueSchema.migrator.migrate(old, upTo: "4 meta")
    try old.write { db in
      try db.execute(
        sql: """
          INSERT INTO runs (schedule, nominal_at, cause, opened_at) VALUES ('s', 1, 'clock', 1), ('s', 9, 'clock', 9);
          INSERT INTO pruned (name, ended_at) VALUES (zeroblob(32), 5);
          """)
    }
    try old.close()
    let store = try SQLiteQueue(path: fixture.path)
    defer { try? store.close() }
    // Nothing that has gone can have been of the second.
    #expect(try store.runs(of: "s", limit: 9).map(\.status) == [.completed, .unknown])
    let noted = NotedRun(
      schedule: "t", nominalAt: now, trigger: .clock, openedAt: now, skipped: nil)
    let skipped = NotedRun(
      schedule: "t", nominalAt: now + .seconds(1), trigger: .clock, openedAt: now, skipped: .overlap)
    #expect(try store.adoptRuns([noted, skipped]) == 2)
    #expect(try store.runs(of: "t", limit: 9).map(\.status) == [.skipped, .unknown])
  }
}
