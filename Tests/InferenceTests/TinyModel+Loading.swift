import TestSupport

@testable import Inference

extension TinyModel {
  var files: ModelFiles { ModelFiles(clearFiles.merging(sealedFiles) { $1 }) }

  func load(threads: Int = 1, precision: Precision = .fp32) throws -> EmbeddingModel {
    try EmbeddingModel.load(files: files, weights: weights(), precision: precision, threads: threads)
  }
}
