import Queue

/// A generator whose whole state can be kept and put back (SplitMix64). One thread uses it, hence the unchecked promise.
final class SimulatedRandom: RandomSource, @unchecked Sendable {
  var state: UInt64

  init(seed: UInt64) { state = seed }

  func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
    return word ^ (word >> 31)
  }

  /// Whether something befalls whose rate is so many in ten thousand. A rate of zero draws nothing.
  func chance(_ rate: Int64) -> Bool { rate > 0 && upTo(9_999) < rate }

  func pick<Element>(_ elements: [Element]) -> Element? {
    elements.isEmpty ? nil : elements[Int(upTo(Int64(elements.count - 1)))]
  }
}
