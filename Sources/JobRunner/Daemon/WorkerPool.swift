import Foundation
import Queue

/// All workers of the daemon.
final class WorkerPool: Sendable {
  let workers: [ManagedWorker]

  init(_ workers: [ManagedWorker]) { self.workers = workers }

  func start() { for worker in workers { worker.start() } }

  /// There may be something to claim.
  func wake() { for worker in workers { worker.executor.wake() } }

  /// No more claims at all; what is under way goes on.
  func drain() { for worker in workers { worker.executor.drain() } }

  /// Claims again.
  func undrain() { for worker in workers { worker.executor.undrain() } }

  /// Of every worker's loops.
  var pulses: [LoopPulse] { workers.flatMap(\.pulses) }

  /// Whether no attempt is under way.
  var isIdle: Bool { workers.allSatisfy { $0.health.view.state != .busy } }

  /// The next look at each worker asks the store anew.
  func forget() { for worker in workers { worker.supervisor.forget() } }

  /// One by its name.
  subscript(name: String) -> ManagedWorker? { workers.first { $0.settings.name == name } }

  /// Gives back what is under way and ends all loops, beside each other.
  func stop(within seconds: TimeInterval) {
    let limit = Date(timeIntervalSinceNow: seconds)
    for worker in workers { worker.tellToStop() }
    let group = DispatchGroup()
    for worker in workers {
      group.enter()
      Thread.detachNewThread {
        worker.stop(within: max(0, limit.timeIntervalSinceNow))
        group.leave()
      }
    }
    group.wait()
  }
}
