/// The chat template of a model folder and the special tokens that it may name.
package struct ChatTemplateFiles: Sendable {
  /// Reads a conversation into text.
  package let template: ChatTemplate
  /// `bos_token`, `eos_token` and the like, as far as the model has them.
  package let specialTokens: [String: String]

  static let file = "chat_template.jinja"

  private static let names = [
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
  ]

  /// Reads `chat_template.jinja`, or else `chat_template` of tokenizer_config.json: one text, or a list of named ones of
  /// which `default` is taken. Nil when the model has none. Throws `ModelError`, naming file and fault.
  package init?(files: ModelFiles) throws(ModelError) {
    let config = "tokenizer_config.json"
    let settings = try files.settings(config)
    let (file, source): (String, [UInt8])
    if let bytes = files[Self.file] {
      (file, source) = (Self.file, bytes)
    } else {
      guard let settings, let text = try Self.template(settings) else { return nil }
      (file, source) = (config, Array(text.utf8))
    }
    do { template = try ChatTemplate(parsing: source) } catch { throw ModelError(file, error.description) }
    var tokens: [String: String] = [:]
    for name in Self.names {
      switch settings?.object[name] {
      case nil, .null?: continue
      case .string(let text)?: tokens[name] = text
      case .object(let token)?:
        // An added token with its settings.
        guard let text = token["content"]?.string else { throw ModelError(config, "`\(name)` has no `content`") }
        tokens[name] = text
      default: throw ModelError(config, "`\(name)` must be a token")
      }
    }
    specialTokens = tokens
  }

  /// Reads `tokenizer.chat_template` of a GGUF file; its special tokens are those of the vocabulary that the file names.
  /// Nil when the file has none. Throws `ModelError`, naming file, key and fault.
  package init?(_ header: GGUFHeader) throws(ModelError) {
    let key = "tokenizer.chat_template"
    guard let value = header.metadata[key] else { return nil }
    guard case .string(let source) = value else { throw ModelError(header.file, "`\(key)` must be a text") }
    do {
      template = try ChatTemplate(parsing: source)
    } catch {
      throw ModelError(header.file, "`\(key)`: \(error.description)")
    }
    var tokens: [String: String] = [:]
    let vocabulary = header.metadata["tokenizer.ggml.tokens"]?.array?.strings
    for (name, key) in Self.ggufNames {
      guard let id = header.metadata["tokenizer.ggml.\(key)_token_id"]?.integer, let vocabulary,
        (0..<vocabulary.count).contains(id), let text = vocabulary.text(id)
      else { continue }
      tokens[name] = text
    }
    specialTokens = tokens
  }

  /// A special token's name in templates, and in `tokenizer.ggml.…_token_id`.
  private static let ggufNames = [
    ("bos_token", "bos"), ("eos_token", "eos"), ("unk_token", "unknown"), ("sep_token", "seperator"),
    ("pad_token", "padding"), ("cls_token", "cls"), ("mask_token", "mask"),
  ]

  private static func template(_ settings: SettingsReader) throws(ModelError) -> String? {
    switch settings.object["chat_template"] {
    case nil, .null?: return nil
    case .string(let text)?: return text
    case .array(let templates)?:
      for case .object(let template) in templates where template["name"]?.string == "default" {
        if let text = template["template"]?.string { return text }
      }
      throw settings.failure("chat_template", "names no `default` template")
    default: throw settings.failure("chat_template", "must be a text")
    }
  }
}
