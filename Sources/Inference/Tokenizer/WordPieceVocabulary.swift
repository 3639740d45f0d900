/// The tokens of a WordPiece model as a trie over UTF-8 bytes: one walk finds the longest token at a place.
///
/// Edges lie in one open-addressed table, (node, byte) → node. A node is reached by one byte of one token, so the
/// table is bounded by the bytes of the vocabulary.
struct WordPieceVocabulary: Sendable {
  /// A token's bytes and its id.
  typealias Token = (utf8: [UInt8], id: Int32)

  /// Bytes of all tokens together.
  static let bytesLimit = 1 << 23

  private var edgeKeys: [UInt32]
  private var edgeTargets: [UInt32]
  private var tokenAtNode: [Int32] = [-1]
  private let mask: Int
  /// Drawn anew for each vocabulary: with a known one, a file could make all its edges meet in one place of the table.
  private let multiplier = UInt64.random(in: .min ... .max) | 1
  private var continuation: UInt32?

  /// Throws when the vocabulary is too large, or names one token twice.
  init(tokens: [Token], continuationPrefix: [UInt8]) throws(ModelError.Reason) {
    let bytes = tokens.reduce(0) { $0 + $1.utf8.count }
    guard bytes <= Self.bytesLimit else { throw .init("more than \(Self.bytesLimit) bytes of tokens") }
    var capacity = 1024
    while capacity < 2 * (bytes + continuationPrefix.count) { capacity *= 2 }
    mask = capacity - 1
    edgeKeys = [UInt32](repeating: .max, count: capacity)
    edgeTargets = [UInt32](repeating: 0, count: capacity)
    for token in tokens {
      var node: UInt32 = 0
      for byte in token.utf8 { node = insert(byte, below: node) }
      guard tokenAtNode[Int(node)] < 0, !token.utf8.isEmpty else {
        throw .init("token \(token.id) is empty or stands twice")
      }
      tokenAtNode[Int(node)] = token.id
    }
    continuation = continuationPrefix.reduce(UInt32?(0)) { node, byte in node.flatMap { child($0, byte) } }
  }

  /// The id of exactly this token.
  func id(of utf8: some Sequence<UInt8>) -> Int32? {
    var node: UInt32 = 0
    for byte in utf8 {
      guard let next = child(node, byte) else { return nil }
      node = next
    }
    let id = tokenAtNode[Int(node)]
    return id < 0 ? nil : id
  }

  /// The longest token with which `text` begins, and its bytes.
  func longest(beginning text: some Sequence<UInt8>) -> (id: Int32, count: Int)? {
    var (node, count): (UInt32, Int) = (0, 0)
    var found: (id: Int32, count: Int)?
    for byte in text {
      guard let next = child(node, byte) else { return found }
      (node, count) = (next, count + 1)
      if tokenAtNode[Int(node)] >= 0 { found = (tokenAtNode[Int(node)], count) }
    }
    return found
  }

  /// Appends the word's pieces, longest first from the left; false, with nothing appended, when some rest has none.
  func appendPieces(of word: [UInt8], to ids: inout [Int32]) -> Bool {
    let before = ids.count
    var start = 0
    var root: UInt32? = 0
    while start < word.count {
      var found: (id: Int32, end: Int)?
      if var node = root {
        var end = start
        while end < word.count, let next = child(node, word[end]) {
          node = next
          end += 1
          if tokenAtNode[Int(node)] >= 0 { found = (tokenAtNode[Int(node)], end) }
        }
      }
      guard let piece = found else {
        ids.removeSubrange(before...)
        return false
      }
      ids.append(piece.id)
      start = piece.end
      root = continuation
    }
    return true
  }

  private func slot(_ key: UInt32) -> Int {
    var slot = Int(truncatingIfNeeded: (UInt64(key) &* multiplier) >> 32) & mask
    while edgeKeys[slot] != .max && edgeKeys[slot] != key { slot = (slot + 1) & mask }
    return slot
  }

  private func child(_ node: UInt32, _ byte: UInt8) -> UInt32? {
    let key = node << 8 | UInt32(byte)
    let slot = slot(key)
    return edgeKeys[slot] == key ? edgeTargets[slot] : nil
  }

  private mutating func insert(_ byte: UInt8, below node: UInt32) -> UInt32 {
    let key = node << 8 | UInt32(byte)
    let slot = slot(key)
    if edgeKeys[slot] == key { return edgeTargets[slot] }
    let new = UInt32(tokenAtNode.count)
    tokenAtNode.append(-1)
    edgeKeys[slot] = key
    edgeTargets[slot] = new
    return new
  }
}
