/// The tokens of a vocabulary by their bytes, in one walk: what a prefix forbids is passed over with all that begin so.
package struct TokenPrefixes: Sendable {
  /// Bytes of a token at most; longer ones are never allowed.
  static let tokenBytesLimit = 1024

  /// Ids are from 0 to below this.
  package let count: Int
  /// The tokens that are text, as they came.
  let tokens: TokenBytes
  /// Nodes in the order of a walk that goes down first: each one's last byte, and its depth from 1.
  let bytes: [UInt8]
  let depths: [UInt16]
  /// The first node that does not begin with this one's bytes.
  let next: [Int32]
  /// Tokens that are just this node's bytes: `ids[idStarts[node]..<idStarts[node + 1]]`.
  let ids: [Int32]
  let idStarts: [Int32]

  /// Sorts a vocabulary. Control tokens and empty ones are left out.
  package init(_ tokens: TokenBytes) {
    self.tokens = tokens
    count = tokens.count
    let texts = (0..<Int32(tokens.count)).filter {
      !tokens.isControl($0) && (1...Self.tokenBytesLimit).contains(tokens[$0].count)
    }
    let sorted = texts.sorted { a, b in
      let (x, y) = (tokens[a], tokens[b])
      return x.elementsEqual(y) ? a < b : x.lexicographicallyPrecedes(y)
    }
    var (bytes, depths, next, idStarts): ([UInt8], [UInt16], [Int32], [Int32]) = ([], [], [], [])
    var ids: [Int32] = []
    var path: [Int] = []
    var last: ArraySlice<UInt8> = []
    for id in sorted {
      let text = tokens[id]
      let shared = zip(last, text).prefix { $0 == $1 }.count
      while path.count > shared { next[path.removeLast()] = Int32(bytes.count) }
      for byte in text.dropFirst(shared) {
        path.append(bytes.count)
        bytes.append(byte)
        depths.append(UInt16(path.count))
        next.append(0)
        idStarts.append(Int32(ids.count))
      }
      // A token that stands twice ends at the node that is the last one so far.
      ids.append(id)
      last = text
    }
    while let node = path.popLast() { next[node] = Int32(bytes.count) }
    idStarts.append(Int32(ids.count))
    (self.bytes, self.depths, self.next, self.ids, self.idStarts) = (bytes, depths, next, ids, idStarts)
  }
}
