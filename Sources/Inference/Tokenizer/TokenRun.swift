/// The ids of one text while they are made, and the memory that a model needs meanwhile.
struct TokenRun {
  private(set) var ids: [Int32] = []
  /// One id more than this shows that the text is cut: then no more are wanted.
  let limit: Int

  /// Symbols of a word, or places of a lattice; each model uses them in its own way.
  var (first, second, third): ([Int32], [Int32], [Int32]) = ([], [], [])
  var joined = 0
  var heap: [UInt64] = []
  var scores: [Double] = []

  init(limit: Int) {
    self.limit = limit
    if limit < 4096 { ids.reserveCapacity(limit + 8) }
  }

  @inline(__always)
  var isFull: Bool { ids.count > limit }

  @inline(__always)
  mutating func append(_ id: Int32) { ids.append(id) }

  /// Takes ids back, down to `count`.
  mutating func cut(to count: Int) { ids.removeSubrange(count...) }

  /// Turns the ids from `count` on around.
  mutating func reverse(from count: Int) { ids[count...].reverse() }
}
