/// Texts that a model was trained to find before its input, such as `query: `, by their names.
package struct Prompts: Sendable {
  static let file = "config_sentence_transformers.json"
  static let countLimit = 64
  static let nameBytes = 64
  static let textBytes = 4096

  /// By name.
  package let texts: [String: String]
  /// The name of the one that is taken where none is asked for.
  package let defaultName: String?

  init(files: ModelFiles) throws(ModelError) {
    guard let settings = try files.settings(Self.file) else {
      (texts, defaultName) = ([:], nil)
      return
    }
    var texts: [String: String] = [:]
    if settings.has("prompts") {
      let members = try settings.settings("prompts").object.members
      guard members.count <= Self.countLimit else {
        throw settings.failure("prompts", "has more than \(Self.countLimit) prompts")
      }
      for member in members {
        guard (1...Self.nameBytes).contains(member.name.utf8.count), let text = member.value.string,
          text.utf8.count <= Self.textBytes, texts[member.name] == nil
        else {
          throw settings.failure(
            "prompts", "must give names of up to \(Self.nameBytes) bytes texts of up to \(Self.textBytes)")
        }
        texts[member.name] = text
      }
    }
    self.texts = texts
    defaultName = settings.has("default_prompt_name") ? try settings.string("default_prompt_name") : nil
    guard defaultName.map({ texts[$0] != nil }) ?? true else {
      throw settings.failure("default_prompt_name", "is none of `prompts`")
    }
  }

  /// The text to put before an input: of the prompt asked for, or the default one's. Nil when there is none of the name.
  package func text(_ name: String?) -> String? {
    guard let name = name ?? defaultName else { return "" }
    return texts[name]
  }
}
