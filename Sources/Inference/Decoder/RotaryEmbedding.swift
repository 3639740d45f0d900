/// Rotary position embeddings (RoPE): how far each pair of a head's numbers is turned at each position.
///
/// Su et al., RoFormer (2021); the scalings for longer contexts as transformers computes them.
package struct RotaryEmbedding: Sendable, Equatable {
  /// How frequencies are changed for contexts longer than the first training's.
  package enum Scaling: Sendable, Equatable {
    case none
    /// All positions divided by the factor.
    case linear(factor: Double)
    /// Long waves divided by the factor, short ones kept, those between by degrees (Llama 3.1).
    case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContext: Int)
    /// YaRN (Peng et al., 2023).
    case yarn(YaRN)
  }

  /// Parameters of YaRN under their names in config.json.
  package struct YaRN: Sendable, Equatable {
    package var factor: Double
    package var originalContext: Int
    package var betaFast = 32.0
    package var betaSlow = 1.0
    /// Whether the bounds of what is interpolated are rounded to whole dimensions.
    package var truncates = true
    /// What sines and cosines are multiplied by; nil takes 0.1·ln(factor) + 1.
    package var attentionFactor: Double?

    package init(factor: Double, originalContext: Int) {
      (self.factor, self.originalContext) = (factor, originalContext)
    }
  }

  /// Radians by which pair `i` is turned from one position to the next; half a head's width of them.
  package let frequencies: [Float]
  /// What sines and cosines are multiplied by.
  package let attentionFactor: Float
  /// Which two numbers are a pair: 2i and 2i + 1, or else i and i + half the width.
  package let isInterleaved: Bool

  /// - Parameters:
  ///   - headWidth: even.
  package init(base: Double, headWidth: Int, scaling: Scaling, isInterleaved: Bool = false) {
    let pairs = headWidth / 2
    let wavelength = 2 * Double.pi
    var frequencies: [Float] = []
    for i in 0..<pairs {
      let plain = 1 / ExactMath.power(base, Double(2 * i) / Double(headWidth))
      let frequency =
        switch scaling {
        case .none: plain
        case .linear(let factor): plain / factor
        case .llama3(let factor, let low, let high, let context):
          Self.llama3(plain, wavelength / plain, factor, low, high, Double(context))
        case .yarn(let yarn): plain * yarn.share(of: i, base: base, headWidth: headWidth)
        }
      frequencies.append(Float(frequency))
    }
    self.frequencies = frequencies
    self.isInterleaved = isInterleaved
    if case .yarn(let yarn) = scaling {
      attentionFactor = Float(yarn.attentionFactor ?? YaRN.magnitude(yarn.factor))
    } else {
      attentionFactor = 1
    }
  }

  private init(_ frequencies: [Float], _ attentionFactor: Float, _ isInterleaved: Bool) {
    (self.frequencies, self.attentionFactor, self.isInterleaved) = (frequencies, attentionFactor, isInterleaved)
  }

  /// The same with each pair's frequency divided by a factor: there is one for each.
  func divided(by factors: [Float]) -> RotaryEmbedding {
    RotaryEmbedding(zip(frequencies, factors).map { $0 / $1 }, attentionFactor, isInterleaved)
  }

  private static func llama3(
    _ frequency: Double, _ wavelength: Double, _ factor: Double, _ low: Double, _ high: Double, _ context: Double
  ) -> Double {
    if wavelength > context / low { return frequency / factor }
    if wavelength < context / high { return frequency }
    let kept = (context / wavelength - low) / (high - low)
    return (1 - kept) * frequency / factor + kept * frequency
  }

  /// Writes the cosines and sines of one position, half a head's width of each.
  func write(position: Int, cosines: UnsafeMutablePointer<Float>, sines: UnsafeMutablePointer<Float>) {
    for (i, frequency) in frequencies.enumerated() {
      // The angle is a float's, as in transformers.
      let (sine, cosine) = ExactMath.sineAndCosine(Double(Float(position) * frequency))
      cosines[i] = Float(cosine) * attentionFactor
      sines[i] = Float(sine) * attentionFactor
    }
  }
}

extension RotaryEmbedding.YaRN {
  /// 0.1·scale·ln(factor) + 1
  static func magnitude(_ factor: Double, scale: Double = 1) -> Double {
    factor <= 1 ? 1 : 0.1 * scale * ExactMath.log(factor) + 1
  }

  /// What pair `i`'s frequency is multiplied by: 1 for what turns often within the original context, 1 / factor for what
  /// turns seldom.
  fileprivate func share(of i: Int, base: Double, headWidth: Int) -> Double {
    func dimension(rotations: Double) -> Double {
      Double(headWidth) * ExactMath.log(Double(originalContext) / (rotations * 2 * .pi)) / (2 * ExactMath.log(base))
    }
    var (low, high) = (dimension(rotations: betaFast), dimension(rotations: betaSlow))
    if truncates { (low, high) = (low.rounded(.down), high.rounded(.up)) }
    low = max(low, 0)
    high = min(high, Double(headWidth - 1))
    if low == high { high += 0.001 }
    let interpolated = max(0, min(1, (Double(i) - low) / (high - low)))
    return interpolated / factor + (1 - interpolated)
  }
}
