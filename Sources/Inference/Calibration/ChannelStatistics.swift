import CBlas
import Synchronization

/// How large the input channels of one product are over all rows that it has multiplied: what its int8 scales are made of.
///
/// One thread feeds it, in one order: so the same texts give the same bits on every machine.
final class ChannelStatistics: Sendable {
  /// The name of the product's first weight.
  let product: String
  private let inputs: Int
  /// Of each channel: the greatest |x|, and the sum of squares.
  private let greatest: FloatBuffer
  private let squares: AlignedBuffer<Double>
  /// Of each channel: the greatest |w| that multiplies it, and the sum of their squares.
  private let greatestWeight: FloatBuffer
  private let weightSquares: AlignedBuffer<Double>
  private let outputs: Int
  private let rows = Mutex(0)

  /// `parts` as ``Linear`` takes them.
  init(product: String, parts: [(weight: FloatBuffer, bias: FloatBuffer)], inputs: Int) {
    self.product = product
    self.inputs = inputs
    (greatest, squares) = (FloatBuffer(count: inputs), AlignedBuffer(count: inputs))
    (greatestWeight, weightSquares) = (FloatBuffer(count: inputs), AlignedBuffer(count: inputs))
    outputs = parts.reduce(0) { $0 + $1.bias.count }
    for part in parts {
      cb_channel_statistics(
        part.weight.pointer, part.weight.count / inputs, inputs, greatestWeight.pointer, weightSquares.pointer)
    }
  }

  /// x: (count, inputs), before it is multiplied.
  func record(_ x: UnsafePointer<Float>, count: Int) {
    rows.withLock { rows in
      cb_channel_statistics(x, count, inputs, greatest.pointer, squares.pointer)
      rows += count
    }
  }

  /// A scale for each channel: √(max|x|^5/16 · rms(x)^11/16 / √(max|w| · rms(w))), which leaves activations and weights about
  /// as wide as each other (docs/performance.md has what other rules gave). 1 for a channel that is never used. Made of
  /// square roots alone, which are the same on every machine.
  func scales() -> [Float] {
    let rows = Double(max(1, rows.withLock { $0 }))
    return (0..<inputs).map { k in
      let rms = (squares.pointer[k] / rows).squareRoot()
      let half = (Double(greatest.pointer[k]) * rms).squareRoot()
      let quarter = (half * rms).squareRoot()
      let width = ((half * quarter).squareRoot() * quarter).squareRoot()
      let weightRMS = (weightSquares.pointer[k] / Double(max(1, outputs))).squareRoot()
      let weight = (Double(greatestWeight.pointer[k]) * weightRMS).squareRoot()
      guard width > 0, weight > 0 else { return 1 }
      let scale = Float((width / weight).squareRoot())
      return min(max(scale, Int8Scales.range.lowerBound), Int8Scales.range.upperBound)
    }
  }
}

/// The statistics of all products of a model that is loaded to be calibrated.
final class CalibrationObserver: Sendable {
  private let all = Mutex<[ChannelStatistics]>([])

  /// In the order in which they were loaded.
  var products: [ChannelStatistics] { all.withLock { $0 } }

  func add(_ statistics: ChannelStatistics) -> ChannelStatistics {
    all.withLock { $0.append(statistics) }
    return statistics
  }
}
