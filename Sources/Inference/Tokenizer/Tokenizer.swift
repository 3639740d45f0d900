/// A text as a model reads it.
package struct TokenizedInput: Sendable, Equatable {
  /// Token ids with the special ones of the model around them: [CLS] first and [SEP] last, say.
  package let ids: [Int32]
  /// True when the text was longer than the model reads, and an end of it was cut off.
  package let truncated: Bool
  /// The segment (token type) of each token; empty when all are 0.
  package let segments: [UInt8]

  package init(ids: [Int32], truncated: Bool, segments: [UInt8] = []) {
    self.ids = ids
    self.truncated = truncated
    self.segments = segments
  }
}

/// Turns texts into token ids, giving those that Hugging Face's `tokenizers` gives, one for one: WordPiece, byte-pair
/// encoding or Unigram, as the model's tokenizer.json says.
///
/// It needs the clear files of a model folder only, so a client can count tokens without the weights. It keeps nothing
/// of a text, and its time grows with the text's length alone, whatever the files say.
package struct Tokenizer: Sendable {
  /// Tokens of one input, special ones included.
  package let maximumTokens: Int
  /// No id is this high.
  package let idLimit: Int

  private let settings: TokenizerSettings
  /// BERT's normalizer, words and model, when the text needs no other step: all is done in one pass then.
  private let onePass: (model: WordPieceModel, options: BertNormalizerOptions)?

  /// Reads the tokenizer of a model. Throws `ModelError` when a file is missing, malformed or asks for something that
  /// is not supported, or when an id lies outside config.json's vocabulary.
  package init(files: ModelFiles) throws(ModelError) {
    try self.init(files: files, config: try ModelConfig(files: files))
  }

  init(files: ModelFiles, config: ModelConfig) throws(ModelError) {
    try self.init(files: files, maximumTokens: config.maximumTokens)
    guard idLimit <= config.vocabularySize else {
      throw ModelError(TokenizerSettings.source(files), "has ids beyond config.json's `vocab_size`")
    }
  }

  /// The same, for a model that is not looked at. `decodes`: whether ids shall become text, too.
  package init(files: ModelFiles, maximumTokens: Int, decodes: Bool = false) throws(ModelError) {
    self.init(try TokenizerSettings(files: files, decodes: decodes), maximumTokens: maximumTokens)
  }

  /// The tokenizer that a GGUF file carries. Throws `ModelError` with the key that is missing, malformed or not supported.
  package init(_ header: GGUFHeader, maximumTokens: Int) throws(ModelError) {
    self.init(try TokenizerSettings(header), maximumTokens: maximumTokens)
  }

  private init(_ settings: TokenizerSettings, maximumTokens: Int) {
    self.settings = settings
    self.maximumTokens = maximumTokens
    idLimit = settings.idLimit
    if case .wordPiece(let model) = settings.model, let options = settings.normalizer.bertAlone,
      settings.preTokenizer.steps == [.bert], settings.normalizedTokens.isEmpty
    {
      onePass = (model, options)
    } else {
      onePass = nil
    }
  }

  /// The ids of a text, cut to `maximumTokens`. Where the end is cut, it reads little further than it must.
  package func tokenize(_ text: String) -> TokenizedInput {
    let room = max(0, maximumTokens - settings.template.added(pair: false))
    let ids = ids(text, limit: settings.truncation.side == .right ? room : .max)
    return settings.template.input(
      [settings.truncation.cut(ids, to: room)], truncated: ids.count > room, limit: maximumTokens)
  }

  /// The ids of a text, all of them.
  ///
  /// - Parameter addsSpecial: whether the model's own tokens are put around it, such as the one that begins a text. A
  ///   text that a chat template made has them already.
  package func ids(of text: String, addsSpecial: Bool) -> [Int32] {
    let ids = ids(text, limit: .max)
    guard addsSpecial else { return ids }
    return settings.template.input([ids[...]], truncated: false, limit: .max).ids
  }

  /// The ids of a text in which a mark stands where the spelling of a control token was broken up: what it breaks is
  /// plain text, and the mark itself is none. Special tokens are not put around it.
  func ids(of text: String, without mark: Unicode.Scalar) -> [Int32] {
    var text = text
    return text.withUTF8 { ids($0, TokenRun(limit: .max), mark: Array(String(mark).utf8)) }
  }

  /// The tokens that do something other than stand for text: special ones, those that end a model's output, and others
  /// that look like markup. Files call `<|im_start|>`, `<tool_call>` or `<think>` special or not as they please: the word
  /// decides whether they are printed, not what the model was taught about them.
  func controlTokens(ends: [Int32]) throws(ModelError) -> ControlTokens {
    func chosen(_ tokens: AddedTokens) -> [AddedTokens.Token] {
      tokens.tokens.filter { $0.special || ends.contains($0.id) || $0.isMarkup }
    }
    do {
      return try ControlTokens(
        raw: chosen(settings.rawTokens), normalized: chosen(settings.normalizedTokens),
        normalizer: settings.normalizer)
    } catch {
      throw ModelError(TokenizerSettings.file, error.text)
    }
  }

  /// Whether a text becomes this token only where it spells it: merges of plain text never make it.
  func isAdded(_ id: Int32) -> Bool {
    settings.rawTokens.tokens.contains { $0.id == id } || settings.normalizedTokens.tokens.contains { $0.id == id }
  }

  /// How ids become text; nil where that was not asked for.
  package var decoder: TokenDecoder? { settings.decoder }

  /// The ids of two texts in one input, as cross-encoders read them, cut to `maximumTokens` together.
  package func tokenize(_ first: String, _ second: String) -> TokenizedInput {
    let room = max(0, maximumTokens - settings.template.added(pair: true))
    // How much of the one is kept depends on how long the other is: both are read whole.
    let (ids, others) = (ids(first, limit: .max), ids(second, limit: .max))
    let kept = settings.truncation.kept((ids.count, others.count), room: room)
    return settings.template.input(
      [settings.truncation.cut(ids, to: kept.0), settings.truncation.cut(others, to: kept.1)],
      truncated: ids.count + others.count > room, limit: maximumTokens)
  }

  /// The ids of a text without special tokens; when there are more than `limit`, some of those are missing.
  private func ids(_ text: String, limit: Int) -> [Int32] {
    var text = text
    return text.withUTF8 { text in
      let run = TokenRun(limit: limit)
      if let onePass { return ids(text, run, onePass.model, onePass.options) }
      return ids(text, run)
    }
  }

  private func ids(
    _ text: UnsafeBufferPointer<UInt8>, _ run: TokenRun, _ model: WordPieceModel, _ options: BertNormalizerOptions
  ) -> [Int32] {
    var reader = BertNormalizer(options: options, sink: WordPieceSink(model: model, run: run))
    settings.rawTokens.part(text) { between, _, token in
      if let token {
        reader.sink.run.append(token)
      } else {
        reader.read(between)
        reader.sink.endWord()
      }
      return !reader.sink.isFull
    }
    return reader.sink.run.ids
  }

  /// - Parameter mark: bytes that count for nothing once tokens were taken from the text; none for no such bytes.
  private func ids(_ text: UnsafeBufferPointer<UInt8>, _ run: TokenRun, mark: [UInt8] = []) -> [Int32] {
    var run = run
    // Taken out once: a copy for each word would cost more than the word.
    let (normalizer, preTokenizer, model) = (settings.normalizer, settings.preTokenizer, settings.model)
    let (rawTokens, normalizedTokens) = (settings.rawTokens, settings.normalizedTokens)
    rawTokens.part(text) { between, place, token in
      if let token {
        run.append(token)
        return !run.isFull
      }
      normalizer.withNormalized(between) { text, dropsFirst in
        normalizedTokens.part(text) { between, inner, token in
          if let token {
            run.append(token)
            return !run.isFull
          }
          ControlTokens.withoutMark(mark, between) { between in
            preTokenizer.part(between, isFirst: place == 0 && inner == 0 && !dropsFirst) { word in
              model.append(word, to: &run)
              return !run.isFull
            }
          }
          return !run.isFull
        }
      }
      return !run.isFull
    }
    return run.ids
  }
}

/// What makes tokens of a word.
enum TokenizerModel: Sendable {
  case wordPiece(WordPieceModel)
  case bytePair(BytePairModel)
  case unigram(UnigramModel)

  /// Appends the ids of a word that is not empty.
  @inline(__always)
  func append(_ word: UnsafeBufferPointer<UInt8>, to run: inout TokenRun) {
    switch self {
    case .wordPiece(let model):
      model.append(word, scalars: word.reduce(0) { $0 + ($1 & 0xc0 == 0x80 ? 0 : 1) }, to: &run)
    case .bytePair(let model): model.append(word, to: &run)
    case .unigram(let model): model.append(word, to: &run)
    }
  }
}
