/// Tokens as a trie over their UTF-8 bytes: one walk finds every token that begins at a place.
///
/// Edges lie in one open-addressed table, (node, byte) → node, at most half full. A node is reached by one byte of one
/// token, so the table is bounded by the bytes of the vocabulary; a step costs one look whatever the vocabulary is.
struct TokenTrie: Sendable {
  /// A token's bytes and its id.
  typealias Token = (utf8: [UInt8], id: Int32)

  /// Bytes of all tokens together; keeps nodes below 2²⁴.
  static let bytesLimit = 1 << 23
  /// Where every walk begins.
  static let root: UInt32 = 0

  /// A node that some edge leads to; the upper bit tells whether a token ends there.
  struct Node {
    fileprivate let bits: UInt32
    @inline(__always) var index: UInt32 { bits & 0xff_ffff }
    @inline(__always) var endsToken: Bool { bits & 0x8000_0000 != 0 }
  }

  /// key << 32 | ends a token << 31 | node.
  private var edges: AlignedBuffer<UInt64>
  private var ids: AlignedBuffer<Int32>
  private var nodes = 1
  private var shift: UInt64
  private var mask: Int
  /// Drawn anew for each trie: with a known one, a file could make all its edges meet in one place of the table.
  private let multiplier = UInt64.random(in: .min ... .max) | 1
  /// Bytes of the longest token.
  let longest: Int

  /// Throws when the vocabulary is too large, or names one token twice.
  init(tokens: [Token]) throws(ModelError.Reason) {
    let bytes = tokens.reduce(0) { $0 + $1.utf8.count }
    guard bytes <= Self.bytesLimit else { throw .init("more than \(Self.bytesLimit) bytes of tokens") }
    longest = tokens.reduce(0) { max($0, $1.utf8.count) }
    var room = 1024
    while room < 2 * tokens.count { room *= 2 }
    (edges, shift, mask) = Self.table(room)
    ids = AlignedBuffer(count: bytes + 1)
    for node in 0...bytes { ids.pointer[node] = -1 }
    for token in tokens {
      var node = Self.root
      for byte in token.utf8 { node = insert(byte, below: node) }
      guard ids.pointer[Int(node)] < 0, !token.utf8.isEmpty else {
        throw .init("token \(token.id) is empty or stands twice")
      }
      ids.pointer[Int(node)] = token.id
    }
    for place in 0...mask where edges.pointer[place] != .max {
      if ids.pointer[Int(edges.pointer[place] & 0xff_ffff)] >= 0 { edges.pointer[place] |= 0x8000_0000 }
    }
  }

  /// The token that ends at a node whose `endsToken` is true.
  @inline(__always)
  func id(at node: Node) -> Int32 { ids.pointer[Int(node.index)] }

  /// The node behind `byte`, or nil where no token goes on so.
  @inline(__always)
  func child(_ node: UInt32, _ byte: UInt8) -> Node? {
    let key = node << 8 | UInt32(byte)
    let edge = edges.pointer[slot(key)]
    return edge >> 32 == UInt64(key) ? Node(bits: UInt32(truncatingIfNeeded: edge)) : nil
  }

  /// The id of exactly this token.
  func id(of utf8: some Sequence<UInt8>) -> Int32? {
    var last: Node?
    for byte in utf8 {
      guard let next = child(last?.index ?? Self.root, byte) else { return nil }
      last = next
    }
    guard let last, last.endsToken else { return nil }
    return id(at: last)
  }

  /// The node that these bytes lead to; the root for none.
  func node(behind utf8: some Sequence<UInt8>) -> UInt32? {
    utf8.reduce(UInt32?(Self.root)) { node, byte in node.flatMap { child($0, byte)?.index } }
  }

  /// The longest token that begins at `place`, walking from `start`, and where it ends.
  @inline(__always)
  func longest(
    _ text: UnsafeBufferPointer<UInt8>, from place: Int, start: UInt32 = TokenTrie.root
  ) -> (id: Int32, end: Int)? {
    var (node, end) = (start, place)
    var found: (Node, end: Int)?
    while end < text.count, let next = child(node, text[end]) {
      (node, end) = (next.index, end + 1)
      if next.endsToken { found = (next, end) }
    }
    return found.map { (id(at: $0.0), $0.end) }
  }

  @inline(__always)
  private func slot(_ key: UInt32) -> Int {
    var slot = Int(truncatingIfNeeded: (UInt64(key) &* multiplier) >> shift)
    while true {
      let edge = edges.pointer[slot]
      if edge >> 32 == UInt64(key) || edge == .max { return slot }
      slot = (slot + 1) & mask
    }
  }

  private static func table(_ room: Int) -> (AlignedBuffer<UInt64>, UInt64, Int) {
    let table = AlignedBuffer<UInt64>(count: room)
    for place in 0..<room { table.pointer[place] = .max }
    return (table, UInt64(64 - room.trailingZeroBitCount), room - 1)
  }

  private mutating func insert(_ byte: UInt8, below node: UInt32) -> UInt32 {
    let key = node << 8 | UInt32(byte)
    let place = slot(key)
    if edges.pointer[place] != .max { return UInt32(edges.pointer[place] & 0xff_ffff) }
    let new = UInt32(nodes)
    nodes += 1
    edges.pointer[place] = UInt64(key) << 32 | UInt64(new)
    if nodes * 2 > mask { grow() }
    return new
  }

  private mutating func grow() {
    let old = edges
    (edges, shift, mask) = Self.table(2 * old.count)
    for place in 0..<old.count where old.pointer[place] != .max {
      edges.pointer[slot(UInt32(old.pointer[place] >> 32))] = old.pointer[place]
    }
  }
}
