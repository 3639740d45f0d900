/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): random numbers by their place. What
/// is drawn for one item at one step depends on the seed, the item and the step, and on nothing that was drawn before.
enum Philox {
  typealias Block = (UInt32, UInt32, UInt32, UInt32)

  static func block(counter: Block, key: (UInt32, UInt32)) -> Block {
    var (c, k) = (counter, key)
    for _ in 0..<10 {
      let first = c.0.multipliedFullWidth(by: 0xd251_1f53)
      let second = c.2.multipliedFullWidth(by: 0xcd9e_8d57)
      c = (second.high ^ c.1 ^ k.0, second.low, first.high ^ c.3 ^ k.1, first.low)
      k = (k.0 &+ 0x9e37_79b9, k.1 &+ 0xbb67_ae85)
    }
    return c
  }

  /// A number from 0 to below 1, in steps of 2⁻⁵³.
  ///
  /// - Parameters:
  ///   - item: what names the item among those of a job.
  ///   - step: counts the item's draws.
  static func uniform(seed: UInt64, item: String, step: UInt32) -> Double {
    // FNV-1a: items are told apart, no secret depends on it.
    let name = item.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    let block = block(
      counter: (step, 0, UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)),
      key: (UInt32(truncatingIfNeeded: name), UInt32(truncatingIfNeeded: name >> 32)))
    return Double((UInt64(block.0) << 32 | UInt64(block.1)) >> 11) * 0x1p-53
  }
}
