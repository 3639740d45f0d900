/// Everything that turns text into token ids, read from a model folder: tokenizer.json, or for BERT the older vocab.txt
/// with tokenizer_config.json. A setting that would change the ids and is not computed here is refused.
struct TokenizerSettings: Sendable {
  static let file = "tokenizer.json"
  static let vocabularyFile = "vocab.txt"
  /// Tokens of one vocabulary, and merges of one model.
  static let tokenLimit = 1_000_000

  private(set) var normalizer = Normalizer(steps: [])
  private(set) var preTokenizer = PreTokenizer(steps: [])
  private(set) var model: TokenizerModel
  /// Taken from the raw text.
  private(set) var rawTokens: AddedTokens
  /// Taken from the normalized text.
  private(set) var normalizedTokens: AddedTokens
  private(set) var template = InputTemplate()
  private(set) var truncation = Truncation()
  /// No id is this high.
  private(set) var idLimit: Int
  /// How ids become text; nil where that was not asked for.
  private(set) var decoder: TokenDecoder?

  /// - Parameter decodes: whether ids shall become text, too. Throws then where tokenizer.json does not say how.
  init(files: ModelFiles, decodes: Bool = false) throws(ModelError) {
    let config = try files.settings(ModelConfig.tokenizerSettingsFile)
    if let settings = try files.settings(Self.file) {
      try self.init(settings, decodes: decodes)
    } else if let vocabulary = files[Self.vocabularyFile], !decodes {
      try self.init(vocabulary: vocabulary, settings: config)
    } else {
      throw ModelError(Self.file, "is missing, and so is \(Self.vocabularyFile)")
    }
    if let config, config.has("truncation_side") {
      switch try config.string("truncation_side") {
      case "left": truncation.side = .left
      case "right": truncation.side = .right
      default: throw config.failure("truncation_side", "must be left or right")
      }
    }
  }

  /// Of parts that are made already.
  init(
    normalizer: Normalizer, preTokenizer: PreTokenizer, model: TokenizerModel, rawTokens: AddedTokens,
    normalizedTokens: AddedTokens, template: InputTemplate, idLimit: Int, decoder: TokenDecoder
  ) {
    (self.normalizer, self.preTokenizer, self.model) = (normalizer, preTokenizer, model)
    (self.rawTokens, self.template, self.idLimit, self.decoder) = (rawTokens, template, idLimit, decoder)
    self.normalizedTokens = normalizedTokens
  }

  /// The file that the vocabulary came from, for errors.
  static func source(_ files: ModelFiles) -> String { files[file] == nil ? vocabularyFile : file }

  // MARK: tokenizer.json

  private init(_ settings: SettingsReader, decodes: Bool) throws(ModelError) {
    normalizer = Normalizer(steps: try NormalizerSettings.steps(settings))
    preTokenizer = PreTokenizer(steps: try PreTokenizerSettings.steps(settings))
    // What a later step drops may have been put there by an earlier one: then the text still begins where it did.
    guard !preTokenizer.asksForFirst || !normalizer.steps.dropFirst().contains(where: \.mayDropFirst) else {
      throw settings.failure("normalizer", "may drop a text's beginning behind another step, under `first`")
    }
    let vocabulary = try Vocabulary(try settings.settings("model"), preTokenizer: preTokenizer)
    model = vocabulary.model
    template = try TemplateSettings(vocabulary: vocabulary).template(settings)
    let added = settings.has("added_tokens") ? try Self.added(settings) : []
    (rawTokens, normalizedTokens) = try Self.parted(added, normalizer, settings.file)
    if settings.has("truncation") {
      let wanted = try settings.settings("truncation")
      guard let side = Truncation.Side(rawValue: try wanted.string("direction", default: "Right")) else {
        throw wanted.failure("direction", "must be Left or Right")
      }
      guard let strategy = Truncation.Strategy(rawValue: try wanted.string("strategy", default: "LongestFirst")) else {
        throw wanted.failure("strategy", "must be LongestFirst, OnlyFirst or OnlySecond")
      }
      truncation = Truncation(side: side, strategy: strategy)
    }
    idLimit = Self.idLimit(vocabulary, added, template)
    if decodes {
      decoder = try TokenDecoder(
        settings, vocabulary: vocabulary, added: added, normalizer: normalizer, count: idLimit)
    }
  }

