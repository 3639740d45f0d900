/// Byte-pair encoding: a word's symbols are joined pair by pair, the pair of the lowest rank first, of equal ones the
/// leftmost.
struct BytePairModel: Sendable {
  /// What is done with a symbol that the vocabulary lacks.
  enum Unknown: Sendable, Equatable {
    case dropped
    case token(Int32, fused: Bool)
  }

  /// Symbols of a word up to which all pairs are looked through for each join; longer words keep them in a heap.
  private static let shortWord = 24

  let trie: TokenTrie
  private let unknown: Unknown
  /// The tokens of the 256 bytes, which stand for characters that the vocabulary lacks; empty where there are none.
  private let byteTokens: [Int32]
  /// Symbols are bytes; otherwise scalars.
  private let byBytes: Bool
  private let pairs: PairTable
  /// Words that become one token, found with one look.
  private var words = WordTable([])
  /// The token of each byte, −1 where there is none.
  private var symbols = [Int32](repeating: -1, count: 256)

  /// `merges`: ids of left, right and joined token, in the order of rank. `takesWholeWords`: a word that is a token is
  /// never parted (`ignore_merges`). `byteTokens`: of all 256 bytes, or none.
  init(
    tokens: [TokenTrie.Token], trie: TokenTrie, merges: [PairTable.Merge], byBytes: Bool, unknown: Unknown,
    takesWholeWords: Bool, byteTokens: [Int32] = []
  ) {
    self.trie = trie
    self.unknown = unknown
    self.byteTokens = byteTokens
    self.byBytes = byBytes
    pairs = PairTable(merges)
    for byte in 0..<256 { symbols[byte] = trie.id(of: [UInt8(byte)]) ?? -1 }
    let short = tokens.filter { $0.utf8.count <= WordTable.longest }
    if takesWholeWords {
      // Longer ones are found by the trie.
      words = WordTable(short)
      whole = trie
    } else {
      var run = TokenRun(limit: .max)
      words = WordTable(
        short.filter { token in
          run.cut(to: 0)
          token.utf8.withUnsafeBufferPointer { join($0, &run) }
          return run.ids == [token.id]
        })
    }
  }

  /// Set where a word that is a token is never parted.
  private var whole: TokenTrie?

  /// Appends the ids of a word that is not empty.
  @inline(__always)
  func append(_ word: UnsafeBufferPointer<UInt8>, to run: inout TokenRun) {
    if word.count <= WordTable.longest {
      let id = words.id(word)
      if id >= 0 { return run.append(id) }
    }
    if let id = whole?.id(of: word) { return run.append(id) }
    join(word, &run)
  }

  private func join(_ word: UnsafeBufferPointer<UInt8>, _ run: inout TokenRun) {
    fill(word, &run)
    if run.first.count <= Self.shortWord { joinShort(&run) } else { joinLong(&run) }
  }

  /// The word's first symbols, into `run.first`.
  private func fill(_ word: UnsafeBufferPointer<UInt8>, _ run: inout TokenRun) {
    run.first.removeAll(keepingCapacity: true)
    var waits = false
    var place = 0
    while place < word.count {
      let end = byBytes ? place + 1 : min(place + UTF8Text.length(word[place]), word.count)
      let id = end == place + 1 ? symbols[Int(word[place])] : trie.id(of: word[place..<end]) ?? -1
      let start = place
      place = end
      if id >= 0 {
        run.first.append(id)
        waits = false
      } else if !byteTokens.isEmpty {
        for index in start..<end { run.first.append(byteTokens[Int(word[index])]) }
      } else if case .token(let unknown, let fused) = unknown {
        if !waits || !fused { run.first.append(unknown) }
        waits = true
      }
    }
  }

  private func joinShort(_ run: inout TokenRun) {
    let start = run.first.count
    guard start > 0 else { return }
    withUnsafeTemporaryAllocation(of: PairTable.Found.self, capacity: Self.shortWord) { found in
      run.first.withUnsafeMutableBufferPointer { symbols in
        var count = start
        for index in 0..<count - 1 { found.initializeElement(at: index, to: pairs[symbols[index], symbols[index + 1]]) }
        while count > 1 {
          var (best, rank) = (0, UInt32.max)
          for index in 0..<count - 1 where found[index].rank < rank { (best, rank) = (index, found[index].rank) }
          guard rank != .max else { break }
          symbols[best] = found[best].id
          count -= 1
          for index in best + 1..<max(count, best + 1) { symbols[index] = symbols[index + 1] }
          for index in best..<max(count - 1, best) { found[index] = found[index + 1] }
          if best > 0 { found[best - 1] = pairs[symbols[best - 1], symbols[best]] }
          if best < count - 1 { found[best] = pairs[symbols[best], symbols[best + 1]] }
        }
        run.joined = count
      }
    }
    for index in 0..<run.joined { run.append(run.first[index]) }
  }

