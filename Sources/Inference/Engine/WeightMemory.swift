import Glibc

/// Memory for a model's packed weights, and for keys and values, in blocks that the system may map in large pages: a product
/// reads all of its weights anew for each few hundred rows, more small pages than a processor remembers. For one thread.
final class WeightMemory: @unchecked Sendable {
  /// Mapped at a boundary of large pages, and zero at first.
  final class Block: @unchecked Sendable {
    let start: UnsafeMutableRawPointer
    let bytes: Int

    /// Nil when the system grants no more.
    init?(bytes: Int) {
      let mapped = mmap(
        nil, bytes + WeightMemory.pageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      guard let mapped, mapped != MAP_FAILED else { return nil }
      // What lies before the boundary and behind the block goes back.
      let skipped = -Int(bitPattern: mapped) & (WeightMemory.pageBytes - 1)
      start = mapped + skipped
      self.bytes = bytes
      if skipped > 0 { munmap(mapped, skipped) }
      munmap(start + bytes, WeightMemory.pageBytes - skipped)
      madvise(start, bytes, 14)  // MADV_HUGEPAGE; refused where there are none, and nothing is lost
    }

    deinit { munmap(start, bytes) }
  }

  static let pageBytes = 2 << 20
  /// What is not used of it is not taken from the system.
  private static let blockBytes = 32 << 20

  private var block: Block?
  private var used = 0

  /// Zeros at a boundary of cache lines, and the block that they lie in, which lives as long as they are used. Nil when
  /// the system grants none.
  func allocate(bytes: Int) -> (start: UnsafeMutableRawPointer, block: Block)? {
    let rounded = (bytes + 63) & ~63
    if let block, rounded <= block.bytes - used {
      used += rounded
      return (block.start + used - rounded, block)
    }
    let wanted = (max(rounded, Self.blockBytes) + Self.pageBytes - 1) & ~(Self.pageBytes - 1)
    guard let new = Block(bytes: wanted) else { return nil }
    (block, used) = (new, rounded)
    return (new.start, new)
  }
}
