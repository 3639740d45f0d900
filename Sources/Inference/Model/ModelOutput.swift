/// How the token vectors of one input become its result.
package enum ModelOutput: Sendable {
  case embedding(Embedding)
  case classification(ClassificationHead)

  /// Pooling, then perhaps a dense layer, then perhaps a scaling to length one: the steps of modules.json.
  package struct Embedding: Sendable {
    package let pooling: Pooling
    package let dense: DenseModule?
    /// Whether the embedding is scaled to length one.
    package let normalizes: Bool
    /// Whether a prompt's tokens are pooled like all others.
    let poolsPrompt: Bool
  }

  /// How token vectors become one.
  package enum Pooling: String, Sendable {
    case mean, cls, max, lasttoken
  }

  /// What can be asked of a model with this output.
  package var operation: ModelOperation {
    switch self {
    case .embedding: .embed
    case .classification(let head): head.labels.count == 1 ? .score : .classify
    }
  }

  static let modulesFile = "modules.json"

  /// sentence-transformers' rule: modules.json lists the steps. Without it config.json tells: a classification head, or
  /// the mean of the tokens.
  init(files: ModelFiles, config: SettingsReader, width: Int) throws(ModelError) {
    let modules = try Module.list(files)
    let isClassifier = try config.strings("architectures", default: []).contains {
      $0.hasSuffix("ForSequenceClassification")
    }
    if isClassifier, modules.dropFirst().isEmpty {
      self = .classification(try ClassificationHead(files: files, config: config))
      return
    }
    guard let poolingModule = modules.dropFirst().first else {
      guard modules.isEmpty else { throw Module.failure }
      self = .embedding(Embedding(pooling: .mean, dense: nil, normalizes: false, poolsPrompt: true))
      return
    }
    guard modules[0].type == "Transformer", poolingModule.type == "Pooling" else { throw Module.failure }
    var rest = modules.dropFirst(2)
    var dense: DenseModule?
    if let module = rest.first, module.type == "Dense" {
      dense = try DenseModule(files: files, folder: module.path, inputs: width)
      rest = rest.dropFirst()
    }
    guard rest.count <= 1, rest.allSatisfy({ $0.type == "Normalize" }) else { throw Module.failure }
    let file = poolingModule.path + "/config.json"
    guard let settings = try files.settings(file) else { throw ModelError(file, "is missing") }
    self = .embedding(
      Embedding(
        pooling: try Self.pooling(settings, width: width), dense: dense, normalizes: rest.count == 1,
        poolsPrompt: try settings.bool("include_prompt", default: true)))
  }

  /// Files beside the usual ones that modules.json leads to, as far as it can be read.
  static func moduleFiles(_ files: ModelFiles) throws(ModelError) -> [String] {
    try Module.list(files).filter { ["Pooling", "Dense"].contains($0.type) }.map { $0.path + "/config.json" }
  }

  private static func pooling(_ settings: SettingsReader, width: Int) throws(ModelError) -> Pooling {
    for name in ["word_embedding_dimension", "embedding_dimension"]
    where try settings.integer(name, in: 1...8192, default: width) != width {
      throw settings.failure(name, "differs from config.json's width")
    }
    // Written as one word since sentence-transformers 5, as a flag for each mode before.
    if settings.has("pooling_mode") {
      let name = try settings.string("pooling_mode")
      guard let pooling = Pooling(rawValue: name) else {
        throw settings.failure("pooling_mode", "is `\(name.prefix(40))`; supported are mean, cls, max and lasttoken")
      }
      return pooling
    }
    var modes: [String] = []
    for member in settings.object.members where member.name.hasPrefix("pooling_mode_") && member.value == .bool(true) {
      modes.append(member.name)
    }
    switch modes {
    case ["pooling_mode_mean_tokens"]: return .mean
    case ["pooling_mode_cls_token"]: return .cls
    case ["pooling_mode_max_tokens"]: return .max
    case ["pooling_mode_lasttoken"]: return .lasttoken
    default: throw ModelError(settings.file, "exactly one of mean, CLS, max and last-token pooling is supported")
    }
  }

  /// One step of modules.json.
  private struct Module {
    let type: String
    /// Its folder, relative to the model's; empty for the model's own.
    let path: String

    static let failure = ModelError(
      modulesFile, "must list Transformer, Pooling, perhaps Dense and perhaps Normalize, and nothing else")

    static func list(_ files: ModelFiles) throws(ModelError) -> [Module] {
      guard let json = try files.json(modulesFile) else { return [] }
      guard let array = json.array, array.count <= 8 else {
        throw ModelError(modulesFile, "must be an array of up to 8 objects")
      }
      var modules: [Module] = []
      for item in array {
        guard let object = item.object else { throw ModelError(modulesFile, "must be an array of objects") }
        let reader = SettingsReader(file: modulesFile, object: object)
        guard let type = try reader.string("type").split(separator: ".").last else {
          throw reader.failure("type", "is empty")
        }
        let path = try reader.string("path", default: "")
        // Nothing is read for Normalize.
        guard type == "Transformer" || type == "Normalize" && path.isEmpty ? path.isEmpty : isPlainPath(path) else {
          throw reader.failure("path", "must be a folder within the model's, and none for the Transformer")
        }
        modules.append(Module(type: String(type), path: path))
      }
      return modules
    }

    /// One folder's name: a longer way could lead out of the model.
    private static func isPlainPath(_ path: String) -> Bool {
      (1...64).contains(path.utf8.count) && path.utf8.first != UInt8(ascii: ".")
        && path.utf8.allSatisfy { byte in
          switch byte {
          case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
          default: false
          }
        }
    }
  }
}

