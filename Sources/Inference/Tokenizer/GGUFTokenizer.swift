/// The tokenizer that a GGUF file carries in its metadata: byte-level BPE (`gpt2`) with one of llama.cpp's ways to part
/// words, or SentencePiece's BPE with byte fallback (`llama`).
extension TokenizerSettings {
  /// Throws `ModelError` with the file and the key that are missing, malformed or not supported.
  init(_ header: GGUFHeader) throws(ModelError) {
    let reader = try GGUFVocabulary(header)
    switch reader.model {
    case "gpt2": try self.init(byteLevel: reader)
    case "llama": try self.init(sentencePiece: reader)
    default:
      throw reader.failure("model", "is `\(reader.model.prefix(40))`; only `gpt2` and `llama` are supported")
    }
  }

  private init(byteLevel reader: GGUFVocabulary) throws(ModelError) {
    let (steps, isWhole, normalizer) = try Self.steps(reader)
    var named = reader.texts
    for place in named.indices { named[place].utf8 = ByteAlphabet.bytes(named[place].utf8) ?? named[place].utf8 }
    let trie = try reader.trie(named)
    var merges: [PairTable.Merge] = []
    let lines = try reader.strings("merges")
    for index in 0..<lines.count {
      let parts = lines[index].split(separator: 0x20, omittingEmptySubsequences: false)
        .compactMap { ByteAlphabet.bytes(Array($0)) }
      guard parts.count == 2, let left = trie.id(of: parts[0]), let right = trie.id(of: parts[1]),
        let joined = trie.id(of: parts[0] + parts[1])
      else { throw reader.failure("merges", "must hold pairs of tokens that are a token together; not so \(index)") }
      merges.append((left, right, joined))
    }
    let model = BytePairModel(
      tokens: named, trie: trie, merges: merges, byBytes: true, unknown: .dropped, takesWholeWords: isWhole)
    var table = [[UInt8]?](repeating: nil, count: reader.count)
    for token in named { table[Int(token.id)] = token.utf8 }
    for token in reader.added where !token.special { table[Int(token.id)] = token.utf8 }
    self.init(
      normalizer: normalizer, preTokenizer: PreTokenizer(steps: steps), model: .bytePair(model),
      rawTokens: try reader.addedTokens(reader.added), normalizedTokens: try reader.addedTokens([]),
      template: try reader.template(addsFirst: false), idLimit: reader.count,
      decoder: TokenDecoder(table, dropsFirstBlank: false))
  }

  /// How words are parted, by llama.cpp's name of it; whether a word that is a token stays whole.
  private static func steps(
    _ reader: GGUFVocabulary
  ) throws(ModelError) -> (steps: [PreTokenizer.Step], isWhole: Bool, Normalizer) {
    let bytes = PreTokenizer.Step.byteLevel(prefixesBlank: false, splits: false)
    let name = try reader.string("pre", default: "default")
    switch name {
    case "llama3", "llama-v3", "llama-bpe":
      return ([.split(.llama3(digits: 3)), bytes], true, Normalizer(steps: []))
    case "qwen2", "deepseek-r1-qwen":
      return ([.split(.llama3(digits: 1)), bytes], false, Normalizer(steps: [.composed]))
    case "smollm": return ([.digits(alone: true), .split(.gpt2), bytes], false, Normalizer(steps: []))
    case "gpt-2": return ([.split(.gpt2), bytes], false, Normalizer(steps: []))
    default:
      throw reader.failure(
        "pre", "is `\(name.prefix(40))`; only llama-bpe, qwen2, deepseek-r1-qwen, smollm and gpt-2 are supported")
    }
  }

