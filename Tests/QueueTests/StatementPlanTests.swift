import GRDB
import Synchronization
import Testing
import Wire

@testable import Queue

/// The cost of a call stays flat when none of its statements reads a table of jobs from end to end or sorts one. Times
/// are for the bench; this holds the plans.
@Suite("Plans of the queue's statements")
struct StatementPlanTests {
  let now = Timestamp.start

  @Test("No call of the daemon's steps over all jobs, attempts, runs or cancels, or sorts them")
  func plans() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let store = fixture.store
    let statements = Mutex<Set<String>>([])
    try store.read { db in
      db.trace { event in
        if case .statement(let statement) = event { _ = statements.withLock { $0.insert(statement.sql) } }
      }
    }
    try callEverything(store)
    try store.read { db in db.trace(nil) }
    let seen = statements.withLock { $0 }.filter { sql in
      ["SELECT", "UPDATE", "INSERT", "DELETE", "WITH"].contains { sql.hasPrefix($0) }
    }
    #expect(seen.count > 25)
    for sql in seen {
      let plan = try store.read { db in
        let statement = try db.makeStatement(sql: "EXPLAIN QUERY PLAN " + sql)
        statement.setUncheckedArguments(StatementArguments())
        return try Row.fetchAll(statement).map { $0["detail"] as String }
      }
      for step in plan {
        let isScan = ["jobs", "job", "attempts", "runs", "cancels", "pruned"].contains { table in
          // The indexes of leases and of runs that are being filled hold what is under way at this moment.
          step == "SCAN \(table)"
            || step.hasPrefix("SCAN \(table) ")
              && !["INDEX jobs_leased", "INDEX runs_filling"].contains { step.hasSuffix($0) }
        }
        #expect(!isScan, "\(sql)\n\(plan.joined(separator: "\n"))")
      }
      // Of each lane that has work the claim sorts one job; nothing else sorts, or looks through all jobs of a state.
      let isSorted = plan.contains("USE TEMP B-TREE FOR ORDER BY")
      let isByState = plan.contains { $0.contains("INDEX jobs_state") }
      let isWrite = !sql.hasPrefix("SELECT")
      #expect(!isWrite || !isByState, "\(sql)\n\(plan.joined(separator: "\n"))")
      #expect(!isWrite || !isSorted || sql.contains("last_turn"), "\(sql)\n\(plan.joined(separator: "\n"))")
    }
  }

  private func callEverything(_ store: SQLiteQueue) throws {
    _ = try store.enqueue((1...9).map { try .sample($0, tenant: $0 % 2 == 0 ? "a" : nil) }, at: now)
    _ = try store.enqueue([.sample(20, queue: "night", isHeld: true)], at: now)
    _ = try store.unrecordedCancels([jobName(50)])
    _ = try store.recordCancel(jobName(50), of: jobName(9), at: now)
    _ = try store.requestCancel(jobName(8), at: now)
    let lease = { [now] in try #require(try store.claim(.test, at: now + .seconds(700))) }
    let first = try lease()
    _ = try store.heartbeat(first, leaseDuration: .seconds(30), at: now)
    _ = try store.requestCancel(first.job, at: now)
    try store.finish(first, with: .sample(1), at: now)
    _ = try store.fail(lease(), with: Fault(.workerLost), at: now)
    try store.release(lease(), at: now)
    try store.cancel(lease(), at: now)
    #expect(throws: QueueError.self) { try store.giveUp(lease(), at: now) }
    _ = try store.claim(ClaimRequest(queues: [queueName("default")], owner: "w"), at: now)
    _ = try store.reap(.expired, at: now + .seconds(3_600))
    _ = try store.reap(.all, at: now)
    _ = try store.adopt(.sample(1), of: jobName(7), at: now)
    #expect(throws: QueueError.self) { try store.retryDead(jobName(7), at: now) }
    try store.setPaused(false, queue: queueName("default"), at: now)
    _ = try store.inspect(jobName(1))
    _ = try store.names(from: jobName(1), through: jobName(2), limit: 5)
    for state in JobState.allCases { _ = try store.list(JobFilter(state: state)) }
    _ = try store.stats()
    let run = NewRun(schedule: "night", nominalAt: now, trigger: .clock, queue: try queueName("night"), takesOver: true)
    guard case .opened(let id, _) = try store.openRun(run, at: now) else { return }
    _ = try store.list(JobFilter(run: id))
    try store.skipRun(schedule: "night", nominalAt: now + .seconds(60), reason: .overlap, at: now)
    try store.setAside(Array(store.clockRuns(of: "night", after: now).keys))
    _ = try store.standing(of: "night", at: now)
    _ = try store.runs(of: "night", limit: 5)
    _ = try store.run(id)
    _ = try store.fillRuns()
    _ = try store.ended(.finished, before: now + .days(1), isCleared: false, after: nil, limit: 5)
    let cleared = try store.markCleared([first.job], in: .finished, at: now)
    _ = try store.ended(.finished, before: now + .days(1), isCleared: true, after: nil, limit: 5)
    _ = try store.prune(cleared)
    try store.forgetCancels(store.idleCancels(before: now + .days(1), limit: 5))
    _ = try store.pruneRecords(before: now, limit: 5)
    _ = try store.retryAllDead(queue: nil, limit: 5, at: now)
  }
}