/// What can be asked of a model. The words stand in policies and manifests.
package enum ModelOperation: String, Sendable, CaseIterable {
  /// A vector for a text.
  case embed
  /// A score for each label of a text, or of a pair of texts.
  case classify
  /// One number for a pair of texts, such as how well a passage answers a query.
  case score
  /// A text that continues a prompt or answers a conversation.
  case generate
}

/// sentence-transformers' Dense: one linear map of the pooled vector, and a function of its outputs.
package struct DenseModule: Sendable {
  package let outputs: Int
  let hasBias: Bool
  let activation: Activation?
  /// The file of its weights in the model folder.
  package let weightsFile: String

  init(files: ModelFiles, folder: String, inputs: Int) throws(ModelError) {
    guard let settings = try files.settings(folder + "/config.json") else {
      throw ModelError(folder + "/config.json", "is missing")
    }
    guard try settings.integer("in_features", in: 1...8192) == inputs else {
      throw settings.failure("in_features", "differs from the width of config.json")
    }
    outputs = try settings.integer("out_features", in: 16...8192)
    guard outputs % 16 == 0 else { throw settings.failure("out_features", "must be a multiple of 16") }
    hasBias = try settings.bool("bias", default: true)
    for name in ["module_input_name", "module_output_name"] {
      try settings.require(name, "sentence_embedding", default: "sentence_embedding")
    }
    activation = try Activation.torch(settings, "activation_function", default: "torch.nn.modules.activation.Tanh")
    weightsFile = folder + "/" + WeightsFile.name
  }
}

extension Activation {
  /// A module of torch by its full name; nil for the identity.
  static func torch(
    _ settings: SettingsReader, _ name: String, default fallback: String
  ) throws(ModelError) -> Activation? {
    switch try settings.string(name, default: fallback) {
    case "torch.nn.modules.linear.Identity": return nil
    case "torch.nn.modules.activation.Tanh": return .tanh
    case "torch.nn.modules.activation.Sigmoid": return .sigmoid
    case "torch.nn.modules.activation.ReLU": return .relu
    case let other: throw settings.failure(name, "is `\(other.prefix(60))`, which is not computed here")
    }
  }
}
