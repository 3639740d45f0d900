/// Everything that turns text into BERT's token ids, read from a model folder: tokenizer.json, or the older vocab.txt
/// with tokenizer_config.json. A setting that would change the ids and is not computed here is refused.
struct TokenizerSettings {
  static let file = "tokenizer.json"
  static let vocabularyFile = "vocab.txt"
  /// Tokens of one vocabulary.
  static let tokenLimit = 1_000_000

  /// Bytes of a token that is taken from the raw text: at each place of a text so many may have to be compared.
  static let addedBytes = 256

  /// A token that is taken from the raw text before anything is normalized, `[CLS]` for one.
  struct Added {
    let utf8: [UInt8]
    let id: Int32
  }

  private(set) var normalizer = BertNormalizerOptions()
  private(set) var tokens: [WordPieceVocabulary.Token] = []
  private(set) var added: [Added] = []
  private(set) var continuationPrefix = Array("##".utf8)
  /// Scalars of a word that is still looked up; a longer one is unknown.
  private(set) var longestWord = 100
  private(set) var unknown: Int32 = 0
  private(set) var first: Int32 = 0
  private(set) var last: Int32 = 0

  init(files: ModelFiles) throws(ModelError) {
    if let settings = try files.settings(Self.file) {
      try read(settings)
    } else if let vocabulary = files[Self.vocabularyFile] {
      try read(vocabulary: vocabulary, settings: try files.settings(ModelConfig.tokenizerSettingsFile))
    } else {
      throw ModelError(Self.file, "is missing, and so is \(Self.vocabularyFile)")
    }
  }

  /// The file that the vocabulary came from, for errors.
  static func source(_ files: ModelFiles) -> String { files[file] == nil ? vocabularyFile : file }

  // MARK: tokenizer.json

  private mutating func read(_ settings: SettingsReader) throws(ModelError) {
    let model = try settings.settings("model")
    try model.require("type", "WordPiece")
    continuationPrefix = Array(try model.string("continuing_subword_prefix", default: "##").utf8)
    longestWord = try model.integer("max_input_chars_per_word", in: 1...1000, default: 100)
    for member in try model.settings("vocab").object.members {
      guard let id = member.value.integer, (0..<Self.tokenLimit).contains(id) else {
        throw model.failure("vocab", "gives a token an id that is not from 0 to \(Self.tokenLimit - 1)")
      }
      tokens.append((Array(member.name.utf8), Int32(id)))
    }
    unknown = try id(of: try model.string("unk_token"), model.file)
    try readNormalizer(try settings.settings("normalizer"))
    try settings.settings("pre_tokenizer").require("type", "BertPreTokenizer")
    try readTemplate(try settings.settings("post_processor"))
    if settings.has("added_tokens") { try readAdded(settings) }
  }

  private mutating func readNormalizer(_ settings: SettingsReader) throws(ModelError) {
    try settings.require("type", "BertNormalizer")
    normalizer.cleanText = try settings.bool("clean_text", default: true)
    normalizer.handleChineseChars = try settings.bool("handle_chinese_chars", default: true)
    normalizer.lowercase = try settings.bool("lowercase", default: true)
    normalizer.stripAccents = try settings.bool("strip_accents", default: normalizer.lowercase)
  }

  /// `[CLS] text [SEP]`, said in one of two ways.
  private mutating func readTemplate(_ settings: SettingsReader) throws(ModelError) {
    switch try settings.string("type") {
    case "BertProcessing":
      first = try pair(settings, "cls")
      last = try pair(settings, "sep")
    case "TemplateProcessing":
      let template = try settings.array("single")
      guard template.count == 3, let opening = special(template[0]), let closing = special(template[2]),
        template[1].object?["Sequence"]?.object?["id"]?.string == "A"
      else { throw settings.failure("single", "must be one special token, sequence A and one special token") }
      first = try id(of: opening, settings.file)
      last = try id(of: closing, settings.file)
    default: throw settings.failure("type", "must be TemplateProcessing or BertProcessing")
    }
  }

  private func special(_ item: JSONValue) -> String? { item.object?["SpecialToken"]?.object?["id"]?.string }

  private func pair(_ settings: SettingsReader, _ name: String) throws(ModelError) -> Int32 {
    let pair = try settings.array(name)
    guard pair.count == 2, let token = pair[0].string else {
      throw settings.failure(name, "must be a token and its id")
    }
    return try id(of: token, settings.file)
  }

  private mutating func readAdded(_ settings: SettingsReader) throws(ModelError) {
    let items = try settings.array("added_tokens")
    guard items.count <= 1000 else { throw settings.failure("added_tokens", "has more than 1000 tokens") }
    for item in items {
      guard let object = item.object else { throw settings.failure("added_tokens", "must hold objects") }
      let token = SettingsReader(file: settings.file, object: object, path: "added_tokens.")
      for name in ["single_word", "lstrip", "rstrip", "normalized"] where try token.bool(name, default: false) {
        throw token.failure(name, "is true, which is not supported")
      }
      let content = try token.string("content")
      let id = Int32(try token.integer("id", in: 0...Self.tokenLimit - 1))
      guard !content.isEmpty else { throw token.failure("content", "is empty") }
      guard content.utf8.count <= Self.addedBytes else {
        throw token.failure("content", "is longer than \(Self.addedBytes) bytes")
      }
      added.append(Added(utf8: Array(content.utf8), id: id))
    }
  }

  // MARK: vocab.txt

  private mutating func read(vocabulary: [UInt8], settings: SettingsReader?) throws(ModelError) {
    var lines = vocabulary.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    guard lines.count <= Self.tokenLimit else {
      throw ModelError(Self.vocabularyFile, "has more than \(Self.tokenLimit) lines")
    }
    for (number, line) in lines.enumerated() {
      let token = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
      guard String(validating: token, as: UTF8.self) != nil else {
        throw ModelError(Self.vocabularyFile, "line \(number + 1) is not UTF-8")
      }
      tokens.append((Array(token), Int32(number)))
    }
    if let settings {
      normalizer.lowercase = try settings.bool("do_lower_case", default: true)
      normalizer.handleChineseChars = try settings.bool("tokenize_chinese_chars", default: true)
      normalizer.stripAccents = try settings.bool("strip_accents", default: normalizer.lowercase)
    }
    var ids: [String: Int32] = [:]
    for (name, token) in [("unk", "[UNK]"), ("sep", "[SEP]"), ("pad", "[PAD]"), ("cls", "[CLS]"), ("mask", "[MASK]")] {
      let said = settings?.object["\(name)_token"]
      let content = said?.string ?? said?.object?["content"]?.string ?? token
      ids[name] = try id(of: content, Self.vocabularyFile)
      guard !content.isEmpty, content.utf8.count <= Self.addedBytes else {
        throw ModelError(ModelConfig.tokenizerSettingsFile, "`\(name)_token` has not 1 to \(Self.addedBytes) bytes")
      }
      added.append(Added(utf8: Array(content.utf8), id: ids[name] ?? 0))
    }
    (unknown, first, last) = (ids["unk"] ?? 0, ids["cls"] ?? 0, ids["sep"] ?? 0)
  }

  private func id(of token: String, _ file: String) throws(ModelError) -> Int32 {
    guard let found = tokens.first(where: { $0.utf8.elementsEqual(token.utf8) }) else {
      throw ModelError(file, "the vocabulary lacks the token `\(token.prefix(40))`")
    }
    return found.id
  }
}
