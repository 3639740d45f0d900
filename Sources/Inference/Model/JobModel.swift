/// A model in memory, of either family: what a worker holds for its jobs.
package enum JobModel: Sendable {
  /// Gives embeddings of texts, or scores.
  case encoder(EmbeddingModel)
  /// Continues texts.
  case decoder(GenerationModel)

  /// What can be asked of it.
  package var operation: ModelOperation {
    switch self {
    case .encoder(let model): model.operation
    case .decoder: .generate
    }
  }

  /// In which numbers it computes.
  package var precision: Precision {
    switch self {
    case .encoder(let model): model.precision
    case .decoder(let model): model.precision
    }
  }

  /// Such as `bert` or `llama`.
  package var architecture: String {
    switch self {
    case .encoder(let model): model.architecture
    case .decoder(let model): model.architecture
    }
  }

  /// Types of the weights in their files, sorted: `F32` or `Q4_K`, say.
  package var elementTypes: [String] {
    switch self {
    case .encoder(let model): model.elementTypes
    case .decoder(let model): model.elementTypes
    }
  }

  /// Floats of a result; 0 of a model that gives text.
  package var dimensions: Int {
    switch self {
    case .encoder(let model): model.dimensions
    case .decoder: 0
    }
  }

  /// Tokens of one input at most; of a decoder, of prompt and output together.
  package var maximumTokens: Int {
    switch self {
    case .encoder(let model): model.maximumTokens
    case .decoder(let model): model.contextLength
    }
  }

  /// Wipes what a job left in it: call it between jobs. A decoder keeps nothing itself; its generators wipe their memory
  /// when they are freed.
  package func wipe() {
    if case .encoder(let model) = self { model.wipe() }
  }
}
