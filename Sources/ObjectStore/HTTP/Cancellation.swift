import Synchronization

/// Ends requests under way, from any thread and for good.
final class Cancellation: Sendable {
  private let flag = Atomic(false)

  /// Requests that have it end soon, and none begins.
  func cancel() { flag.store(true, ordering: .relaxed) }

  var isCancelled: Bool { flag.load(ordering: .relaxed) }
}
