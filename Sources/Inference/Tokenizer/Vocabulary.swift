/// The `model` of tokenizer.json: tokens, and the rule that makes words into them.
struct Vocabulary {
  let model: TokenizerModel
  let highestID: Int32
  /// Tokens under the bytes that they have in a text, or, where they can stand in none, under their names.
  let tokens: [TokenTrie.Token]
  /// Whether tokens stand for bytes by the alphabet of `ByteLevel`.
  let byBytes: Bool
  private let file: String

  /// Reads tokenizer.json's `model`.
  init(_ settings: SettingsReader, preTokenizer: PreTokenizer) throws(ModelError) {
    file = settings.file
    byBytes = preTokenizer.steps.contains { if case .byteLevel = $0 { true } else { false } }
    // The first files of this kind have no `type`.
    let type = try settings.string("type", default: settings.has("merges") ? "BPE" : nil)
    if byBytes, type != "BPE" {
      throw settings.failure("type", "is `\(type.prefix(40))`; behind ByteLevel only `BPE` is supported")
    }
    switch type {
    case "WordPiece":
      tokens = try Self.named(settings)
      model = .wordPiece(try Self.wordPiece(settings, tokens))
    case "BPE":
      var named = try Self.named(settings)
      if byBytes {
        for place in named.indices { named[place].utf8 = ByteAlphabet.bytes(named[place].utf8) ?? named[place].utf8 }
      }
      tokens = named
      model = .bytePair(try Self.bytePair(settings, tokens, byBytes: byBytes))
    case "Unigram":
      let (tokens, scores) = try Self.scored(settings)
      self.tokens = tokens
      model = .unigram(try Self.unigram(settings, tokens, scores))
    default:
      throw settings.failure("type", "is `\(type.prefix(40))`; only WordPiece, BPE and Unigram are supported")
    }
    highestID = tokens.map(\.id).max() ?? 0
  }

  /// BERT's vocab.txt.
  init(lines tokens: [TokenTrie.Token], unknown: Int32) throws(ModelError) {
    (file, byBytes, self.tokens) = (TokenizerSettings.vocabularyFile, false, tokens)
    highestID = tokens.map(\.id).max() ?? 0
    let trie = try Self.trie(tokens, file)
    model = .wordPiece(
      WordPieceModel(
        tokens: tokens, trie: trie, continuationPrefix: Array("##".utf8), longestWord: 100, unknown: unknown))
  }

  /// One token a line, its id the line's number.
  static func lines(_ text: [UInt8]) throws(ModelError) -> [TokenTrie.Token] {
    let file = TokenizerSettings.vocabularyFile
    var lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    guard lines.count <= TokenizerSettings.tokenLimit else {
      throw ModelError(file, "has more than \(TokenizerSettings.tokenLimit) lines")
    }
    var tokens: [TokenTrie.Token] = []
    for (number, line) in lines.enumerated() {
      let token = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
      guard String(validating: token, as: UTF8.self) != nil else {
        throw ModelError(file, "line \(number + 1) is not UTF-8")
      }
      tokens.append((Array(token), Int32(number)))
    }
    return tokens
  }

  static func lacks(_ token: String, _ file: String) -> ModelError {
    ModelError(file, "the vocabulary lacks the token `\(token.prefix(40))`")
  }

  /// The id of a token by its name. Throws when there is none.
  func id(of name: String) throws(ModelError) -> Int32 {
    let bytes = byBytes ? ByteAlphabet.bytes(Array(name.utf8)) ?? Array(name.utf8) : Array(name.utf8)
    guard let found = tokens.first(where: { $0.utf8 == bytes }) else { throw Self.lacks(name, file) }
    return found.id
  }

  private static func trie(_ tokens: [TokenTrie.Token], _ file: String) throws(ModelError) -> TokenTrie {
    do {
      return try TokenTrie(tokens: tokens)
    } catch {
      throw ModelError(file, error.text)
    }
  }

