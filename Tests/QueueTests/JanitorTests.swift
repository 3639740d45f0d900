import Testing
import Wire

@testable import Queue

@Suite("Janitor")
struct JanitorTests {
  let now = Timestamp.start
  private static let policy = RetentionPolicy(
    inboxGrace: .seconds(10), finished: .seconds(100), cancelled: .seconds(100), dead: .seconds(200),
    records: .seconds(1_000))

  /// An object store that can be told what is missing, and to fail.
  private final class Objects: EndedObjects {
    struct Away: Error {}
    var commits: [JobName: JobCommit] = [:]
    var withoutReceipt: Set<JobName> = []
    var bundles: Set<JobName> = []
    var cancels: Set<ContentDigest> = []
    /// Calls until the store goes away; nil for never.
    var callsLeft: Int?

    private func call() throws {
      guard let left = callsLeft else { return }
      guard left > 0 else { throw Away() }
      callsLeft = left - 1
    }

    func evidence(of job: JobName) throws -> EndEvidence {
      try call()
      guard let commit = commits[job] else { return .uncommitted }
      return withoutReceipt.contains(job) ? .unproven("its receipt is not in the store") : .committed(commit)
    }

    func removeBundle(of job: Job) throws {
      try call()
      bundles.remove(job.name)
    }

    func removeCancel(_ statement: ContentDigest) throws {
      try call()
      cancels.remove(statement)
    }
  }

  /// A queue with a finished, a cancelled and a dead job (1, 2, 3) and one that waits (4).
  private func scene(_ store: SQLiteQueue, _ objects: Objects) throws {
    _ = try store.enqueue((1...3).map { try .sample($0) }, at: now)
    let commit = try JobCommit.sample(1)
    let finished = try #require(try store.claim(.test, at: now))
    objects.commits[finished.job] = commit
    try store.finish(finished, with: commit, at: now)
    _ = try store.requestCancel(jobName(2), at: now)
    for _ in 0..<3 {
      _ = try store.fail(
        try #require(try store.claim(.test, at: now + .seconds(3_600))), with: Fault(.workerLost), at: now)
    }
    try store.giveUp(try #require(try store.claim(.test, at: now + .seconds(3_600))), at: now)
    _ = try store.enqueue([.sample(4)], at: now)
    objects.bundles = Set(try (1...4).map { try jobName($0) })
  }

  @Test("Bundles leave after the grace, rows at their ages, and what waits stays")
  func ages() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let (store, objects) = (fixture.store, Objects())
    try scene(store, objects)
    var janitor = Janitor(queue: store, objects: objects, policy: Self.policy)
    #expect(try janitor.pass(at: now + .seconds(10)) == JanitorSummary())
    #expect(objects.bundles.count == 4)
    let cleared = try janitor.pass(at: now + .seconds(11))
    #expect(Set(cleared.cleared) == [try jobName(1), try jobName(2)])
    #expect(cleared.prunedJobs == 0)
    #expect(objects.bundles == [try jobName(3), try jobName(4)])
    let pruned = try janitor.pass(at: now + .seconds(101))
    #expect(pruned.prunedJobs == 2 && pruned.cleared.isEmpty)
    let dead = try janitor.pass(at: now + .seconds(201))
    #expect(dead.prunedJobs == 1)
    #expect(dead.cleared == [try jobName(3)])
    #expect(objects.bundles == [try jobName(4)])
    #expect(try store.list(JobFilter()).map(\.name) == [jobName(4)])
    // The bundles come back; the jobs do not.
    #expect(try store.enqueue((1...3).map { try .sample($0) }, at: now + .seconds(202)) == [false, false, false])
    #expect(try store.integrityFaults().isEmpty)
  }

  @Test("A finished job without its commit or receipt stays, bundle and row, and is named")
  func withoutEvidence() throws {
    for breakage in 0..<3 {
      let fixture = try StoreFixture(.sqlite)
      defer { fixture.remove() }
      let (store, objects) = (fixture.store, Objects())
      try scene(store, objects)
      let job = try jobName(1)
      switch breakage {
      case 0: objects.commits[job] = nil
      case 1: objects.withoutReceipt = [job]
      default: objects.commits[job] = try .sample(7)
      }
      var janitor = Janitor(queue: store, objects: objects, policy: Self.policy)
      let summary = try janitor.pass(at: now + .days(9))
      #expect(summary.unproven == 1 && summary.unprovenExamples.first?.hasPrefix("\(job)") == true)
      #expect(objects.bundles.contains(job))
      #expect(try store.inspect(job)?.job.state == .finished)
      // The others went all the same.
      #expect(try store.list(JobFilter()).count == 2)
    }
  }

  @Test("A commit beside a cancelled or dead job ends it as finished")
  func commitAfterAll() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let (store, objects) = (fixture.store, Objects())
    try scene(store, objects)
    for number in UInt64(2)...3 { objects.commits[try jobName(number)] = try .sample(1, .partial) }
    var janitor = Janitor(queue: store, objects: objects, policy: Self.policy)
    let summary = try janitor.pass(at: now + .seconds(201))
    #expect(Set(summary.adopted) == [try jobName(2), try jobName(3)])
    for number in UInt64(2)...3 {
      #expect(try store.inspect(jobName(number))?.job.commit == .sample(1, .partial))
      #expect(objects.bundles.contains(try jobName(number)))
    }
  }

