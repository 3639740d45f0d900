/// Pages of prompts that several sequences have in common, a system prompt for one: computed once, and read by all that
/// begin so. What a page holds depends on the tokens up to its end alone, so nobody can tell whose page it was.
///
/// A page that nobody reads any more is kept until its memory is needed.
struct SharedPages {
  /// A page's tokens behind those of another page; −1 for the first page of a text.
  struct Key: Hashable {
    let parent: Int
    let tokens: ArraySlice<Int32>
  }

  private struct Node {
    let key: Key
    let page: UnsafeMutableRawPointer
    var readers = 0
    var children = 0
    var lastUse = 0
  }

  static let root = -1

  private var nodes: [Int: Node] = [:]
  private var places: [Key: Int] = [:]
  private var count = 0
  private var time = 0
  /// Pages that somebody reads.
  private(set) var pinned = 0

  /// The page of these tokens, which the caller reads from now on.
  mutating func read(_ key: Key) -> (node: Int, page: UnsafeMutableRawPointer)? {
    guard let place = places[key], let page = nodes[place]?.page else { return nil }
    pin(place)
    return (place, page)
  }

  /// Takes a page over, which the caller goes on reading; nil when there is one of these tokens already.
  mutating func share(_ page: UnsafeMutableRawPointer, _ key: Key) -> Int? {
    guard places[key] == nil else { return nil }
    let place = count
    count += 1
    // A slice would keep the whole prompt.
    let key = Key(parent: key.parent, tokens: Array(key.tokens)[...])
    nodes[place] = Node(key: key, page: page)
    places[key] = place
    nodes[key.parent]?.children += 1
    pin(place)
    return place
  }

  private mutating func pin(_ place: Int) {
    if nodes[place]?.readers == 0 { pinned += 1 }
    nodes[place]?.readers += 1
  }

  /// The caller reads this page no more.
  mutating func release(_ place: Int) {
    time += 1
    nodes[place]?.readers -= 1
    nodes[place]?.lastUse = time
    if nodes[place]?.readers == 0 { pinned -= 1 }
  }

  /// Gives up the page that nobody has read for longest; nil when all are read.
  mutating func evict() -> UnsafeMutableRawPointer? {
    let unread = nodes.lazy.filter { $0.value.readers == 0 && $0.value.children == 0 }
    guard let (place, node) = unread.min(by: { $0.value.lastUse < $1.value.lastUse }) else { return nil }
    nodes[place] = nil
    places[node.key] = nil
    nodes[node.key.parent]?.children -= 1
    return node.page
  }

  /// Gives up all pages, which nobody reads.
  mutating func removeAll() -> [UnsafeMutableRawPointer] {
    defer { (nodes, places) = ([:], [:]) }
    return nodes.values.map(\.page)
  }
}
