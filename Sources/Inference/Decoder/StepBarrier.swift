import Glibc
import Synchronization

/// Where the threads of one forward pass wait for each other, some hundred times a token: they look again and again for
/// a moment, and then leave the processor to others between two looks.
final class StepBarrier: Sendable {
  private let threads: Int
  private let arrived = Atomic<Int>(0)
  private let round = Atomic<Int>(0)

  init(threads: Int) { self.threads = threads }

  /// Returns when all threads have called it.
  func wait() {
    guard threads > 1 else { return }
    let now = round.load(ordering: .acquiring)
    if arrived.add(1, ordering: .acquiringAndReleasing).newValue == threads {
      arrived.store(0, ordering: .relaxed)
      round.store(now + 1, ordering: .releasing)
      return
    }
    var looks = 0
    while round.load(ordering: .acquiring) == now {
      looks += 1
      if looks > 2000 { sched_yield() }
    }
  }
}
