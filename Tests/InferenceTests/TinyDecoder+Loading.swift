import TestSupport

@testable import Inference

extension TinyDecoder {
  func load(_ precision: Precision = .fp32) throws -> GenerationModel {
    try EncoderGolden.withFiles([(WeightsFile.name, weights())]) {
      try GenerationModel(files: ModelFiles(clearFiles), weights: $0, precision: precision)
    }
  }
}
