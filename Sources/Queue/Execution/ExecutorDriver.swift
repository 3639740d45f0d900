import Synchronization
import Wire

/// The I/O of one attempt: the daemon's over sockets and the object store, a simulator's over arrays. One instance
/// serves one attempt. Each call blocks until it can answer with the event that its action's comment names, or with
/// ``ExecutorEvent/fault(_:)``.
package protocol ExecutorIO: AnyObject {
  /// Performs one action that is no call on the queue.
  func perform(_ action: ExecutorAction, lease: Lease) -> ExecutorEvent
  /// Called from another thread: makes a blocked ``perform(_:lease:)`` return soon, with whatever fault.
  func interrupt()
  /// The attempt is over: close connections, drop unfinished uploads. Called exactly once, last.
  func close()
}

/// How an attempt ended, for logs and metrics.
package enum AttemptResult: Hashable, Sendable {
  case finished(JobCommit)
  case retry(Fault, at: Timestamp)
  case released
  case cancelled
  case dead
  /// The fence refused the attempt's end: the job had gone on without it.
  case fenced
  /// The lease was lost, or the queue could not record the attempt's end; the words say which.
  case abandoned(String)
}

/// An attempt under way: its machine, and the event that it hears next.
package struct ExecutorAttempt {
  fileprivate var machine: ExecutorMachine
  fileprivate var event = ExecutorEvent.claimed
  /// How it ended, once ``ExecutorDriver/step(_:_:)`` has answered false.
  package fileprivate(set) var result = AttemptResult.abandoned("its lease was lost")

  package init(_ lease: Lease) { machine = ExecutorMachine(lease) }
}

/// Performs what an ``ExecutorMachine`` decides, on the thread that calls ``run(_:)``.
package final class ExecutorDriver: Sendable {
  private let lease: Lease
  private let store: any QueueStore
  private let clock: any QueueClock
  private let pending = Mutex<[ExecutorEvent]>([])
  private let done = Mutex<UInt64>(0)

  package init(_ lease: Lease, store: any QueueStore, clock: any QueueClock) {
    self.lease = lease
    self.store = store
    self.clock = clock
  }

  /// Items that the worker says are done.
  package var itemsDone: UInt64 { done.withLock { $0 } }

  /// Hands in `leaseLost`, `deadlinePassed`, `cancelRequested` or `shutdown` from another thread. All but
  /// `cancelRequested` also need ``ExecutorIO/interrupt()``, so that a blocked call returns.
  package func post(_ event: ExecutorEvent) { pending.withLock { $0.append(event) } }

  /// Runs the attempt to its end.
  package func run(_ io: any ExecutorIO) -> AttemptResult {
    defer { io.close() }
    var attempt = ExecutorAttempt(lease)
    while step(&attempt, io) {}
    return attempt.result
  }

  /// One step of an attempt: what happened is told to the machine, and the action that it decides is performed. For a
  /// simulator, which mixes the steps of several attempts, and which calls ``ExecutorIO/close()`` itself.
  /// - Returns: false when the attempt is over.
  package func step(_ attempt: inout ExecutorAttempt, _ io: any ExecutorIO) -> Bool {
    var action: ExecutorAction?
    for posted in takePending() where action == nil { action = attempt.machine.handle(posted) }
    guard let next = action ?? attempt.machine.handle(attempt.event) else { return false }
    done.withLock { $0 = attempt.machine.itemsDone }
    if case .abandon = next { return false }
    attempt.event = perform(next, io: io, result: &attempt.result)
    return true
  }

  private func takePending() -> [ExecutorEvent] {
    pending.withLock { events in
      defer { events.removeAll() }
      return events
    }
  }

  private func perform(
    _ action: ExecutorAction, io: any ExecutorIO, result: inout AttemptResult
  ) -> ExecutorEvent {
    let now = clock.now()
    switch action {
    case .finish(let commit):
      return record(.finished(commit), &result) {
        do {
          try store.finish(lease, with: commit, at: now)
        } catch QueueError.fenced {
          // The commit stands in the store, so the job is finished whoever holds it now.
          _ = try store.adopt(commit, of: lease.job, at: now)
        }
      }
    case .retryLater(let fault):
      var due = now
      let event = record(.retry(fault, at: due), &result) { due = try store.fail(lease, with: fault, at: now) }
      if case .recorded = event { result = .retry(fault, at: due) }
      return event
    case .release: return record(.released, &result) { try store.release(lease, at: now) }
    case .cancel: return record(.cancelled, &result) { try store.cancel(lease, at: now) }
    case .giveUp: return record(.dead, &result) { try store.giveUp(lease, at: now) }
    case .lookUpCommit, .startJob, .readRequest, .sendPiece, .appendResult, .acknowledge, .storeResults, .writeCommit,
      .abandon:
      return io.perform(action, lease: lease)
    }
  }

  /// A refused or failed call on the queue leaves the lease to run out; nothing of it took effect, and why is the
  /// attempt's result.
  private func record(
    _ ending: AttemptResult, _ result: inout AttemptResult, _ call: () throws -> Void
  ) -> ExecutorEvent {
    do {
      try call()
      result = ending
      return .recorded
    } catch QueueError.fenced {
      result = .fenced
      return .notRecorded
    } catch {
      result = .abandoned("\(error)")
      return .notRecorded
    }
  }
}
