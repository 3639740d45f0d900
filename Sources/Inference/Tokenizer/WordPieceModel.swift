/// WordPiece: each word is parted into the longest tokens from its left; a word with a rest that has none is unknown.
struct WordPieceModel: Sendable {
  let trie: TokenTrie
  let unknown: Int32
  /// Scalars of a word that is still looked up; a longer one is unknown.
  let longestWord: Int

  private let words: WordTable
  /// Where the walk for a piece inside a word begins; nil when no token begins with the prefix.
  private let continuation: UInt32?

  init(tokens: [TokenTrie.Token], trie: TokenTrie, continuationPrefix: [UInt8], longestWord: Int, unknown: Int32) {
    self.trie = trie
    words = WordTable(tokens)
    continuation = trie.node(behind: continuationPrefix)
    self.longestWord = longestWord
    self.unknown = unknown
  }

  /// Appends the ids of a word that is not empty; `scalars` of them, of which at most `longestWord` stand in `word`.
  @inline(__always)
  func append(_ word: UnsafeBufferPointer<UInt8>, scalars: Int, to run: inout TokenRun) {
    if word.count <= WordTable.longest, scalars <= longestWord {
      let id = words.id(word)
      if id >= 0 { return run.append(id) }
    }
    appendPieces(word, scalars: scalars, to: &run)
  }

  @inline(never)
  private func appendPieces(_ word: UnsafeBufferPointer<UInt8>, scalars: Int, to run: inout TokenRun) {
    guard scalars <= longestWord else { return run.append(unknown) }
    let before = run.ids.count
    var place = 0
    var start: UInt32? = TokenTrie.root
    while place < word.count {
      guard let node = start, let piece = trie.longest(word, from: place, start: node) else {
        run.cut(to: before)
        return run.append(unknown)
      }
      run.append(piece.id)
      place = piece.end
      start = continuation
    }
  }
}

/// Parts normalized scalars into words as BERT's pre-tokenizer does, and gives each to the model: words end at white
/// space, and each punctuation mark is a word of its own. Nothing is allocated for a word.
struct WordPieceSink: ScalarSink {
  let model: WordPieceModel
  var run: TokenRun

  private let word: AlignedBuffer<UInt8>
  private let kinds = AlignedBuffer<UInt8>(count: 128)
  private var count = 0
  private var scalars = 0

  init(model: WordPieceModel, run: TokenRun) {
    self.model = model
    self.run = run
    word = AlignedBuffer(count: 4 * model.longestWord)
    for byte in 0..<128 {
      let flags = UnicodeData.shared.flags(UInt32(byte))
      kinds.pointer[byte] = flags.contains(.whitespace) ? 1 : flags.contains(.punctuation) ? 2 : 0
    }
  }

  var isFull: Bool { run.isFull }

  @inline(__always)
  mutating func ascii(_ byte: UInt8) {
    let kind = kinds.pointer[Int(byte)]
    if kind != 0 {
      endWord()
      if kind == 1 { return }
    }
    if scalars < model.longestWord {
      word.pointer[count] = byte
      count += 1
    }
    scalars += 1
    if kind == 2 { endWord() }
  }

  mutating func scalar(_ scalar: UInt32, _ flags: UnicodeData.Flags) {
    if flags.contains(.whitespace) { return endWord() }
    let alone = flags.contains(.punctuation)
    if alone { endWord() }
    if scalars < model.longestWord { count += UTF8Text.write(scalar, to: word.pointer + count) }
    scalars += 1
    if alone { endWord() }
  }

  @inline(__always)
  mutating func endWord() {
    guard scalars > 0 else { return }
    if !run.isFull { model.append(UnsafeBufferPointer(start: word.pointer, count: count), scalars: scalars, to: &run) }
    (count, scalars) = (0, 0)
  }
}
