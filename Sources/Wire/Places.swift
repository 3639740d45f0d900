import Synchronization

/// A number of places, taken and given back: how many peers are served at once.
package final class Places: Sendable {
  private let free: Mutex<Int>

  package init(count: Int) { free = Mutex(count) }

  /// False when none is left.
  package func take() -> Bool {
    free.withLock { free in
      guard free > 0 else { return false }
      free -= 1
      return true
    }
  }

  /// Gives one back that was taken.
  package func give() { free.withLock { $0 += 1 } }
}
