/// How near a precision's results come to fp32's over a set of texts: by the cosine of embeddings, by the agreement of
/// logits.
package struct PrecisionAccuracy: Sendable, Equatable {
  package let precision: Precision
  /// Over all inputs; 1 is fp32 itself.
  package let mean: Double
  /// Of the input with the lowest.
  package let least: Double
  /// Inputs: the texts, or the pairs made of them.
  package let texts: Int

  /// - Parameter nearness: of each input.
  init(_ precision: Precision, _ nearness: [Double]) {
    self.precision = precision
    mean = nearness.isEmpty ? 0 : nearness.reduce(0, +) / Double(nearness.count)
    least = nearness.min() ?? 0
    texts = nearness.count
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

  /// For each input 1 − |d|² / 2s²: d is the distance of its logits from fp32's, s their spread, which is the root mean
  /// square of the distances of fp32's logits from their mean over all inputs.
  ///
  /// It is the cosine's counterpart: for vectors of length one, 1 − |d|² / 2 is the cosine. Logits have no length of their
  /// own, and what a distance between them means depends on how far they differ from input to input; a score, behind
  /// softmax or sigmoid, would hide every distance where it saturates. Below zero where d is larger than 1.4 s.
  ///
  /// - Parameter ignoringShift: logits that softmax takes mean the same with a number added to all of them.
  static func agreements(_ results: [[Float]], _ exact: [[Float]], ignoringShift: Bool) -> [Double] {
    func numbers(_ row: [Float]) -> [Double] {
      let row = row.map(Double.init)
      guard ignoringShift, !row.isEmpty else { return row }
      let mean = row.reduce(0, +) / Double(row.count)
      return row.map { $0 - mean }
    }
    func squaredDistance(_ a: [Double], _ b: [Double]) -> Double {
      zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    }
    let (results, exact) = (results.map(numbers), exact.map(numbers))
    guard let width = exact.first?.count else { return [] }
    let mean = (0..<width).map { label in exact.reduce(0) { $0 + $1[label] } / Double(exact.count) }
    let spread = exact.reduce(0) { $0 + squaredDistance($1, mean) } / Double(exact.count)
    return zip(results, exact).map { result, exact in
      let distance = squaredDistance(result, exact)
      return distance == 0 ? 1 : spread > 0 ? 1 - distance / (2 * spread) : 0
    }
  }
}