  /// `vocab` as an object of ids.
  private static func named(_ settings: SettingsReader) throws(ModelError) -> [TokenTrie.Token] {
    var tokens: [TokenTrie.Token] = []
    for member in try settings.settings("vocab").object.members {
      guard let id = member.value.integer, (0..<TokenizerSettings.tokenLimit).contains(id) else {
        throw settings.failure("vocab", "gives a token an id that is not from 0 to \(TokenizerSettings.tokenLimit - 1)")
      }
      tokens.append((Array(member.name.utf8), Int32(id)))
    }
    return tokens
  }

  /// `vocab` as an array of tokens and their scores; ids count from 0.
  private static func scored(
    _ settings: SettingsReader
  ) throws(ModelError) -> (tokens: [TokenTrie.Token], scores: [Double]) {
    let items = try settings.array("vocab")
    guard items.count <= TokenizerSettings.tokenLimit else {
      throw settings.failure("vocab", "has more than \(TokenizerSettings.tokenLimit) tokens")
    }
    var (tokens, scores): ([TokenTrie.Token], [Double]) = ([], [])
    for item in items {
      guard let pair = item.array, pair.count == 2, let token = pair[0].string, let score = UnigramScore.read(pair[1]),
        abs(score) < 1e9
      else { throw settings.failure("vocab", "must hold pairs of a token and its score") }
      guard token.utf8.count <= UnigramModel.tokenLimit else {
        throw settings.failure("vocab", "has a token of more than \(UnigramModel.tokenLimit) bytes")
      }
      tokens.append((Array(token.utf8), Int32(tokens.count)))
      scores.append(score)
    }
    return (tokens, scores)
  }

  private static func wordPiece(
    _ settings: SettingsReader, _ tokens: [TokenTrie.Token]
  ) throws(ModelError) -> WordPieceModel {
    let name = try settings.string("unk_token")
    guard let unknown = tokens.first(where: { $0.utf8.elementsEqual(name.utf8) })?.id else {
      throw lacks(name, settings.file)
    }
    return WordPieceModel(
      tokens: tokens, trie: try trie(tokens, settings.file),
      continuationPrefix: Array(try settings.string("continuing_subword_prefix", default: "##").utf8),
      longestWord: try settings.integer("max_input_chars_per_word", in: 1...1000, default: 100), unknown: unknown)
  }

  private static func unigram(
    _ settings: SettingsReader, _ tokens: [TokenTrie.Token], _ scores: [Double]
  ) throws(ModelError) -> UnigramModel {
    if try settings.bool("byte_fallback", default: false) {
      throw settings.failure("byte_fallback", "is true, which is not supported")
    }
    guard !tokens.isEmpty else { throw settings.failure("vocab", "is empty") }
    let unknown = try settings.integer("unk_id", in: 0...tokens.count - 1)
    return UnigramModel(trie: try trie(tokens, settings.file), scores: scores, unknown: Int32(unknown))
  }

  private static func bytePair(
    _ settings: SettingsReader, _ tokens: [TokenTrie.Token], byBytes: Bool
  ) throws(ModelError) -> BytePairModel {
    for name in ["continuing_subword_prefix", "end_of_word_suffix"]
    where try !settings.string(name, default: "").isEmpty {
      throw settings.failure(name, "is not empty, which is not supported")
    }
    let byteTokens = try settings.bool("byte_fallback", default: false) ? try Self.byteTokens(settings, tokens) : []
    if try settings.number("dropout", in: 0...1, default: 0) != 0 {
      throw settings.failure("dropout", "is not 0: ids would be left to chance")
    }
    var unknown = BytePairModel.Unknown.dropped
    if settings.has("unk_token") {
      let name = try settings.string("unk_token")
      let bytes = byBytes ? ByteAlphabet.bytes(Array(name.utf8)) ?? Array(name.utf8) : Array(name.utf8)
      guard let id = tokens.first(where: { $0.utf8 == bytes })?.id else { throw lacks(name, settings.file) }
      unknown = .token(id, fused: try settings.bool("fuse_unk", default: false))
    }
    let trie = try trie(tokens, settings.file)
    return BytePairModel(
      tokens: tokens, trie: trie, merges: try merges(settings, trie, byBytes: byBytes), byBytes: byBytes,
      unknown: unknown, takesWholeWords: try settings.bool("ignore_merges", default: false), byteTokens: byteTokens)
  }