  private init(sentencePiece reader: GGUFVocabulary) throws(ModelError) {
    let tokens = reader.texts
    // Each way to part a token is looked at.
    guard tokens.allSatisfy({ $0.utf8.count <= Self.longestPiece }) else {
      throw reader.failure("tokens", "has a token of more than \(Self.longestPiece) bytes")
    }
    let trie = try reader.trie(tokens)
    let scores = try reader.scores()
    var byteTokens = [Int32](repeating: -1, count: 256)
    for (id, utf8) in reader.bytes {
      guard let byte = ByteAlphabet.byte(named: utf8) else {
        throw reader.failure("tokens", "has a byte's token of another name than `<0x00>` to `<0xFF>`")
      }
      byteTokens[Int(byte)] = id
    }
    guard byteTokens.allSatisfy({ $0 >= 0 }) else { throw reader.failure("tokens", "has not a token for each byte") }
    let model = BytePairModel(
      tokens: tokens, trie: trie, merges: Self.merges(tokens, trie, scores), byBytes: false, unknown: .dropped,
      takesWholeWords: false, byteTokens: byteTokens)
    let mark = Array("▁".utf8)
    var steps: [Normalizer.Step] = []
    let addsBlank = try reader.bool("add_space_prefix", default: true)
    if addsBlank { steps.append(.prepend(mark)) }
    steps.append(.replace(pattern: [0x20], atLeast: 1, repeats: false, content: mark))
    var table = [[UInt8]?](repeating: nil, count: reader.count)
    for token in tokens { table[Int(token.id)] = Self.blanks(token.utf8, mark) }
    for (byte, id) in byteTokens.enumerated() { table[Int(id)] = [UInt8(byte)] }
    for token in reader.added where !token.special { table[Int(token.id)] = Self.blanks(token.utf8, mark) }
    self.init(
      normalizer: Normalizer(steps: steps), preTokenizer: PreTokenizer(steps: []), model: .bytePair(model),
      rawTokens: try reader.addedTokens(reader.added), normalizedTokens: try reader.addedTokens([]),
      template: try reader.template(addsFirst: true), idLimit: reader.count,
      decoder: TokenDecoder(table, dropsFirstBlank: addsBlank, byteTokens: byteTokens))
  }

  /// Bytes of a token of SentencePiece's.
  private static let longestPiece = 256

  private static func blanks(_ utf8: [UInt8], _ mark: [UInt8]) -> [UInt8] {
    String(decoding: utf8, as: UTF8.self).replacing("▁", with: " ").utf8.map { $0 }
  }

  /// SentencePiece joins the pair whose token has the highest score first: each way to part a token in two is a merge.
  private static func merges(
    _ tokens: [TokenTrie.Token], _ trie: TokenTrie, _ scores: [Double]
  ) -> [PairTable.Merge] {
    var found: [(merge: PairTable.Merge, score: Double, left: Int, right: Int)] = []
    for token in tokens {
      for cut in token.utf8.indices.dropFirst() where token.utf8[cut] & 0xc0 != 0x80 {
        guard let left = trie.id(of: token.utf8[..<cut]), let right = trie.id(of: token.utf8[cut...]) else { continue }
        found.append(((left, right, token.id), scores[Int(token.id)], cut, token.utf8.count - cut))
      }
    }
    // Of one score the longer left part comes first, as transformers orders them.
    found.sort { ($0.score, $0.left, $0.right) > ($1.score, $1.left, $1.right) }
    return found.map(\.merge)
  }
}

/// Reads `tokenizer.ggml.…`.
struct GGUFVocabulary {
  let header: GGUFHeader
  let model: String
  /// Ids are from 0 to below this.
  let count: Int
  /// Tokens that words are made of.
  let texts: [TokenTrie.Token]
  /// Tokens of single bytes.
  let bytes: [(id: Int32, utf8: [UInt8])]
  /// Tokens that are taken from a text as they stand.
  let added: [AddedTokens.Token]

