import CBlas
import Testing

@testable import Inference

@Suite("What chooses among logits is the same on every instruction set")
struct SamplingKernelTests {
  /// Some numbers of logits, most of them no multiple of the kernels' width.
  private static let counts = [1, 5, 16, 31, 1000, 128_256]

  private static func logits(_ count: Int) -> [Float] {
    var state = UInt64(count)
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(Int(state >> 40) % 4000) / 100 - 30
    }
  }

  @Test("weights are ExactMath's to the bit, sums and draws the same")
  func weights() {
    for count in Self.counts {
      let logits = Self.logits(count)
      let top = Double(logits.max() ?? 0)
      var expected: (total: Double, draws: [Int])?
      EachKernel.run { name in
        for scale in [1.0, 0.37, 40] {
          var weights = [Double](repeating: -1, count: count)
          cb_exponentials(logits, count, top, scale, &weights)
          #expect(
            zip(weights, logits).allSatisfy { $0 == ExactMath.exp((Double($1) - top) * scale) }, "\(name), \(count)")
          guard scale == 1 else { continue }
          let total = cb_total(weights, count)
          let draws = (0..<20).map { cb_draw(weights, count, (Double($0) + 0.5) / 20 * total) }
          #expect(abs(total - weights.reduce(0, +)) <= 1e-9 * total)
          #expect(expected.map { $0.total == total && $0.draws == draws } ?? true, "\(name), \(count)")
          expected = (total, draws)
        }
      }
    }
  }

  @Test("a draw lands where the running sum passes it, never on a weight of zero, nor beyond the end")
  func draws() {
    EachKernel.run { name in
      var weights = [Double](repeating: 0, count: 50)
      for place in [3, 17, 18, 40] { weights[place] = 1 }
      for (left, place) in [(0, 3), (0.99, 3), (1, 17), (2.5, 18), (3, 40), (3.99, 40), (4, 40), (9, 40)] {
        #expect(cb_draw(weights, 50, left) == place, "\(name), \(left)")
      }
    }
  }

  @Test("the first of the greatest is found wherever it stands")
  func greatest() {
    EachKernel.run { name in
      for count in Self.counts {
        for place in Set([0, count / 2, count - 1]) {
          var logits = Self.logits(count)
          for index in [place, count - 1] { logits[index] = 20 }
          #expect(cb_first_greatest(logits, count) == place, "\(name), \(count)")
        }
      }
    }
  }
}
