/// The labels of a `…ForSequenceClassification`, and how its logits become scores.
package struct ClassificationHead: Sendable {
  /// What makes scores of logits.
  package enum Function: String, Sendable {
    /// They add up to one.
    case softmax
    /// Each by itself, between 0 and 1.
    case sigmoid
    /// The logits themselves.
    case identity
  }

  /// In the order of the scores.
  package let labels: [String]
  package let function: Function

  static let labelLimit = 1000
  static let labelBytes = 256

  init(labels: [String], function: Function) {
    self.labels = labels
    self.function = function
  }

  init(files: ModelFiles, config: SettingsReader) throws(ModelError) {
    labels = try Self.labels(config)
    function = try Self.function(files, config, labels: labels.count)
  }

  /// transformers leaves the labels out where they are its own two.
  private static func labels(_ config: SettingsReader) throws(ModelError) -> [String] {
    guard config.has("id2label") else {
      let count = try config.integer("num_labels", in: 1...labelLimit, default: 2)
      return (0..<count).map { "LABEL_\($0)" }
    }
    let members = try config.settings("id2label").object.members
    guard (1...labelLimit).contains(members.count) else {
      throw config.failure("id2label", "must have 1 to \(labelLimit) labels")
    }
    var labels = [String?](repeating: nil, count: members.count)
    for member in members {
      guard let index = Int(member.name), labels.indices.contains(index), labels[index] == nil,
        let label = member.value.string, (1...labelBytes).contains(label.utf8.count)
      else {
        throw config.failure(
          "id2label", "must give each number from 0 to \(members.count - 1) a label of 1 to \(labelBytes) bytes")
      }
      labels[index] = label
    }
    let all = labels.compactMap(\.self)
    guard Set(all.map { Array($0.utf8) }).count == all.count else {
      throw config.failure("id2label", "has a label twice")
    }
    return all
  }

  /// One label is a cross-encoder's score: sigmoid, unless the model says otherwise as sentence-transformers has it.
  /// Several are a classification's: by the problem's type.
  private static func function(
    _ files: ModelFiles, _ config: SettingsReader, labels: Int
  ) throws(ModelError) -> Function {
    let problem = try config.string("problem_type", default: "")
    if labels > 1 {
      switch problem {
      case "", "single_label_classification": return .softmax
      case "multi_label_classification": return .sigmoid
      case "regression": return .identity
      default: throw config.failure("problem_type", "is `\(problem.prefix(40))`, which is not known")
      }
    }
    let old = "sbert_ce_default_activation_function"
    let said: (SettingsReader, String)? =
      if let sentence = try files.settings(Prompts.file), sentence.has("activation_fn") {
        (sentence, "activation_fn")
      } else if config.has("sentence_transformers") {
        (try config.settings("sentence_transformers"), "activation_fn")
      } else if config.has(old) {
        (config, old)
      } else {
        nil
      }
    guard let (settings, name) = said else { return problem == "regression" ? .identity : .sigmoid }
    switch try Activation.torch(settings, name, default: "torch.nn.modules.activation.Sigmoid") {
    case nil: return .identity
    case .sigmoid: return .sigmoid
    default: throw settings.failure(name, "must be Sigmoid or Identity")
    }
  }
}
