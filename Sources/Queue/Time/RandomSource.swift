import Synchronization

/// Where jitter and lease tokens come from. It need not be secret: a token keeps honest executors apart, no attackers.
package protocol RandomSource: Sendable {
  /// The next 64 bits.
  func next() -> UInt64
}

/// The operating system's generator.
package struct SystemRandom: RandomSource {
  package init() {}

  package func next() -> UInt64 {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
  }
}

/// A generator that a number repeats (SplitMix64), for tests and the simulator.
package final class SeededRandom: RandomSource {
  private let state: Mutex<UInt64>

  package init(seed: UInt64) { state = Mutex(seed) }

  package func next() -> UInt64 {
    state.withLock { state in
      state &+= 0x9e37_79b9_7f4a_7c15
      var word = state
      word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
      word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
      return word ^ (word >> 31)
    }
  }
}

extension RandomSource {
  /// A number from 0 up to and including `bound` (0 when `bound` is negative). The bias of the remainder is far below
  /// what jitter could notice.
  package func upTo(_ bound: Int64) -> Int64 {
    guard bound > 0 else { return 0 }
    return Int64(next() % (UInt64(bound) + 1))
  }
}
