import CBlas
import Synchronization

/// Chooses among the instruction sets that this processor has.
enum EachKernel {
  private static let names = Kernels.names.reversed() + ["portable"]
  private static let one = Mutex(())

  /// Runs `body` with each chosen in turn, one caller at a time; the best is chosen again at the end. Other tests go on
  /// beside it: all kernels give the same bits, but the slow ones must not stay.
  static func run(_ body: (String) throws -> Void) rethrows {
    try one.withLock { _ in
      defer { chooseBest() }
      for name in names where cb_select_kernel(name) { try body(name) }
    }
  }

  static func chooseBest() { _ = names.first { cb_select_kernel($0) } }
}