  /// `first` holds symbols, −1 where one was joined to its left; `second` and `third` where the next and the last stand.
  private func joinLong(_ run: inout TokenRun) {
    let count = run.first.count
    run.second = (0..<count).map { Int32($0) + 1 }
    run.third = (0..<count).map { Int32($0) - 1 }
    run.heap.removeAll(keepingCapacity: true)
    for index in 0..<count - 1 { push(index, index + 1, &run) }
    MinimumHeap.order(&run.heap)
    while let top = MinimumHeap.pop(&run.heap) {
      let left = Int(top & 0xffff_ffff)
      guard run.first[left] >= 0 else { continue }
      let right = Int(run.second[left])
      guard right < count else { continue }
      // What was pushed may be gone since.
      let found = pairs[run.first[left], run.first[right]]
      guard UInt64(found.rank) == top >> 32 else { continue }
      run.first[left] = found.id
      run.first[right] = -1
      let next = Int(run.second[right])
      run.second[left] = Int32(next)
      if next < count {
        run.third[next] = Int32(left)
        push(left, next, &run, ordered: true)
      }
      let last = Int(run.third[left])
      if last >= 0 { push(last, left, &run, ordered: true) }
    }
    var place = 0
    while place < count {
      run.append(run.first[place])
      place = Int(run.second[place])
    }
  }

  private func push(_ left: Int, _ right: Int, _ run: inout TokenRun, ordered: Bool = false) {
    let found = pairs[run.first[left], run.first[right]]
    guard found.rank != .max else { return }
    let entry = UInt64(found.rank) << 32 | UInt64(left)
    if ordered { MinimumHeap.push(entry, &run.heap) } else { run.heap.append(entry) }
  }
}

/// Which two tokens become which one, and how early: one open-addressed table.
struct PairTable: Sendable {
  typealias Merge = (left: Int32, right: Int32, joined: Int32)

  /// `rank` is `.max` where two tokens are not joined.
  struct Found {
    var rank: UInt32
    var id: Int32
  }

  private struct Entry {
    var pair: UInt64
    var found: Found
  }

  private let entries: AlignedBuffer<Entry>
  private let mask: Int
  private let shift: UInt64
  /// Drawn anew for each table, so that no file can make its pairs meet.
  private let multiplier = UInt64.random(in: .min ... .max) | 1

  /// Of two merges of the same pair the later counts, as in the originals.
  init(_ merges: [Merge]) {
    var room = 64
    while room < 2 * merges.count { room *= 2 }
    entries = AlignedBuffer(count: room)
    mask = room - 1
    shift = UInt64(64 - room.trailingZeroBitCount)
    let empty = Entry(pair: .max, found: Found(rank: .max, id: -1))
    for place in 0..<room { entries.pointer[place] = empty }
    for (rank, merge) in merges.enumerated() {
      let pair = Self.pair(merge.left, merge.right)
      entries.pointer[place(of: pair)] = Entry(pair: pair, found: Found(rank: UInt32(rank), id: merge.joined))
    }
  }

  @inline(__always)
  subscript(left: Int32, right: Int32) -> Found {
    entries.pointer[place(of: Self.pair(left, right))].found
  }

  @inline(__always)
  private static func pair(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  @inline(__always)
  private func place(of pair: UInt64) -> Int {
    let mixed = (pair ^ pair >> 29) &* multiplier
    var place = Int(truncatingIfNeeded: mixed >> shift)
    while true {
      let entry = entries.pointer[place].pair
      if entry == pair || entry == .max { return place }
      place = (place + 1) & mask
    }
  }
}

/// A binary heap in an array, the least element first.
enum MinimumHeap {
  static func order(_ heap: inout [UInt64]) {
    for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(index, &heap) }
  }

  static func push(_ element: UInt64, _ heap: inout [UInt64]) {
    heap.append(element)
    var index = heap.count - 1
    while index > 0, heap[(index - 1) / 2] > heap[index] {
      heap.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  static func pop(_ heap: inout [UInt64]) -> UInt64? {
    guard let last = heap.popLast() else { return nil }
    guard let top = heap.first else { return last }
    heap[0] = last
    sink(0, &heap)
    return top
  }

  private static func sink(_ start: Int, _ heap: inout [UInt64]) {
    var index = start
    while 2 * index + 1 < heap.count {
      var child = 2 * index + 1
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      guard heap[child] < heap[index] else { return }
      heap.swapAt(index, child)
      index = child
    }
  }
}