  init(_ header: GGUFHeader) throws(ModelError) {
    self.header = header
    func failure(_ name: String, _ reason: String) -> ModelError {
      ModelError(header.file, "`tokenizer.ggml.\(name)` \(reason)")
    }
    guard let model = header.metadata["tokenizer.ggml.model"]?.string else { throw failure("model", "is missing") }
    self.model = model
    guard let tokens = header.metadata["tokenizer.ggml.tokens"]?.array?.strings else {
      throw failure("tokens", "is missing, or no array of texts")
    }
    guard (1...TokenizerSettings.tokenLimit).contains(tokens.count) else {
      throw failure("tokens", "must be 1 to \(TokenizerSettings.tokenLimit) texts")
    }
    count = tokens.count
    let types = header.metadata["tokenizer.ggml.token_type"]?.array?.integers ?? Array(repeating: 1, count: count)
    guard types.count == count else { throw failure("token_type", "must be an integer for each token") }
    var (texts, bytes, added): ([TokenTrie.Token], [(id: Int32, utf8: [UInt8])], [AddedTokens.Token]) = ([], [], [])
    for index in 0..<count {
      let utf8 = Array(tokens[index])
      guard tokens.text(index) != nil else { throw failure("tokens", "has a text that is not UTF-8: \(index)") }
      let id = Int32(index)
      switch types[index] {
      case 2, 3, 4:
        var token = AddedTokens.Token(utf8: utf8, id: id)
        token.special = types[index] != 4
        // One without a name can stand in no text.
        if !utf8.isEmpty { added.append(token) }
      case 5: break
      case 6: bytes.append((id, utf8))
      default: texts.append((utf8, id))
      }
    }
    (self.texts, self.bytes, self.added) = (texts, bytes, added)
  }

  func failure(_ name: String, _ reason: String) -> ModelError {
    ModelError(header.file, "`tokenizer.ggml.\(name)` \(reason)")
  }

  func string(_ name: String, default fallback: String) throws(ModelError) -> String {
    guard let value = header.metadata["tokenizer.ggml.\(name)"] else { return fallback }
    guard let string = value.string else { throw failure(name, "must be a text") }
    return string
  }

  func bool(_ name: String, default fallback: Bool) throws(ModelError) -> Bool {
    guard let value = header.metadata["tokenizer.ggml.\(name)"] else { return fallback }
    guard let bool = value.bool else { throw failure(name, "must be true or false") }
    return bool
  }

  func strings(_ name: String) throws(ModelError) -> GGUFStrings {
    guard let strings = header.metadata["tokenizer.ggml.\(name)"]?.array?.strings else {
      throw failure(name, "is missing, or no array of texts")
    }
    guard strings.count <= TokenizerSettings.tokenLimit else {
      throw failure(name, "has more than \(TokenizerSettings.tokenLimit) of them")
    }
    return strings
  }

  func scores() throws(ModelError) -> [Double] {
    guard let scores = header.metadata["tokenizer.ggml.scores"]?.array?.doubles, scores.count == count,
      scores.allSatisfy(\.isFinite)
    else { throw failure("scores", "must be a finite number for each token") }
    return scores
  }

  func trie(_ tokens: [TokenTrie.Token]) throws(ModelError) -> TokenTrie {
    do {
      return try TokenTrie(tokens: tokens)
    } catch {
      throw failure("tokens", "cannot be taken: \(error.text)")
    }
  }

  func addedTokens(_ added: [AddedTokens.Token]) throws(ModelError) -> AddedTokens {
    guard added.count <= AddedTokens.countLimit else {
      throw failure("token_type", "has more than \(AddedTokens.countLimit) tokens that are no plain text")
    }
    do {
      return try AddedTokens(added)
    } catch {
      throw failure("tokens", "cannot be taken: \(error.text)")
    }
  }

  /// The token that begins a text, and the one that ends it, where the file asks for them.
  func template(addsFirst: Bool) throws(ModelError) -> InputTemplate {
    var items: [InputTemplate.Item] = [.text(0, segment: 0)]
    if try bool("add_bos_token", default: addsFirst), let id = try id("bos") {
      items.insert(.token(id, segment: 0), at: 0)
    }
    if try bool("add_eos_token", default: false), let id = try id("eos") { items.append(.token(id, segment: 0)) }
    return InputTemplate(single: items)
  }

  private func id(_ name: String) throws(ModelError) -> Int32? {
    guard let value = header.metadata["tokenizer.ggml.\(name)_token_id"] else { return nil }
    guard let id = value.integer, (0..<count).contains(id) else {
      throw failure("\(name)_token_id", "must be an id of the vocabulary")
    }
    return Int32(id)
  }
}
