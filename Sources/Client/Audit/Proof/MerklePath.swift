import SealedCrypto
import Wire

/// An inclusion proof of one leaf (RFC 9162 §2.1.3).
package struct MerklePath: Sendable, Equatable {
  /// Hashes of the sibling subtrees, from the leaf's own level to the root's.
  package let siblings: [ContentDigest]

  package init(siblings: [ContentDigest]) { self.siblings = siblings }

  /// The longest path that any tree of ``Limits/itemsPerJob`` leaves has.
  package static let longest = 20

  /// The leaves below each sibling on the way from leaf `index` to the root, in the order of the path
  /// (PATH of RFC 9162 §2.1.3.1, unrolled); empty for an index outside the tree.
  package static func siblingRanges(of index: UInt64, in count: UInt64) -> [Range<UInt64>] {
    guard index < count else { return [] }
    var ranges: [Range<UInt64>] = []
    var (low, high) = (UInt64(0), count)
    while high - low > 1 {
      // The largest power of two below the number of leaves.
      let half = UInt64(1) << UInt64(63 - (high - low - 1).leadingZeroBitCount)
      if index - low < half {
        ranges.append(low + half..<high)
        high = low + half
      } else {
        ranges.append(low..<low + half)
        low += half
      }
    }
    return ranges.reversed()
  }

  /// The root that this path leads to (RFC 9162 §2.1.3.2); nil when the path has not the length that the leaf's place
  /// demands.
  ///
  /// - Parameters:
  ///   - leaf: the leaf's bytes, not its hash.
  ///   - count: leaves of the tree.
  package func root(of leaf: [UInt8], at index: UInt64, in count: UInt64) -> ContentDigest? {
    guard index < count else { return nil }
    var (place, last) = (index, count - 1)
    var hash = MerkleTree.leafHash(leaf)
    for sibling in siblings {
      guard last > 0 else { return nil }
      if place & 1 == 1 || place == last {
        hash = MerkleTree.nodeHash(sibling.bytes, hash)
        while place & 1 == 0, place > 0 {
          place >>= 1
          last >>= 1
        }
      } else {
        hash = MerkleTree.nodeHash(hash, sibling.bytes)
      }
      place >>= 1
      last >>= 1
    }
    return last == 0 ? try? ContentDigest(hash) : nil
  }
}

/// Makes a path in one pass over the leaves, in memory that grows with the tree's height.
package struct MerklePathBuilder {
  private let index: UInt64
  private let ranges: [Range<UInt64>]
  private var trees: [MerkleTree]
  private var next: UInt64 = 0

  /// - Parameters:
  ///   - index: of the leaf that is to be proven, below `count`.
  ///   - count: leaves that will come.
  package init(index: UInt64, count: UInt64) {
    self.index = index
    ranges = MerklePath.siblingRanges(of: index, in: count)
    trees = ranges.map { _ in MerkleTree() }
  }

  /// Takes the next leaf's bytes.
  package mutating func append(_ leaf: [UInt8]) {
    if let place = ranges.firstIndex(where: { $0.contains(next) }) { trees[place].append(leaf) }
    next += 1
  }

  /// The path, once all leaves have come.
  package var path: MerklePath { MerklePath(siblings: trees.map(\.root)) }
}
