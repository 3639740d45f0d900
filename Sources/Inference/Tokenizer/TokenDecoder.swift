/// Turns ids into text, as Hugging Face's `tokenizers` does without special tokens: tokenizer.json's `decoder`.
package struct TokenDecoder: Sendable {
  /// What each token adds to a text. Special tokens add nothing.
  package let bytes: TokenBytes
  /// Whether a text loses a blank that it begins with: tokenizing put one there.
  package let dropsFirstBlank: Bool
  /// Tokens of single bytes, `<0x0A>` for one, of which those that stand together are read as UTF-8.
  private let byteTokens: TokenMask?

  /// What a `decoder` consists of, as far as it is computed here.
  private struct Steps {
    var byLevel = false
    var fallsBack = false
    var dropsFirstBlank = false
    /// Texts that become others within each token, in their order.
    var replaced: [(pattern: [UInt8], content: [UInt8])] = []
  }

  init(
    _ settings: SettingsReader, vocabulary: Vocabulary, added: [AddedTokens.Token], normalizer: Normalizer, count: Int
  ) throws(ModelError) {
    guard settings.has("decoder") else { throw settings.failure("decoder", "is missing, which texts are made by") }
    var steps = Steps()
    try Self.read(try settings.settings("decoder"), depth: 0, &steps)
    guard steps.byLevel == vocabulary.byBytes else {
      throw settings.failure("decoder", "and `pre_tokenizer` must both be ByteLevel, or neither")
    }
    // One that is looked for in the normalized text is put back as it stood there.
    let added = added.map { token in
      var token = token
      if token.normalized { token.utf8 = normalizer.normalized(token.utf8) }
      return token
    }
    self.init(steps, tokens: vocabulary.tokens, added: added, count: count)
  }

  private init(_ steps: Steps, tokens: [TokenTrie.Token], added: [AddedTokens.Token], count: Int) {
    var table = [[UInt8]?](repeating: nil, count: count)
    var byteTokens = TokenMask(count: count)
    for token in tokens {
      if steps.fallsBack, let byte = ByteAlphabet.byte(named: token.utf8) {
        table[Int(token.id)] = [byte]
        byteTokens.insert(token.id)
      } else {
        table[Int(token.id)] = Self.replaced(token.utf8, steps)
      }
    }
    for token in added {
      let utf8 = steps.byLevel ? ByteAlphabet.bytes(token.utf8) ?? token.utf8 : Self.replaced(token.utf8, steps)
      table[Int(token.id)] = token.special ? nil : utf8
      byteTokens.remove(token.id)
    }
    bytes = TokenBytes(table)
    dropsFirstBlank = steps.dropsFirstBlank
    self.byteTokens = byteTokens.isEmpty ? nil : byteTokens
  }

  /// - Parameters:
  ///   - table: what each token adds to a text; nil for one that is no text.
  ///   - byteTokens: the tokens of single bytes, if there are such.
  init(_ table: [[UInt8]?], dropsFirstBlank: Bool, byteTokens: [Int32] = []) {
    bytes = TokenBytes(table)
    self.dropsFirstBlank = dropsFirstBlank
    var mask = TokenMask(count: table.count)
    for id in byteTokens { mask.insert(id) }
    self.byteTokens = byteTokens.isEmpty ? nil : mask
  }

  private static func replaced(_ utf8: [UInt8], _ steps: Steps) -> [UInt8] {
    steps.replaced.reduce(utf8) { text, step in
      var (out, rest) = ([UInt8](), text[...])
      while !rest.isEmpty {
        if rest.starts(with: step.pattern) {
          out += step.content
          rest = rest.dropFirst(step.pattern.count)
        } else {
          out.append(rest.removeFirst())
        }
      }
      return out
    }
  }

  /// The text of these ids. Bytes that are no UTF-8 become U+FFFD.
  package func text(of ids: [Int32]) -> String {
    var out: [UInt8] = []
    var pending: [UInt8] = []
    func flush() {
      // As in the original: of bytes that are not all UTF-8 together none is taken for text.
      if String(validating: pending, as: UTF8.self) != nil {
        out += pending
      } else {
        for _ in pending { out += [0xef, 0xbf, 0xbd] }
      }
      pending = []
    }
    for id in ids {
      if byteTokens?.contains(id) == true {
        pending += bytes[id]
      } else if !bytes.isControl(id) {
        flush()
        out += bytes[id]
      }
    }
    flush()
    if dropsFirstBlank, out.first == 0x20 { out.removeFirst() }
    return String(decoding: out, as: UTF8.self)
  }

  // MARK: tokenizer.json

  private static func read(_ settings: SettingsReader, depth: Int, _ steps: inout Steps) throws(ModelError) {
    let type = try settings.string("type")
    switch type {
    case "Sequence":
      guard depth < 4 else { throw settings.failure("decoders", "are nested too deep") }
      for inner in try settings.objects("decoders").prefix(16) { try read(inner, depth: depth + 1, &steps) }
    case "ByteLevel": steps.byLevel = true
    case "ByteFallback": steps.fallsBack = true
    // Joins tokens, which is what happens here in any case.
    case "Fuse": break
    case "Replace":
      let pattern = Array(try settings.settings("pattern").string("String").utf8)
      let content = Array(try settings.string("content").utf8)
      guard !pattern.isEmpty, pattern.count <= 64, content.count <= 64, steps.replaced.count < 16 else {
        throw settings.failure("pattern", "must have 1 to 64 bytes, and its content no more")
      }
      steps.replaced.append((pattern, content))
    case "Metaspace":
      steps.replaced.append((Array(try settings.string("replacement", default: "▁").utf8), [0x20]))
      let never = try settings.string("prepend_scheme", default: "always") == "never"
      let prefixes = try settings.bool("add_prefix_space", default: true)
      steps.dropsFirstBlank = prefixes && !never
    case "Strip":
      try settings.require("content", " ")
      _ = try settings.integer("stop", in: 0...0)
      if try settings.integer("start", in: 0...1) == 1 { steps.dropsFirstBlank = true }
    default:
      throw settings.failure(
        "type",
        "is `\(type.prefix(40))`; only ByteLevel, ByteFallback, Fuse, Replace, Metaspace, Strip and Sequence are "
          + "supported")
    }
  }
}
