/// How near a precision's embeddings come to fp32's, by the cosine over a set of texts.
package struct PrecisionAccuracy: Sendable, Equatable {
  package let precision: Precision
  /// Over all texts; 1 is fp32 itself.
  package let mean: Double
  /// Of the text with the lowest.
  package let least: Double
  package let texts: Int

  init(precision: Precision, cosines: [Double]) {
    self.precision = precision
    mean = cosines.isEmpty ? 0 : cosines.reduce(0, +) / Double(cosines.count)
    least = cosines.min() ?? 0
    texts = cosines.count
  }

  /// Two vectors of nothing but zeros are as near as can be.
  static func cosine(_ a: [Float], _ b: [Float]) -> Double {
    var (dot, aa, bb) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
      dot += Double(x) * Double(y)
      aa += Double(x) * Double(x)
      bb += Double(y) * Double(y)
    }
    guard aa > 0, bb > 0 else { return aa == bb ? 1 : 0 }
    return dot / (aa * bb).squareRoot()
  }
}
