import Dispatch
import GRDB
import Synchronization

// A durable commit costs a flush of the disk (milliseconds), a call's statements cost microseconds. So the calls that
// come while one transaction is being flushed share the next:
//
//   call ──▶ nobody leads? ──yes──▶ lead: BEGIN IMMEDIATE ─▶ a savepoint for each call ─▶ nobody waits? ─▶ COMMIT ─▶ answer
//                │ no                          ▲                                             │ calls came meanwhile
//                ▼                             └─────────────────────────────────────────────┘
//            wait for an answer, or to be told to lead the next group
//
// - The thread of the first call leads; there is no writer thread, so a lone caller waits for nobody and hands nothing
//   over, and a caller that leads needs no other thread to go on (which is why callers may be tasks of a small pool).
// - A call that throws is rolled back to its own savepoint; the others of its group stay.
// - Answers are handed out after the commit, refusals too: a refusal may rest on what another call of the group did.
// - A commit that fails is the answer of every call of its group: none has taken effect.

/// How much the calls of a store share: `calls / transactions` is the mean size of a group.
package struct WriteTotals: Hashable, Sendable {
  /// Calls that write, refused and failed ones included.
  package var calls = 0
  /// Transactions that they took.
  package var transactions = 0
}

/// Many threads' writes in few transactions.
final class GroupCommit: Sendable {
  /// One thread's write. Its caller sleeps until it is answered, so whoever holds it owns it alone.
  private final class Call: @unchecked Sendable {
    /// Nil as soon as it is over: it is the caller's, and must not outlive the call.
    private var body: ((Database) throws -> Void)?
    /// Nil: it took effect, if the group's commit does.
    var refusal: (any Error)?
    /// Set when the caller is woken to lead the next group instead of being answered.
    var mustLead = false
    let woken = DispatchSemaphore(value: 0)

    init(_ body: @escaping (Database) throws -> Void) { self.body = body }

    func run(in db: Database) throws {
      defer { body = nil }
      try body?(db)
    }

    /// The call is over, whether it ran or not.
    func end() { body = nil }
  }

  private struct Line {
    var waiting: [Call] = []
    var isLed = false
    var totals = WriteTotals()
  }

  private let line = Mutex(Line())
  /// The most calls of one transaction: what a failed commit costs, and how long the first waits for the last.
  static let largestGroup = 256

  /// What has been done since the store was opened.
  var totals: WriteTotals { line.withLock { $0.totals } }

  /// Calls that wait for a transaction.
  var waiting: Int { line.withLock { $0.waiting.count } }

  /// Performs `body` in a transaction that it may share with others, and returns when that is durable.
  ///
  /// - Parameter transaction: opens an immediate transaction on the one connection, performs its argument, commits.
  /// - Throws: what `body` threw, when the rest of its group is durable; else what `transaction` threw.
  func perform<Value>(
    in transaction: ((Database) throws -> Void) throws -> Void, _ body: (Database) throws -> Value
  ) throws -> Value {
    var value: Value?
    let refusal = withoutActuallyEscaping({ db in value = try body(db) }) { body in
      let call = Call(body)
      let mustWait = line.withLock { line in
        defer { line.isLed = true }
        if line.isLed { line.waiting.append(call) }
        return line.isLed
      }
      if mustWait { call.woken.wait() }
      if !mustWait || call.mustLead { lead(from: call, in: transaction) }
      call.end()
      return call.refusal
    }
    if let refusal { throw refusal }
    guard let value else { throw QueueError.unavailable("a transaction ended without a result") }
    return value
  }

  /// Performs `first` and whatever waits, answers the others, and passes the lead on.
  private func lead(from first: Call, in transaction: ((Database) throws -> Void) throws -> Void) {
    var group = [first]
    do {
      try transaction { db in
        var next = 0
        // Who was answered a moment ago is back while the others' statements run, and need not wait for the next flush.
        while next < group.count {
          try GroupCommit.perform(group[next], in: db)
          next += 1
          if next == group.count { group += takeWaiting(atMost: GroupCommit.largestGroup - group.count) }
        }
      }
    } catch {
      for call in group { call.refusal = error }
    }
    line.withLock { line in
      line.totals.calls += group.count
      line.totals.transactions += 1
    }
    // The answers first: who is back with another call before the next group is full shares its commit.
    for call in group.dropFirst() {
      call.end()
      call.woken.signal()
    }
    passOn()
  }

  /// One call in a savepoint of its own.
  ///
  /// - Throws: only what ends the whole group.
  private static func perform(_ call: Call, in db: Database) throws {
    try db.cachedStatement(sql: "SAVEPOINT call").execute()
    do {
      try call.run(in: db)
    } catch {
      // A full disk or a failed read may have cost the transaction: then nothing of the group is left to commit.
      guard db.isInsideTransaction else { throw error }
      call.refusal = error
      try db.cachedStatement(sql: "ROLLBACK TO call").execute()
    }
    try db.cachedStatement(sql: "RELEASE call").execute()
  }

  private func takeWaiting(atMost limit: Int) -> [Call] {
    line.withLock { line in
      let calls = Array(line.waiting.prefix(limit))
      line.waiting.removeFirst(calls.count)
      return calls
    }
  }

  private func passOn() {
    let leader = line.withLock { line -> Call? in
      guard !line.waiting.isEmpty else {
        line.isLed = false
        return nil
      }
      return line.waiting.removeFirst()
    }
    guard let leader else { return }
    leader.mustLead = true
    leader.woken.signal()
  }
}
