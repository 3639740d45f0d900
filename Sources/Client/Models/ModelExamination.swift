import Inference

/// What the folder of an encoder is, and how it runs: everything that can be found out without publishing it.
package struct ModelExamination: Sendable {
  /// How it runs in one precision.
  package struct Run: Sendable {
    package let precision: Precision
    package let footprint: ModelFootprint
    /// How near its result on one short text is to fp32's: a look, no measure of accuracy. Nil where the weights were not
    /// read.
    package let nearness: Nearness?
  }

  /// How near two results are, by what they are.
  package enum Nearness: Sendable, Equatable {
    /// Of embeddings.
    case cosine(Float)
    /// The greatest difference of two scores of one label: between single numbers a cosine says nothing.
    case difference(Float)
  }

  package let description: ModelDescription
  package let config: ModelConfig
  package let runs: [Run]

  /// Examines a folder as a worker would.
  ///
  /// - Parameter readsWeights: judges every weight and computes one text; else headers alone are read.
  /// - Throws: ``ClientError`` of kind `notFound` for no folder, `invalid` for a model that is refused.
  package init(folder path: String, readsWeights: Bool) throws {
    guard try PrivateFiles.isDirectory(path) != nil else {
      throw ClientError(.notFound, "there is no folder \(path)", remedy: "name the folder of a model")
    }
    do throws(ModelError) {
      let folder = ModelFolder(path: path)
      (description, config) = (try folder.describe(), try folder.config())
      let outputs = readsWeights ? try folder.load(in: config.precisions, Self.output) : nil
      let config = config
      runs = config.precisions.enumerated().map { index, precision in
        Run(
          precision: precision, footprint: ModelFootprint(config, precision: precision),
          nearness: outputs.map { Self.nearness($0[index], $0[0], of: config) })
      }
    } catch {
      throw Self.refusal(path, error)
    }
  }

  static func refusal(_ path: String, _ error: ModelError) -> ClientError {
    ClientError(
      .invalid, "\(path) is no model that can be computed: \(error)",
      remedy: "mend the folder; docs/models.md and docs/decoders.md say what is computed")
  }

  private static func output(_ model: EmbeddingModel) throws(ModelError) -> [Float] {
    do {
      let pair = model.operation == .score ? "A bridge over the river." : nil
      return try model.embed([model.tokenize("The old stone bridge.", pair: pair)])[0]
    } catch {
      throw ModelError("model", "gives no finite result in \(model.precision.rawValue)")
    }
  }

  private static func nearness(_ left: [Float], _ right: [Float], of config: ModelConfig) -> Nearness {
    guard case .classification = config.output else { return .cosine(cosine(left, right)) }
    return .difference(zip(left, right).map { abs($0 - $1) }.max() ?? 0)
  }

  static func cosine(_ left: [Float], _ right: [Float]) -> Float {
    func dot(_ left: [Float], _ right: [Float]) -> Float { zip(left, right).reduce(0) { $0 + $1.0 * $1.1 } }
    let length = (dot(left, left) * dot(right, right)).squareRoot()
    return length > 0 ? min(1, dot(left, right) / length) : 1
  }
}
