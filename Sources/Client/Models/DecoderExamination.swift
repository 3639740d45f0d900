import Inference

/// What the folder of a decoder is, and how it runs: everything that can be found out without publishing it.
package struct DecoderExamination: Sendable {
  /// How it runs in one precision.
  package struct Run: Sendable {
    package let precision: Precision
    package let footprint: DecoderFootprint
    /// What was computed of it.
    package let look: Look
  }

  /// A look at what a model computes: the logits behind one short text.
  package enum Look: Sendable, Equatable {
    /// Headers alone were read.
    case none
    /// This machine has not the memory that it takes.
    case noMemory(availableBytes: UInt64)
    /// The first precision that was computed.
    case reference
    /// The cosine of its logits to those of the reference.
    case cosine(Float, to: Precision)
  }

  package let description: ModelDescription
  package let config: DecoderConfig
  package let conversations: Conversations
  package let runs: [Run]

  /// Nil for another model's folder, or none.
  ///
  /// - Parameter readsWeights: judges every weight and computes one text, in each precision that this machine has the
  ///   memory for; else headers alone are read.
  /// - Throws: ``ClientError`` of kind `invalid` for a model that is refused.
  package init?(folder path: String, readsWeights: Bool) throws {
    do throws(ModelError) {
      guard let folder = try ModelFolder(path: path).decoder() else { return nil }
      description = try ModelFolder(path: path).describe()
      (config, conversations) = (folder.config, folder.conversations)
      var (runs, reference): ([Run], (precision: Precision, logits: [Float])?) = ([], nil)
      for (precision, footprint) in folder.footprints {
        var look = Look.none
        if readsWeights {
          let available = AvailableMemory.bytes() ?? 0
          if footprint.weightBytes + footprint.otherBytes > available / 10 * 9 {
            look = .noMemory(availableBytes: available)
          } else {
            let logits = try Self.logits(try folder.load(precision))
            look = reference.map { .cosine(ModelExamination.cosine(logits, $0.logits), to: $0.precision) } ?? .reference
            if reference == nil { reference = (precision, logits) }
          }
        }
        runs.append(Run(precision: precision, footprint: footprint, look: look))
      }
      self.runs = runs
    } catch {
      throw ModelExamination.refusal(path, error)
    }
  }

  private static func logits(_ model: GenerationModel) throws(ModelError) -> [Float] {
    var tokens = model.tokenize("The old stone bridge.", addsSpecial: true)
    // A vocabulary may have no word of it.
    if tokens.isEmpty { tokens = [0] }
    guard let logits = model.logits(behind: Array(tokens.prefix(model.contextLength))), logits.allSatisfy(\.isFinite)
    else { throw ModelError("model", "gives no finite result in \(model.precision.rawValue)") }
    return logits
  }
}
