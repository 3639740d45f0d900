/// What a sequence's output must look like, told token by token: a JSON schema, say.
///
/// A value belongs to one sequence. Before each token the generator asks which may come next, takes one of them, and
/// says which it took. What it answers may depend on the tokens that it was told and on nothing else: a sequence's
/// result must not depend on its company.
package protocol TokenConstraint: Sendable {
  /// Inserts every token that may come next. `mask` is empty at first and has room for the model's vocabulary.
  ///
  /// Tokens that end a text are no matter of this: the generator takes one where ``mayEnd`` is true. Where no token may
  /// come next the sequence ends.
  mutating func allowed(into mask: inout TokenMask)

  /// Takes note of the token that came next: one of those that it allowed, and none that ends the text.
  mutating func advance(_ token: Int32)

  /// Whether the text so far is whole: it may end here.
  var mayEnd: Bool { get }
}

/// A set of token ids.
package struct TokenMask: Sendable, Equatable {
  /// Ids are from 0 to below this.
  package let count: Int
  /// Bit `id % 64` of word `id / 64`; bits from `count` on are clear.
  private(set) var words: [UInt64]

  /// An empty set with room for `count` ids.
  package init(count: Int) {
    self.count = count
    words = [UInt64](repeating: 0, count: (count + 63) / 64)
  }

  /// Adds an id; one that is out of range is passed over.
  package mutating func insert(_ id: Int32) {
    guard id >= 0, Int(id) < count else { return }
    words[Int(id) >> 6] |= 1 << UInt64(id & 63)
  }

  /// Takes an id out.
  package mutating func remove(_ id: Int32) {
    guard id >= 0, Int(id) < count else { return }
    words[Int(id) >> 6] &= ~(1 << UInt64(id & 63))
  }

  /// Adds all ids of another set of the same size.
  package mutating func formUnion(_ other: TokenMask) {
    for index in 0..<min(words.count, other.words.count) { words[index] |= other.words[index] }
  }

  /// Takes all ids out.
  package mutating func removeAll() {
    for index in words.indices { words[index] = 0 }
  }

  package func contains(_ id: Int32) -> Bool {
    id >= 0 && Int(id) < count && words[Int(id) >> 6] >> UInt64(id & 63) & 1 == 1
  }

  package var isEmpty: Bool { words.allSatisfy { $0 == 0 } }
}
