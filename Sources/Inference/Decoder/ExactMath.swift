/// Functions of a double that give the same bits on every machine: sums, products and quotients of IEEE 754 in one
/// order, and nothing of the system's mathematics library. Each is within a few units in the last place.
enum ExactMath {
  private static let ln2High = 0x1.62e42fee00000p-1
  private static let ln2Low = 0x1.a39ef35793c76p-33

  /// The nearest integer, ties to even; of at most 2⁵¹ in size.
  private static func rounded(_ x: Double) -> Double {
    let magic = 0x1.8p52
    return (x + magic) - magic
  }

  /// eˣ; zero below −700, and what it is at 700 above.
  static func exp(_ x: Double) -> Double {
    guard x >= -700 else { return 0 }
    let x = min(x, 700)
    let n = rounded(x * 0x1.71547652b82fep0)
    let r = (x - n * ln2High) - n * ln2Low
    // Taylor's series: |r| ≤ ½·ln 2, and the first term that is left out is below 2⁻⁵⁷.
    var sum = 0x1.6124613a86d09p-33  // 1 / 13!
    sum = sum * r + 0x1.1eed8eff8d898p-29
    sum = sum * r + 0x1.ae64567f544e4p-26
    sum = sum * r + 0x1.27e4fb7789f5cp-22
    sum = sum * r + 0x1.71de3a556c734p-19
    sum = sum * r + 0x1.a01a01a01a01ap-16
    sum = sum * r + 0x1.a01a01a01a01ap-13
    sum = sum * r + 0x1.6c16c16c16c17p-10
    sum = sum * r + 0x1.1111111111111p-7
    sum = sum * r + 0x1.5555555555555p-5
    sum = sum * r + 0x1.5555555555555p-3
    sum = sum * r + 0.5
    sum = sum * r + 1
    sum = sum * r + 1
    return sum * Double(sign: .plus, exponent: Int(n), significand: 1)
  }

  /// The natural logarithm of a positive, normal number.
  static func log(_ x: Double) -> Double {
    var (m, e) = (x.significand, Double(x.exponent))
    if m > 0x1.6a09e667f3bcdp0 { (m, e) = (m / 2, e + 1) }
    // ln m = 2·artanh s, |s| < 0.172
    let s = (m - 1) / (m + 1)
    var sum = 0.0
    for k in stride(from: 25.0, through: 1.0, by: -2.0) { sum = sum * s * s + 1 / k }
    return e * ln2High + (e * ln2Low + 2 * s * sum)
  }

  /// baseˣ for a positive base.
  static func power(_ base: Double, _ x: Double) -> Double { exp(x * log(base)) }

  /// Sine and cosine of an angle of at most 2²² in size; beyond, of the angle cut to that.
  static func sineAndCosine(_ angle: Double) -> (sine: Double, cosine: Double) {
    let x = max(-0x1p22, min(0x1p22, angle))
    // π/2 in three parts, of which the first two have few enough bits that their multiples are exact.
    let n = rounded(x * 0x1.45f306dc9c883p-1)
    let r = ((x - n * 0x1.921fb54400000p0) - n * 0x1.0b4611a600000p-34) - n * 0x1.3198a2e037073p-69
    let square = r * r
    var (sine, cosine) = (1.0, 1.0)  // Taylor's series, |r| ≤ π/4
    for k in stride(from: 16.0, through: 2.0, by: -2.0) {
      sine = 1 - sine * square / (k * (k + 1))
      cosine = 1 - cosine * square / (k * (k - 1))
    }
    sine *= r
    switch Int(n) & 3 {
    case 0: return (sine, cosine)
    case 1: return (cosine, -sine)
    case 2: return (-sine, -cosine)
    default: return (-cosine, sine)
    }
  }
}