  @Test("A commit that lands after a cancelled or dead job's bundle has left is taken over before the row goes")
  func lateCommit() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let (store, objects) = (fixture.store, Objects())
    try scene(store, objects)
    let (cancelled, dead) = (try jobName(2), try jobName(3))
    var janitor = Janitor(queue: store, objects: objects, policy: Self.policy)
    #expect(try janitor.pass(at: now + .seconds(11)).cleared.contains(cancelled))
    // A dead job is cleared and pruned in one pass, unless a kill or an error comes between.
    #expect(try store.markCleared([dead], in: .dead, at: now + .seconds(11)) == [dead])
    for job in [cancelled, dead] { objects.commits[job] = try .sample(1, .partial) }
    let summary = try janitor.pass(at: now + .seconds(201))
    #expect(Set(summary.adopted) == [cancelled, dead] && summary.prunedJobs == 1)
    for job in [cancelled, dead] { #expect(try store.inspect(job)?.job.commit == .sample(1, .partial)) }
    // From then on they are finished jobs like any other.
    let last = try janitor.pass(at: now + .seconds(302))
    #expect(last.prunedJobs == 2 && last.unproven == 0)
    #expect(try store.integrityFaults().isEmpty)
  }

  @Test("A late commit whose receipt is not there keeps the row, and is named")
  func lateCommitUnproven() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let (store, objects) = (fixture.store, Objects())
    try scene(store, objects)
    var janitor = Janitor(queue: store, objects: objects, policy: Self.policy)
    _ = try janitor.pass(at: now + .seconds(11))
    let job = try jobName(2)
    objects.commits[job] = try .sample(1)
    objects.withoutReceipt = [job]
    let summary = try janitor.pass(at: now + .seconds(101))
    #expect(summary.unproven == 1 && summary.unprovenExamples.first?.hasPrefix("\(job)") == true)
    #expect(try store.inspect(job)?.job.state == .cancelled)
  }

  @Test("A store that goes away at any call, or a kill there, loses nothing; a later pass ends the work")
  func interruptions() throws {
    // Evidence and removal of three bundles; evidence of the two that have no commit, and three removals, once more.
    let needed = 11
    for calls in 0...needed {
      let fixture = try StoreFixture(.sqlite)
      defer { fixture.remove() }
      let objects = Objects()
      try scene(fixture.store, objects)
      objects.callsLeft = calls
      var janitor = Janitor(queue: fixture.store, objects: objects, policy: Self.policy)
      var failed = false
      do { _ = try janitor.pass(at: now + .seconds(201)) } catch is Objects.Away { failed = true }
      #expect(failed == (calls < needed), "\(calls)")
      for job in try fixture.store.list(JobFilter(state: .dead)) where job.inboxClearedAt == nil {
        #expect(objects.bundles.contains(job.name), "a dead job could be brought back without its bundle")
      }
      try fixture.crashAndReopen()
      objects.callsLeft = nil
      janitor = Janitor(queue: fixture.store, objects: objects, policy: Self.policy)
      for _ in 0..<2 { _ = try janitor.pass(at: now + .seconds(202)) }
      #expect(objects.bundles == [try jobName(4)])
      #expect(try fixture.store.list(JobFilter()).map(\.name) == [jobName(4)])
    }
  }

  @Test("A pass does a bounded amount, and jobs without evidence hold up none behind them")
  func bounds() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let (store, objects) = (fixture.store, Objects())
    for number in UInt64(0)..<25 {
      _ = try store.enqueue([.sample(number)], at: now)
      let lease = try #require(try store.claim(.test, at: now))
      let commit = try JobCommit.sample(1)
      try store.finish(lease, with: commit, at: now + .milliseconds(Int64(number)))
      if number >= 10 { objects.commits[lease.job] = commit }
    }
    var janitor = Janitor(queue: store, objects: objects, policy: Self.policy)
    var cleared = 0
    var passes = 0
    var summary = JanitorSummary()
    repeat {
      summary = try janitor.pass(at: now + .seconds(20), limit: 5)
      #expect(summary.cleared.count <= 5)
      cleared += summary.cleared.count
      passes += 1
    } while summary.hasMore && passes < 50
    #expect(cleared == 15)
  }

  @Test("A sweep looks at each job once and comes to its end, also where two kinds of jobs have no evidence")
  func sweep() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let (store, objects) = (fixture.store, Objects())
    for number in UInt64(0)..<9 {
      _ = try store.enqueue([.sample(number)], at: now)
      if number < 3 {
        let lease = try #require(try store.claim(.test, at: now))
        try store.finish(lease, with: .sample(1), at: now + .milliseconds(Int64(number)))
      } else {
        _ = try store.requestCancel(jobName(number), at: now)
        objects.commits[try jobName(number)] = try .sample(1)
        if number < 8 { objects.withoutReceipt.insert(try jobName(number)) }
      }
    }
    var janitor = Janitor(queue: store, objects: objects, policy: Self.policy, isSweep: true)
    var total = JanitorSummary()
    var passes = 0
    repeat {
      total.add(try janitor.pass(at: now + .seconds(20), limit: 2))
      passes += 1
    } while total.hasMore && passes < 20
    #expect(try !total.hasMore && total.unproven == 8 && total.adopted == [jobName(8)])
  }

  @Test("A sweep prunes what it cleared itself, also where that ended before what it has gone through")
  func sweepBehindItself() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let (store, objects) = (fixture.store, Objects())
    let commit = try JobCommit.sample(1)
    for number in UInt64(0)..<5 {
      _ = try store.enqueue([.sample(number)], at: now)
      let lease = try #require(try store.claim(.test, at: now))
      try store.finish(lease, with: commit, at: now + .milliseconds(Int64(number)))
      if number >= 2 { objects.commits[lease.job] = commit }
    }
    _ = try store.markCleared([jobName(4)], in: .finished, at: now + .seconds(1))
    var janitor = Janitor(queue: store, objects: objects, policy: Self.policy, isSweep: true)
    var total = JanitorSummary()
    var passes = 0
    repeat {
      total.add(try janitor.pass(at: now + .seconds(101), limit: 2))
      passes += 1
    } while total.hasMore && passes < 20
    #expect(total.prunedJobs == 3 && total.unproven == 2 && !total.hasMore)
    #expect(try store.list(JobFilter()).map(\.name) == [jobName(0), jobName(1)])
  }

  @Test("A pass whose time is over has done one step, leaves the rest, and says so", arguments: [0, 1, 4])
  func cut(steps: Int) throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let (store, objects) = (fixture.store, Objects())
    try scene(store, objects)
    objects.cancels = [try jobName(60)]
    _ = try store.recordCancel(jobName(60), of: jobName(61), at: now)
    // Three bundles, three rows, one statement.
    var passes = 0
    var summary = JanitorSummary()
    repeat {
      var left = steps
      var janitor = Janitor(queue: store, objects: objects, policy: Self.policy, isSweep: true)
      summary = try janitor.pass(at: now + .seconds(201)) {
        left -= 1
        return left < 0
      }
      let done = summary.cleared.count + summary.prunedJobs + summary.cancels
      #expect(summary.hasMore ? done == steps + 1 : done <= steps + 1)
      passes += 1
    } while summary.hasMore && passes < 20
    #expect(passes == (7 + steps) / (steps + 1))
    #expect(objects.bundles == [try jobName(4)] && objects.cancels.isEmpty)
    #expect(try store.list(JobFilter()).map(\.name) == [jobName(4)])
  }

  @Test("An age of never keeps for ever")
  func never() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let (store, objects) = (fixture.store, Objects())
    try scene(store, objects)
    let policy = RetentionPolicy(inboxGrace: nil, finished: nil, cancelled: nil, dead: nil, records: nil)
    var janitor = Janitor(queue: store, objects: objects, policy: policy)
    #expect(try janitor.pass(at: now + .days(36_500)) == JanitorSummary())
    #expect(objects.bundles.count == 4)
  }

  @Test("Cancel statements leave the inbox with their jobs")
  func statements() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let (store, objects) = (fixture.store, Objects())
    let statement = try jobName(50)
    _ = try store.enqueue([.sample(1)], at: now)
    _ = try store.recordCancel(statement, of: jobName(1), at: now)
    objects.cancels = [statement]
    var janitor = Janitor(queue: store, objects: objects, policy: Self.policy)
    _ = try janitor.pass(at: now + .seconds(50))
    #expect(objects.cancels == [statement])
    let summary = try janitor.pass(at: now + .seconds(101))
    #expect(summary.cancels == 1 && objects.cancels.isEmpty)
    #expect(try store.enqueue([.sample(1)], at: now) == [false])
  }
}
