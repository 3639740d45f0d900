/// A text as a model reads it.
package struct TokenizedInput: Sendable, Equatable {
  /// Token ids, [CLS] first and [SEP] last.
  package let ids: [Int32]
  /// True when the text was longer than the model reads, and its end was cut off.
  package let truncated: Bool
  /// The segment (token type) of each token; empty when all are 0.
  package let segments: [UInt8]

  package init(ids: [Int32], truncated: Bool, segments: [UInt8] = []) {
    self.ids = ids
    self.truncated = truncated
    self.segments = segments
  }
}

/// WordPiece with BERT's normalizer, giving the ids that Hugging Face's `tokenizers` gives, one for one.
///
/// It needs the clear files of a model folder only, so a client can count tokens without the weights.
package struct WordPieceTokenizer: Sendable {
  /// Tokens of one input, [CLS] and [SEP] included.
  package let maximumTokens: Int
  /// No id is this high.
  package let idLimit: Int

  /// Tokens of a text that are kept, where it is not the model that bounds them.
  private var room: Int?
  private let vocabulary: WordPieceVocabulary
  /// Tokens that are taken from the raw text.
  private let added: WordPieceVocabulary
  private let normalizer: BertNormalizerOptions
  private let longestWord: Int
  private let (unknown, first, last): (Int32, Int32, Int32)

  /// Reads the tokenizer of a model. Throws `ModelError` when a file is missing, malformed or asks for something that
  /// is not supported, or when an id lies outside config.json's vocabulary.
  package init(files: ModelFiles) throws(ModelError) {
    try self.init(files: files, config: try ModelConfig(files: files))
  }

  init(files: ModelFiles, config: ModelConfig) throws(ModelError) {
    let settings = try TokenizerSettings(files: files)
    do {
      vocabulary = try WordPieceVocabulary(tokens: settings.tokens, continuationPrefix: settings.continuationPrefix)
      // `vocab.txt` may give one token two roles.
      var seen: Set<[UInt8]> = []
      added = try WordPieceVocabulary(
        tokens: settings.added.filter { seen.insert($0.utf8).inserted }.map { ($0.utf8, $0.id) }, continuationPrefix: []
      )
    } catch {
      throw ModelError(TokenizerSettings.source(files), error.text)
    }
    let ids = settings.tokens.map(\.id) + settings.added.map(\.id)
    idLimit = Int(ids.max() ?? 0) + 1
    guard idLimit <= config.vocabularySize else {
      throw ModelError(TokenizerSettings.source(files), "has ids beyond config.json's `vocab_size`")
    }
    maximumTokens = config.maximumTokens
    (normalizer, longestWord) = (settings.normalizer, settings.longestWord)
    (unknown, first, last) = (settings.unknown, settings.first, settings.last)
  }

  /// The ids of a text, cut to `maximumTokens`. Reads no further than it must.
  package func tokenize(_ text: String) -> TokenizedInput {
    let room = room ?? maximumTokens - 2
    let sink = PieceSink(vocabulary: vocabulary, unknown: unknown, longestWord: longestWord, room: room)
    var words = BertNormalizer(options: normalizer, longestWord: longestWord, sink: sink)
    var text = text
    text.withUTF8 { read($0, into: &words) }
    let ids = words.sink.ids
    return TokenizedInput(ids: [first] + ids.prefix(room) + [last], truncated: ids.count > room)
  }

  /// The ids of two texts in one input, as cross-encoders read them, cut to `maximumTokens` together: the longer first.
  package func tokenize(_ first: String, _ second: String) -> TokenizedInput {
    let room = max(0, maximumTokens - 3)
    var whole = self
    whole.room = .max - 1
    let (a, b) = (whole.tokenize(first).ids.dropFirst().dropLast(), whole.tokenize(second).ids.dropFirst().dropLast())
    let shorter = min(a.count, b.count)
    let longer = min(max(a.count, b.count), shorter > room ? shorter : max(shorter, room - shorter))
    let halves = shorter + longer > room ? (room / 2, room / 2 + room % 2) : (shorter, longer)
    let kept = a.count > b.count ? (halves.1, halves.0) : halves
    let head = [self.first] + a.prefix(kept.0) + [last]
    let tail = b.prefix(kept.1) + [last]
    return TokenizedInput(
      ids: head + tail, truncated: a.count + b.count > room,
      segments: head.map { _ in 0 } + tail.map { _ in 1 })
  }

  /// Parts the raw text at added tokens, leftmost and longest first, and normalizes what lies between.
  private func read(_ text: UnsafeBufferPointer<UInt8>, into words: inout BertNormalizer<PieceSink>) {
    var piece = 0
    var place = 0
    while place < text.count, !words.sink.isFull {
      if let token = added.longest(beginning: text[place...]) {
        words.read(UTF8Scalars(bytes: UnsafeBufferPointer(rebasing: text[piece..<place])))
        words.sink.token(token.id)
        place += token.count
        piece = place
      } else {
        place += 1
      }
    }
    words.read(UTF8Scalars(bytes: UnsafeBufferPointer(rebasing: text[piece..<text.count])))
  }
}

/// Turns words into pieces until the input is full.
private struct PieceSink: WordSink {
  let vocabulary: WordPieceVocabulary
  let unknown: Int32
  let longestWord: Int
  let room: Int
  private(set) var ids: [Int32] = []

  init(vocabulary: WordPieceVocabulary, unknown: Int32, longestWord: Int, room: Int) {
    (self.vocabulary, self.unknown, self.longestWord, self.room) = (vocabulary, unknown, longestWord, room)
  }

  /// One token more than fits shows that the text is cut.
  var isFull: Bool { ids.count > room }

  mutating func token(_ id: Int32) { ids.append(id) }

  mutating func word(_ utf8: [UInt8], scalars: Int) {
    if scalars > longestWord || !vocabulary.appendPieces(of: utf8, to: &ids) { ids.append(unknown) }
  }
}

/// The scalars of bytes that are known to be UTF-8, as those of a `String` are.
private struct UTF8Scalars: Sequence {
  let bytes: UnsafeBufferPointer<UInt8>

  struct Iterator: IteratorProtocol {
    var bytes: UnsafeBufferPointer<UInt8>.Iterator
    var decoder = UTF8()

    mutating func next() -> Unicode.Scalar? {
      if case .scalarValue(let scalar) = decoder.decode(&bytes) { scalar } else { nil }
    }
  }

  func makeIterator() -> Iterator { Iterator(bytes: bytes.makeIterator()) }
}
