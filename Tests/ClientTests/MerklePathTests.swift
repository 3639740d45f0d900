import SealedCrypto
import Testing
import Wire

@testable import Client

@Suite("Inclusion proofs are those of RFC 9162 §2.1.3")
struct MerklePathTests {
  /// The leaves, roots and paths that the Certificate Transparency project publishes for its reference tree.
  private static let leaves = [
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
  ].map { Hex.decode($0) ?? [] }

  private static let roots = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
  ]

  private static let paths: [(leaf: UInt64, count: UInt64, path: [String])] = [
    (0, 1, []),
    (
      0, 8,
      [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
      ]
    ),
    (
      5, 8,
      [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      ]
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
      1, 5,
      [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
      ]
    ),
  ]

  private static func path(_ index: UInt64, _ leaves: [[UInt8]]) -> MerklePath {
    var builder = MerklePathBuilder(index: index, count: UInt64(leaves.count))
    for leaf in leaves { builder.append(leaf) }
    return builder.path
  }

  @Test("the published roots and paths come out")
  func vectors() throws {
    for (count, root) in Self.roots.enumerated() {
      var tree = MerkleTree()
      for leaf in Self.leaves.prefix(count + 1) { tree.append(leaf) }
      #expect(tree.root.hex == root)
    }
    for vector in Self.paths {
      let leaves = Array(Self.leaves.prefix(Int(vector.count)))
      #expect(Self.path(vector.leaf, leaves).siblings.map(\.hex) == vector.path)
      let path = MerklePath(siblings: try vector.path.map { try #require(ContentDigest(hex: $0)) })
      let root = path.root(of: leaves[Int(vector.leaf)], at: vector.leaf, in: vector.count)
      #expect(root?.hex == Self.roots[Int(vector.count) - 1])
    }
  }

  /// PATH as the RFC writes it, recursively over whole lists.
  private static func reference(_ index: Int, _ leaves: ArraySlice<[UInt8]>) -> [[UInt8]] {
    guard leaves.count > 1 else { return [] }
    var half = 1
    while half * 2 < leaves.count { half *= 2 }
    let (left, right) = (leaves.prefix(half), leaves.dropFirst(half))
    return index < half
      ? reference(index, left) + [hash(right)] : reference(index - half, right) + [hash(left)]
  }

  private static func hash(_ leaves: ArraySlice<[UInt8]>) -> [UInt8] {
    guard let first = leaves.first, leaves.count > 1 else { return MerkleTree.leafHash(leaves.first ?? []) }
    _ = first
    var half = 1
    while half * 2 < leaves.count { half *= 2 }
    return MerkleTree.nodeHash(hash(leaves.prefix(half)), hash(leaves.dropFirst(half)))
  }

  @Test("every leaf of every small tree has the path of the recursive definition, and it leads to the root")
  func everySmallTree() {
    let all = (0..<70).map { [UInt8]("leaf \($0)".utf8) }
    for count in 1...all.count {
      let leaves = Array(all.prefix(count))
      let root = Self.hash(leaves[...])
      for index in 0..<count {
        let path = Self.path(UInt64(index), leaves)
        #expect(path.siblings.map(\.bytes) == Self.reference(index, leaves[...]))
        #expect(path.root(of: leaves[index], at: UInt64(index), in: UInt64(count))?.bytes == root)
      }
    }
  }

  @Test("a path that is cut, longer, of another place or another count leads nowhere")
  func wrongPaths() throws {
    let leaves = (0..<13).map { [UInt8]("leaf \($0)".utf8) }
    let root = Self.hash(leaves[...])
    for index in 0..<13 as Range<UInt64> {
      let path = Self.path(index, leaves)
      let leaf = leaves[Int(index)]
      let cut = MerklePath(siblings: path.siblings.dropLast())
      let longer = MerklePath(siblings: path.siblings + [try ContentDigest([UInt8](repeating: 0, count: 32))])
      #expect(cut.root(of: leaf, at: index, in: 13)?.bytes != root)
      #expect(longer.root(of: leaf, at: index, in: 13) == nil)
      for other in 0..<13 as Range<UInt64> where other != index {
        #expect(path.root(of: leaf, at: other, in: 13)?.bytes != root)
      }
      // A neighbouring count may have a tree of the same shape around a leaf, so no path proves a count: the receipt
      // signs it beside the root.
      for count in [0, 1, index] where count <= index { #expect(path.root(of: leaf, at: index, in: count) == nil) }
      #expect(path.root(of: leaf, at: 13, in: 13) == nil)
    }
    // What is hashed as a node is never taken for a leaf.
    let node = MerkleTree.leafHash(leaves[0]) + MerkleTree.leafHash(leaves[1])
    let above = MerklePath(siblings: Array(Self.path(0, leaves).siblings.dropFirst()))
    #expect(above.root(of: node, at: 0, in: 7)?.bytes != root)
  }
}
