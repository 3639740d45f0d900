import Crypto
import Wire

/// A Merkle tree hash (RFC 9162 §2.1.1) over leaves that come one at a time, in memory that grows with their logarithm.
package struct MerkleTree: Sendable {
  /// Roots of complete subtrees, largest first, with the binary digits of `count` as their sizes.
  private var peaks: [(height: Int, hash: [UInt8])] = []
  /// Leaves so far.
  package private(set) var count: UInt64 = 0

  package init() {}

  /// SHA-256(0x00 ‖ leaf).
  package static func leafHash(_ leaf: [UInt8]) -> [UInt8] { SHA256.digest(of: [0] + leaf).bytes }
  /// SHA-256(0x01 ‖ left ‖ right).
  package static func nodeHash(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
    SHA256.digest(of: [1] + left + right).bytes
  }

  /// Adds the next leaf's bytes.
  package mutating func append(_ leaf: [UInt8]) {
    var hash = Self.leafHash(leaf)
    var height = 0
    while let last = peaks.last, last.height == height {
      hash = Self.nodeHash(last.hash, hash)
      height += 1
      peaks.removeLast()
    }
    peaks.append((height, hash))
    count += 1
  }

  /// The root; SHA-256 of nothing for an empty tree.
  package var root: ContentDigest {
    guard var hash = peaks.last?.hash else { return SHA256.digest(of: []) }
    for peak in peaks.dropLast().reversed() { hash = Self.nodeHash(peak.hash, hash) }
    // A SHA-256 has 32 bytes by construction.
    return (try? ContentDigest(hash)) ?? SHA256.digest(of: [])
  }
}