  private static func idLimit(_ vocabulary: Vocabulary, _ added: [AddedTokens.Token], _ template: InputTemplate) -> Int
  {
    let highest = max(added.map(\.id).max() ?? 0, template.ids.max() ?? 0, vocabulary.highestID)
    return Int(highest) + 1
  }

  private static func added(_ settings: SettingsReader) throws(ModelError) -> [AddedTokens.Token] {
    let items = try settings.array("added_tokens")
    guard items.count <= AddedTokens.countLimit else {
      throw settings.failure("added_tokens", "has more than \(AddedTokens.countLimit) tokens")
    }
    var added: [AddedTokens.Token] = []
    for item in items {
      guard let object = item.object else { throw settings.failure("added_tokens", "must hold objects") }
      let reader = SettingsReader(file: settings.file, object: object, path: "added_tokens.")
      let content = try reader.string("content")
      let id = Int32(try reader.integer("id", in: 0...tokenLimit - 1))
      guard !content.isEmpty else { throw reader.failure("content", "is empty") }
      guard content.utf8.count <= AddedTokens.bytesLimit else {
        throw reader.failure("content", "is longer than \(AddedTokens.bytesLimit) bytes")
      }
      var token = AddedTokens.Token(utf8: Array(content.utf8), id: id)
      token.singleWord = try reader.bool("single_word", default: false)
      token.stripsLeft = try reader.bool("lstrip", default: false)
      token.stripsRight = try reader.bool("rstrip", default: false)
      token.normalized = try reader.bool("normalized", default: false)
      token.special = try reader.bool("special", default: false)
      // Every blank of a long row would be one, and each would look through the rest of the row.
      if token.stripsLeft || token.stripsRight, content.unicodeScalars.allSatisfy(\.properties.isWhitespace) {
        throw reader.failure("content", "is white space that strips white space")
      }
      added.append(token)
    }
    return added
  }

  private static func parted(
    _ tokens: [AddedTokens.Token], _ normalizer: Normalizer, _ file: String
  ) throws(ModelError) -> (raw: AddedTokens, normalized: AddedTokens) {
    let normalized = tokens.filter(\.normalized).map { token in
      var token = token
      token.utf8 = normalizer.normalized(token.utf8)
      return token
    }
    do {
      return (try AddedTokens(tokens.filter { !$0.normalized }), try AddedTokens(normalized))
    } catch {
      throw ModelError(file, error.text)
    }
  }

  // MARK: vocab.txt

  private init(vocabulary text: [UInt8], settings: SettingsReader?) throws(ModelError) {
    var options = BertNormalizerOptions()
    if let settings {
      options.lowercase = try settings.bool("do_lower_case", default: true)
      options.handleChineseChars = try settings.bool("tokenize_chinese_chars", default: true)
      options.stripAccents = try settings.bool("strip_accents", default: options.lowercase)
    }
    normalizer = Normalizer(steps: [.bert(options)])
    preTokenizer = PreTokenizer(steps: [.bert])
    let tokens = try Vocabulary.lines(text)
    var ids: [String: Int32] = [:]
    var added: [AddedTokens.Token] = []
    for (name, token) in [("unk", "[UNK]"), ("sep", "[SEP]"), ("pad", "[PAD]"), ("cls", "[CLS]"), ("mask", "[MASK]")] {
      let said = settings?.object["\(name)_token"]
      let content = said?.string ?? said?.object?["content"]?.string ?? token
      guard let id = tokens.first(where: { $0.utf8.elementsEqual(content.utf8) })?.id else {
        throw Vocabulary.lacks(content, Self.vocabularyFile)
      }
      guard !content.isEmpty, content.utf8.count <= AddedTokens.bytesLimit else {
        throw ModelError(
          ModelConfig.tokenizerSettingsFile, "`\(name)_token` has not 1 to \(AddedTokens.bytesLimit) bytes")
      }
      ids[name] = id
      added.append(AddedTokens.Token(utf8: Array(content.utf8), id: id))
    }
    let (first, last) = (ids["cls"] ?? 0, ids["sep"] ?? 0)
    let vocabulary = try Vocabulary(lines: tokens, unknown: ids["unk"] ?? 0)
    model = vocabulary.model
    template = .bert(first: first, last: last)
    (rawTokens, normalizedTokens) = try Self.parted(added, normalizer, Self.vocabularyFile)
    idLimit = Self.idLimit(vocabulary, added, template)
  }
}
