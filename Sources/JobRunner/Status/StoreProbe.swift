import Logging
import ObjectStore
import Synchronization

/// Asks the object store every now and then whether it answers, for `/readyz`. On a thread of its own: a store that hangs
/// must not hold up the figures of the queue.
final class StoreProbe: Sendable {
  private let store: any ObjectStore
  private let loop = StoppableLoop("store probe", allowanceSeconds: 300)
  private let fault = Mutex<String?>("not asked yet")
  private static let pauseSeconds = 15.0
  private static let pauseAfterFailureSeconds = 5.0

  init(store: any ObjectStore) { self.store = store }

  /// Whether its loop turns.
  var pulse: LoopPulse { loop.pulse }

  /// Why the store is not reachable, as its last answer was; nil when it is.
  var currentFault: String? {
    // A request that has been under way for long is an answer too.
    pulse.fault().map { "no answer (\($0))" } ?? fault.withLock { $0 }
  }

  func start() {
    loop.start { [self] in
      repeat { ask() } while loop.rest(atMost: currentFault == nil ? Self.pauseSeconds : Self.pauseAfterFailureSeconds)
    }
  }

  func stop(within seconds: Double) { loop.stop(within: seconds) }

  /// One small question, which needs the permission that the daemon needs anyhow.
  private func ask() {
    do {
      _ = try store.head(try ObjectKey(StoreLayout.policy))
      fault.withLock { $0 = nil }
    } catch {
      fault.withLock { $0 = "\(error)" }
    }
  }
}
