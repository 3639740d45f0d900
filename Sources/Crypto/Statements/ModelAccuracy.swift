import Wire

/// How near a model's results in one precision came to those in fp32 when it was published, over texts that its calibration
/// had not seen: the cosine of embeddings, or the agreement of a head's logits (docs/models.md).
package struct ModelAccuracy: Hashable, Sendable {
  /// Such as `int8`.
  package let precision: String
  /// Millionths of the cosine or agreement: of all texts together, and of the one with the lowest.
  package let meanMillionths, leastMillionths: UInt64
  package let texts: UInt64

  /// What `auto` asks of int8.
  package static let requiredMeanMillionths: UInt64 = 999_000
  package static let requiredLeastMillionths: UInt64 = 997_000

  package init(precision: String, meanMillionths: UInt64, leastMillionths: UInt64, texts: UInt64) {
    self.precision = precision
    self.meanMillionths = meanMillionths
    self.leastMillionths = leastMillionths
    self.texts = texts
  }

  /// Whether `auto` may choose int8 on the strength of this.
  package var passes: Bool {
    texts > 0 && meanMillionths >= Self.requiredMeanMillionths && leastMillionths >= Self.requiredLeastMillionths
  }

  var item: CBOR {
    .object([
      ("precision", .text(precision)), ("mean", .unsigned(meanMillionths)), ("least", .unsigned(leastMillionths)),
      ("texts", .unsigned(texts)),
    ])
  }

  init(_ item: CBOR) throws {
    var fields = try CBORFields(item, in: "model accuracy")
    precision = try fields.text("precision", limit: 16)
    meanMillionths = try fields.unsigned("mean", limit: 1_000_000)
    leastMillionths = try fields.unsigned("least", limit: 1_000_000)
    texts = try fields.unsigned("texts", limit: 1 << 32)
    try fields.finish()
  }
}