  /// The tokens `<0x00>` to `<0xFF>`; none when the vocabulary has none of them.
  private static func byteTokens(_ settings: SettingsReader, _ tokens: [TokenTrie.Token]) throws(ModelError) -> [Int32]
  {
    var found = [Int32](repeating: -1, count: 256)
    for token in tokens {
      if let byte = ByteAlphabet.byte(named: token.utf8) { found[Int(byte)] = token.id }
    }
    if found.allSatisfy({ $0 < 0 }) { return [] }
    guard found.allSatisfy({ $0 >= 0 }) else {
      throw settings.failure("byte_fallback", "is true, and the vocabulary has some bytes and not all")
    }
    return found
  }

  /// Merges as `"a b"` or as `["a", "b"]`.
  private static func merges(
    _ settings: SettingsReader, _ trie: TokenTrie, byBytes: Bool
  ) throws(ModelError) -> [PairTable.Merge] {
    let items = try settings.array("merges")
    guard items.count <= TokenizerSettings.tokenLimit else {
      throw settings.failure("merges", "has more than \(TokenizerSettings.tokenLimit) of them")
    }
    var merges: [PairTable.Merge] = []
    merges.reserveCapacity(items.count)
    for (number, item) in items.enumerated() {
      var parts: [[UInt8]] = []
      if let text = item.string {
        if text.utf8.starts(with: "#version".utf8) { continue }
        parts = text.utf8.split(separator: 0x20, omittingEmptySubsequences: false).map(Array.init)
      } else if let pair = item.array {
        for part in pair { if let text = part.string { parts.append(Array(text.utf8)) } }
      }
      if byBytes { parts = parts.compactMap(ByteAlphabet.bytes) }
      guard parts.count == 2, item.array?.count ?? 2 == 2, let left = trie.id(of: parts[0]),
        let right = trie.id(of: parts[1]), let joined = trie.id(of: parts[0] + parts[1])
      else { throw settings.failure("merges", "must hold pairs of tokens that are a token together; not so \(number)") }
      merges.append((left, right, joined))
    }
    return merges
  }
}

/// The characters that stand for bytes in the tokens of byte-level models: printable Latin-1 for itself, the others
/// from U+0100 on.
enum ByteAlphabet {
  private static let bytes: [UInt32: UInt8] = {
    var map: [UInt32: UInt8] = [:]
    var next: UInt32 = 0x100
    for byte in UInt8.min...UInt8.max {
      if (33...126).contains(byte) || (161...172).contains(byte) || byte >= 174 {
        map[UInt32(byte)] = byte
      } else {
        map[next] = byte
        next += 1
      }
    }
    return map
  }()

  /// The byte that a token such as `<0x0A>` stands for where characters fall back to bytes.
  static func byte(named utf8: [UInt8]) -> UInt8? {
    guard utf8.count == 6, utf8.starts(with: "<0x".utf8), utf8[5] == UInt8(ascii: ">") else { return nil }
    let digits = utf8[3..<5]
    guard digits.allSatisfy({ (48...57).contains($0) || (65...70).contains($0) }) else { return nil }
    return UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
  }

  /// The bytes that a token stands for; nil when it has other characters, so that it can stand in no text.
  static func bytes(_ utf8: [UInt8]) -> [UInt8]? {
    var out: [UInt8] = []
    out.reserveCapacity(utf8.count)
    let known = utf8.withUnsafeBufferPointer { text in
      var place = 0
      while place < text.count {
        let scalar = UTF8Text.scalar(text, &place)
        if scalar < 0x7f, scalar > 0x20 {
          out.append(UInt8(scalar))
        } else if let byte = bytes[scalar] {
          out.append(byte)
        } else {
          return false
        }
      }
      return true
    }
    return known ? out : nil
  }
}
