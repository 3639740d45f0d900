/// Reads tokenizer.json's `post_processor`: the special tokens around one text and around two.
struct TemplateSettings {
  /// Items of a template.
  private static let itemsLimit = 64

  let vocabulary: Vocabulary

  /// Throws when the processor is of another kind, or names a token that the vocabulary lacks.
  func template(_ settings: SettingsReader) throws(ModelError) -> InputTemplate {
    guard settings.has("post_processor") else { return InputTemplate() }
    return try template(try settings.settings("post_processor"), depth: 0)
  }

  private func template(_ settings: SettingsReader, depth: Int) throws(ModelError) -> InputTemplate {
    switch try settings.string("type") {
    case "BertProcessing": return .bert(first: try pair(settings, "cls"), last: try pair(settings, "sep"))
    case "RobertaProcessing": return .roberta(first: try pair(settings, "cls"), last: try pair(settings, "sep"))
    case "TemplateProcessing":
      let single = try items(settings, "single")
      guard single.count(where: { if case .text(0, _) = $0 { true } else { false } }) == 1,
        !single.contains(where: { if case .text(1, _) = $0 { true } else { false } })
      else { throw settings.failure("single", "must have sequence A once, and no other") }
      // A model for single texts may say nothing of pairs.
      guard settings.has("pair") else { return InputTemplate(single: single) }
      let pair = try items(settings, "pair")
      for text in 0...1 {
        guard pair.count(where: { if case .text(text, _) = $0 { true } else { false } }) == 1 else {
          throw settings.failure("pair", "must have sequences A and B once each")
        }
      }
      return InputTemplate(single: single, pair: pair)
    // Concerns offsets alone.
    case "ByteLevel": return InputTemplate()
    case "Sequence" where depth == 0: return try sequence(settings)
    default:
      throw settings.failure(
        "type", "must be TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel or a Sequence of such")
    }
  }

  private func sequence(_ settings: SettingsReader) throws(ModelError) -> InputTemplate {
    var template = InputTemplate()
    for item in try settings.array("processors").prefix(Self.itemsLimit) {
      guard let object = item.object else { throw settings.failure("processors", "must hold objects") }
      let reader = SettingsReader(file: settings.file, object: object, path: "\(settings.path)processors.")
      if try reader.string("type") == "ByteLevel" { continue }
      guard template == InputTemplate() else {
        throw settings.failure("processors", "has more than one that adds tokens")
      }
      template = try self.template(reader, depth: 1)
    }
    return template
  }

  private func items(_ settings: SettingsReader, _ name: String) throws(ModelError) -> [InputTemplate.Item] {
    let described = settings.has("special_tokens") ? try settings.settings("special_tokens") : nil
    let pieces = try settings.array(name)
    guard pieces.count <= Self.itemsLimit else {
      throw settings.failure(name, "has more than \(Self.itemsLimit) items")
    }
    var items: [InputTemplate.Item] = []
    for piece in pieces {
      guard let kind = piece.object?.members.first, let value = kind.value.object else {
        throw settings.failure(name, "must hold SpecialToken and Sequence")
      }
      let reader = SettingsReader(file: settings.file, object: value, path: "\(settings.path)\(name).\(kind.name).")
      let segment = UInt8(try reader.integer("type_id", in: 0...15, default: 0))
      switch (kind.name, try reader.string("id")) {
      case ("Sequence", "A"): items.append(.text(0, segment: segment))
      case ("Sequence", "B"): items.append(.text(1, segment: segment))
      case ("SpecialToken", let token):
        for id in try ids(token, described) { items.append(.token(id, segment: segment)) }
      default: throw settings.failure(name, "must hold SpecialToken and Sequence A or B")
      }
    }
    guard items.count <= Self.itemsLimit else {
      throw settings.failure(name, "adds more than \(Self.itemsLimit) tokens")
    }
    return items
  }

  /// The ids that the template itself gives its token; else the vocabulary's.
  private func ids(_ token: String, _ described: SettingsReader?) throws(ModelError) -> [Int32] {
    guard let described, described.has(token) else { return [try vocabulary.id(of: token)] }
    var ids: [Int32] = []
    for value in try described.settings(token).array("ids") {
      guard let id = value.integer, (0..<TokenizerSettings.tokenLimit).contains(id) else {
        throw described.failure(token, "has an id that is not from 0 to \(TokenizerSettings.tokenLimit - 1)")
      }
      ids.append(Int32(id))
    }
    return ids
  }

  private func pair(_ settings: SettingsReader, _ name: String) throws(ModelError) -> Int32 {
    let pair = try settings.array(name)
    guard pair.count == 2, let token = pair[0].string, let given = pair[1].integer else {
      throw settings.failure(name, "must be a token and its id")
    }
    let id = try vocabulary.id(of: token)
    guard given == Int(id) else {
      throw settings.failure(name, "gives `\(token.prefix(40))` another id than the vocabulary")
    }
    return id
  }
}

extension InputTemplate {
  /// `[CLS] A [SEP]`, `[CLS] A [SEP] B [SEP]`; B and what follows is of segment 1.
  static func bert(first: Int32, last: Int32) -> InputTemplate {
    let single: [Item] = [.token(first, segment: 0), .text(0, segment: 0), .token(last, segment: 0)]
    return InputTemplate(single: single, pair: single + [.text(1, segment: 1), .token(last, segment: 1)])
  }

  /// `<s> A </s>`, `<s> A </s></s> B </s>`, all of segment 0.
  static func roberta(first: Int32, last: Int32) -> InputTemplate {
    let single: [Item] = [.token(first, segment: 0), .text(0, segment: 0), .token(last, segment: 0)]
    return InputTemplate(
      single: single,
      pair: single + [.token(last, segment: 0), .text(1, segment: 0), .token(last, segment: 0)])
  }
}
