/// MPNet's (and T5's) bias of attention by distance: near distances have a bucket each, farther ones share.
enum RelativeBias {
  /// Rows of the table in the file; half of them for keys before the query, half for keys behind it.
  static let buckets = 32
  private static let sideBuckets = 16
  private static let exactBuckets = 8

  /// The bucket of a key that stands `distance` places behind its query.
  ///
  /// Beyond 7 places it is 8 + ⌊8·log₁₆(n/8)⌋, at most 15: n reaches step k when n² ≥ 64·2ᵏ, without a logarithm.
  static func bucket(distance: Int) -> Int {
    let side = distance > 0 ? sideBuckets : 0
    let n = abs(distance)
    guard n >= exactBuckets else { return side + n }
    let near = min(n, 1 << 20)
    var step = 0
    while step < sideBuckets - exactBuckets - 1, near * near >= 64 << (step + 1) { step += 1 }
    return side + exactBuckets + step
  }

  /// (heads, 2·limit − 1) for the kernel, from the file's (buckets, heads).
  static func byDistance(_ table: FloatBuffer, heads: Int, limit: Int) -> FloatBuffer {
    let out = FloatBuffer(count: heads * (2 * limit - 1))
    for distance in (1 - limit)..<limit {
      let row = table.pointer + bucket(distance: distance) * heads
      for head in 0..<heads { out.pointer[head * (2 * limit - 1) + limit - 1 + distance] = row[head] }
    }
    return out
  }
}
