/// Reads tokenizer.json's `normalizer`.
enum NormalizerSettings {
  /// How many times longer a text may become.
  private static let growthLimit = 128

  /// The steps in their order; none when there is no normalizer. Throws when one is not computed.
  static func steps(_ settings: SettingsReader) throws(ModelError) -> [Normalizer.Step] {
    guard settings.has("normalizer") else { return [] }
    let reader = try settings.settings("normalizer")
    var steps: [Normalizer.Step] = []
    try append(reader, depth: 0, &steps)
    // Bounded by the sum of what each step can do, and these multiply.
    var growth = 1.0
    for step in steps { growth *= self.growth(step) }
    guard growth <= Double(growthLimit) else {
      throw settings.failure("normalizer", "may make a text more than \(growthLimit) times as long")
    }
    return steps
  }

  private static func append(
    _ settings: SettingsReader, depth: Int, _ steps: inout [Normalizer.Step]
  ) throws(ModelError) {
    let type = try settings.string("type")
    switch type {
    case "Sequence":
      guard depth < 4 else { throw settings.failure("normalizers", "are nested too deep") }
      for inner in try settings.objects("normalizers") { try append(inner, depth: depth + 1, &steps) }
    case "BertNormalizer": steps.append(.bert(try bert(settings)))
    case "Lowercase":
      var options = BertNormalizerOptions()
      (options.cleanText, options.handleChineseChars, options.stripAccents) = (false, false, false)
      steps.append(.bert(options))
    case "Precompiled":
      do {
        steps.append(.precompiled(try PrecompiledMap(base64: try settings.string("precompiled_charsmap"))))
      } catch let error as ModelError.Reason {
        throw settings.failure("precompiled_charsmap", error.text)
      } catch let error as ModelError {
        throw error
      } catch {
        throw settings.failure("precompiled_charsmap", "cannot be read")
      }
    case "Replace": steps.append(try replacement(settings))
    case "Strip":
      steps.append(
        .strip(
          left: try settings.bool("strip_left", default: true), right: try settings.bool("strip_right", default: true)))
    case "Prepend": steps.append(.prepend(try content(settings, "prepend")))
    case "Nmt": steps.append(.machineTranslation)
    case "NFC": steps.append(.composed)
    default:
      throw settings.failure(
        "type",
        "is `\(type.prefix(40))`; only BertNormalizer, Lowercase, Precompiled, Replace, Strip, Prepend, Nmt, NFC and "
          + "Sequence are supported")
    }
    guard steps.count <= Normalizer.stepsLimit else {
      throw settings.failure("type", "is one of more than \(Normalizer.stepsLimit) steps")
    }
  }

  private static func bert(_ settings: SettingsReader) throws(ModelError) -> BertNormalizerOptions {
    var options = BertNormalizerOptions()
    options.cleanText = try settings.bool("clean_text", default: true)
    options.handleChineseChars = try settings.bool("handle_chinese_chars", default: true)
    options.lowercase = try settings.bool("lowercase", default: true)
    options.stripAccents = try settings.bool("strip_accents", default: options.lowercase)
    return options
  }

  private static func content(_ settings: SettingsReader, _ name: String) throws(ModelError) -> [UInt8] {
    let content = try settings.string(name)
    guard content.utf8.count <= Normalizer.contentLimit else {
      throw settings.failure(name, "is longer than \(Normalizer.contentLimit) bytes")
    }
    return Array(content.utf8)
  }

  /// A literal text, or an expression that repeats one: ` {2,}`, say.
  private static func replacement(_ settings: SettingsReader) throws(ModelError) -> Normalizer.Step {
    let pattern = try settings.settings("pattern")
    let content = try content(settings, "content")
    if pattern.has("String") {
      let text = try Self.content(pattern, "String")
      guard !text.isEmpty else { throw pattern.failure("String", "is empty") }
      return .replace(pattern: text, atLeast: 1, repeats: false, content: content)
    }
    var text = try Self.content(pattern, "Regex")
    var (atLeast, repeats) = (1, false)
    if text.last == UInt8(ascii: "+") {
      text.removeLast()
      repeats = true
    } else if text.suffix(2) == Array(",}".utf8), let open = text.lastIndex(of: UInt8(ascii: "{")),
      let count = Int(String(decoding: text[(open + 1)...].dropLast(2), as: UTF8.self)), (1...64).contains(count)
    {
      text.removeSubrange(open...)
      (atLeast, repeats) = (count, true)
    }
    let signs = Set(#"\.^$|?*+()[]{}"#.utf8)
    let scalars = String(decoding: text, as: UTF8.self).unicodeScalars.count
    guard !text.isEmpty, !text.contains(where: signs.contains), scalars == 1 || !repeats else {
      throw pattern.failure("Regex", "is not a plain text, or one character with `+` or `{n,}`")
    }
    return .replace(pattern: text, atLeast: atLeast, repeats: repeats, content: content)
  }

  private static func growth(_ step: Normalizer.Step) -> Double {
    switch step {
    case .bert, .composed: 4
    case .precompiled(let map): Double(max(1, map.longest))
    case .replace(let pattern, let atLeast, _, let content):
      max(1, Double(content.count) / Double(pattern.count * atLeast))
    case .strip, .machineTranslation: 1
    // Added once, not for each byte; but to a text of one byte too.
    case .prepend: 1
    }
  }
}
