import Foundation
import GRDB
import Synchronization
import Testing
import Wire

@testable import Queue

@Suite("Group commit")
struct GroupCommitTests {
  let now = Timestamp.start

  private struct Refusal: Error {}

  /// Calls that are sure to share one transaction: the first holds it open until all the others wait.
  private func inOneGroup(
    _ store: SQLiteQueue, _ bodies: [@Sendable (Database) throws -> Void]
  ) throws -> [(any Error)?] {
    let isHeld = DispatchSemaphore(value: 0)
    let mayGoOn = DispatchSemaphore(value: 0)
    let answers = Mutex([(any Error)?](repeating: nil, count: bodies.count))
    let ended = DispatchGroup()
    let before = store.writes
    for (index, body) in bodies.enumerated() {
      ended.enter()
      Thread.detachNewThread {
        do {
          try store.write { db in
            if index == 0 {
              isHeld.signal()
              mayGoOn.wait()
            }
            try body(db)
          }
        } catch {
          answers.withLock { $0[index] = error }
        }
        ended.leave()
      }
      if index == 0 { isHeld.wait() }
    }
    while store.waitingWrites < bodies.count - 1 { Thread.sleep(forTimeInterval: 0.001) }
    mayGoOn.signal()
    ended.wait()
    #expect(store.writes.transactions - before.transactions == 1)
    #expect(store.writes.calls - before.calls == bodies.count)
    return answers.withLock { $0 }
  }

  private static func mark(_ name: String) -> @Sendable (Database) throws -> Void {
    { db in try db.execute(sql: "INSERT INTO queues (name) VALUES (?)", arguments: [name]) }
  }

  private func marks(_ store: SQLiteQueue) throws -> [String] {
    try store.read { db in try String.fetchAll(db, sql: "SELECT name FROM queues ORDER BY name") }
  }

