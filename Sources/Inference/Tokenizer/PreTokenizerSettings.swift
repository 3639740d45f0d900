/// Reads tokenizer.json's `pre_tokenizer`.
enum PreTokenizerSettings {
  /// The steps in their order; none when there is no pre-tokenizer. Throws when one is not computed.
  static func steps(_ settings: SettingsReader) throws(ModelError) -> [PreTokenizer.Step] {
    guard settings.has("pre_tokenizer") else { return [] }
    var steps: [PreTokenizer.Step] = []
    try append(try settings.settings("pre_tokenizer"), depth: 0, &steps)
    return steps
  }

  private static func append(
    _ settings: SettingsReader, depth: Int, _ steps: inout [PreTokenizer.Step]
  ) throws(ModelError) {
    if case .byteLevel = steps.last {
      throw settings.failure("type", "stands behind ByteLevel, which must be the last")
    }
    let type = try settings.string("type")
    switch type {
    case "Sequence":
      guard depth < 4 else { throw settings.failure("pretokenizers", "are nested too deep") }
      for inner in try settings.objects("pretokenizers") { try append(inner, depth: depth + 1, &steps) }
    case "BertPreTokenizer": steps.append(.bert)
    case "WhitespaceSplit": steps.append(.whitespace)
    case "ByteLevel":
      steps.append(
        .byteLevel(
          prefixesBlank: try settings.bool("add_prefix_space", default: true),
          splits: try settings.bool("use_regex", default: true)))
    case "Split": steps.append(.split(try split(settings)))
    case "Digits": steps.append(.digits(alone: try settings.bool("individual_digits", default: false)))
    case "Metaspace": steps.append(try metaspace(settings, isFirst: steps.isEmpty))
    default:
      throw settings.failure(
        "type",
        "is `\(type.prefix(40))`; only BertPreTokenizer, WhitespaceSplit, ByteLevel, Metaspace, Split, Digits and "
          + "Sequence are supported")
    }
    guard steps.count <= PreTokenizer.stepsLimit else {
      throw settings.failure("type", "is one of more than \(PreTokenizer.stepsLimit) steps")
    }
  }

  private static func split(_ settings: SettingsReader) throws(ModelError) -> SplitPattern {
    try settings.require("behavior", "Isolated")
    if try settings.bool("invert", default: false) {
      throw settings.failure("invert", "is true, which is not supported")
    }
    let reader = try settings.settings("pattern")
    guard let pattern = SplitPattern(try reader.string("Regex")) else {
      throw reader.failure("Regex", "is not one of GPT-2's, Llama 3's and Qwen's, which alone are supported")
    }
    return pattern
  }

  private static func metaspace(_ settings: SettingsReader, isFirst: Bool) throws(ModelError) -> PreTokenizer.Step {
    let replacement = try settings.string("replacement", default: "▁")
    guard replacement.unicodeScalars.count == 1 else {
      throw settings.failure("replacement", "must be one character")
    }
    let name = try settings.string("prepend_scheme", default: "always")
    guard var prefix = PreTokenizer.Prefix(rawValue: name) else {
      throw settings.failure("prepend_scheme", "must be always, first or never")
    }
    // The switch of older files.
    if try !settings.bool("add_prefix_space", default: true) {
      guard prefix == .never || !settings.has("prepend_scheme") else {
        throw settings.failure("add_prefix_space", "contradicts `prepend_scheme`")
      }
      prefix = .never
    }
    guard prefix != .first || isFirst else {
      throw settings.failure("prepend_scheme", "is `first` behind another step, which is not supported")
    }
    return .metaspace(
      replacement: Array(replacement.utf8), prefix: prefix, splits: try settings.bool("split", default: true))
  }
}
