import Logging
import ObjectStore
import Queue
import Wire

/// Compares database and store once at the daemon's start, on a thread of its own, and has the others begin when that is
/// done. While the store is away it tries again: without the store nothing could run anyway.
final class RestoreLoop: @unchecked Sendable {
  private let restore: StoreRestore
  private let takeIn: @Sendable () throws -> [JobName]
  private let states: StateWriter
  private let log: Logger
  private let loop = StoppableLoop("restore")
  /// Used by the loop's thread alone.
  private var complaint = Complaint()
  private static let pauseSeconds = 2.0

  /// - Parameter takeIn: one pass over the inbox.
  init(
    _ restore: StoreRestore, takeIn: @escaping @Sendable () throws -> [JobName], states: StateWriter, log: Logger
  ) {
    self.restore = restore
    self.takeIn = takeIn
    self.states = states
    self.log = log
  }

  /// - Parameter begin: called once, when the database knows what the store knows. Not called when the daemon stops first.
  func start(then begin: @escaping @Sendable () -> Void) {
    loop.start { [self] in
      repeat {
        do {
          if let reason = try restore.reason() {
            let outcome = try restore.run(reason, takeIn: takeIn, isStopping: { [loop] in loop.isStopping })
            states.note(outcome.waiting)
          }
          if loop.isStopping { return }
          try noteMark()
          return begin()
        } catch {
          if complaint.isDue("\(error)") { log.warning("database and store cannot be compared yet: \(error)") }
        }
      } while loop.rest(atMost: Self.pauseSeconds)
    }
  }

  /// A store that does not let the host write its notes is served all the same; only a lost database is noticed later.
  private func noteMark() throws {
    do { try restore.noteMark() } catch let error as ObjectStoreError where error.kind == .denied {
      log.warning("the store does not let this host keep notes for a lost database (write to host/*): \(error)")
    }
  }

  func stop(within seconds: Double) { loop.stop(within: seconds) }
}