  @Test("Calls that come together share one transaction")
  func sharing() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let names = (10..<26).map { "q\($0)" }
    let answers = try inOneGroup(fixture.store, names.map(Self.mark))
    #expect(answers.allSatisfy { $0 == nil })
    #expect(try marks(fixture.store) == names)
  }

  @Test("A refused call is rolled back alone, wherever it stands in its group", arguments: [0, 2, 4])
  func refusal(position: Int) throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let names = (0..<5).map { "q\($0)" }
    var bodies = names.map(Self.mark)
    bodies[position] = { db in
      try Self.mark("half")(db)
      throw Refusal()
    }
    let answers = try inOneGroup(fixture.store, bodies)
    for (index, answer) in answers.enumerated() { #expect((answer is Refusal) == (index == position)) }
    #expect(try marks(fixture.store) == names.filter { $0 != names[position] })
  }

  @Test("What the schema refuses costs the other calls nothing")
  func constraint() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let answers = try inOneGroup(fixture.store, [Self.mark("a"), Self.mark("a"), Self.mark("b")])
    #expect(answers.count { $0 == nil } == 2)
    #expect(answers[0] == nil && answers.contains { $0 is QueueError })
    #expect(try marks(fixture.store) == ["a", "b"])
  }

  @Test("A commit that fails fails every call of its group, refused ones too, and the next call goes on")
  func failedCommit() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let answers = try inOneGroup(
      fixture.store,
      [
        Self.mark("a"), Self.mark("b"), { _ in throw Refusal() },
        { db in
          // Nobody looks at a deferred reference before the commit does.
          try db.execute(sql: "PRAGMA defer_foreign_keys = ON; INSERT INTO lanes (queue, tenant) VALUES ('none', '')")
        },
      ])
    for answer in answers {
      guard case .unavailable = answer as? QueueError else {
        Issue.record("\(String(describing: answer))")
        continue
      }
    }
    #expect(try marks(fixture.store).isEmpty)
    #expect(try fixture.store.enqueue([.sample(1)], at: now) == [true])
    #expect(try fixture.store.integrityFaults().isEmpty)
  }

  @Test("A transaction that is lost under way fails every call of its group")
  func lostTransaction() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let answers = try inOneGroup(
      fixture.store,
      [
        Self.mark("a"),
        // As SQLite does by itself when the disk fails.
        { db in
          try db.execute(sql: "ROLLBACK")
          throw Refusal()
        },
      ])
    #expect(answers.allSatisfy { $0 != nil })
    #expect(try marks(fixture.store).isEmpty)
    #expect(try fixture.store.enqueue([.sample(1)], at: now) == [true])
  }

  @Test("Telling of a commit takes no more of the stack after hundreds of them than at first")
  func observer() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let places = Mutex<[Int]>([])
    fixture.store.observeCommits { _ in
      var local = 0
      let place = withUnsafeMutablePointer(to: &local) { Int(bitPattern: $0) }
      places.withLock { $0.append(place) }
    }
    for index in 0..<300 { try fixture.store.write(Self.mark("q\(index)")) }
    let seen = places.withLock { $0 }
    #expect(seen.count == 300)
    if let first = seen.first, let last = seen.last { #expect(abs(first - last) < 4096) }
  }

  @Test("A full disk fails who needs room, and only while it is full")
  func fullDisk() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let store = fixture.store
    _ = try store.enqueue([.sample(1)], at: now)
    let lease = try #require(try store.claim(.test, at: now))
    let pages = try store.read { db in try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0 }
    try store.read { db in try db.execute(sql: "PRAGMA max_page_count = \(pages)") }
    #expect(throws: QueueError.self) { try store.enqueue((100..<2_000).map { try .sample($0) }, at: now) }
    _ = try store.heartbeat(lease, leaseDuration: .seconds(30), at: now + .seconds(1))
    #expect(try store.list(JobFilter()).map(\.name) == [lease.job])
    try store.read { db in try db.execute(sql: "PRAGMA max_page_count = 1000000") }
    #expect(try store.enqueue([.sample(2)], at: now) == [true])
    #expect(try store.integrityFaults().isEmpty)
  }

  @Test("Many threads at once: every job ends once, and every answer is true")
  func manyThreads() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let store = fixture.store
    let moment = now
    let finished = Mutex<[JobName]>([])
    let failures = Mutex<[String]>([])
    let ended = DispatchGroup()
    for thread in 0..<16 as Range<UInt64> {
      ended.enter()
      Thread.detachNewThread {
        do {
          for number in 0..<20 as Range<UInt64> {
            _ = try store.enqueue([.sample(thread * 1_000 + number), .sample(number)], at: moment)
            guard let lease = try store.claim(ClaimRequest(owner: "w\(thread)"), at: moment) else { continue }
            _ = try store.heartbeat(lease, leaseDuration: .seconds(30), at: moment)
            try store.finish(lease, with: .sample(lease.attempt), at: moment)
            finished.withLock { $0.append(lease.job) }
            do {
              try store.finish(lease, with: .sample(lease.attempt), at: moment)
              failures.withLock { $0.append("\(lease.job) was finished twice") }
            } catch QueueError.fenced {}
          }
        } catch {
          failures.withLock { $0.append("\(error)") }
        }
        ended.leave()
      }
    }
    ended.wait()
    #expect(failures.withLock { $0 }.isEmpty)
    let names = finished.withLock { $0 }
    #expect(Set(names).count == names.count)
    let jobs = try store.list(JobFilter(limit: 10_000))
    #expect(jobs.count == 16 * 20)
    #expect(jobs.count { $0.state == .finished } == names.count)
    #expect(try store.integrityFaults().isEmpty)
  }

  @Test("A store that closes answers everybody")
  func closing() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let store = fixture.store
    let moment = now
    let ended = DispatchGroup()
    for thread in 0..<8 as Range<UInt64> {
      ended.enter()
      Thread.detachNewThread {
        for number in 0... as PartialRangeFrom<UInt64> {
          do { _ = try store.enqueue([.sample(thread * 1_000_000 + number)], at: moment) } catch { break }
        }
        ended.leave()
      }
    }
    Thread.sleep(forTimeInterval: 0.02)
    try store.close()
    #expect(ended.wait(timeout: .now() + 60) == .success)
  }
}
