/// Reads a token's score as the JSON reader of Hugging Face's `tokenizers` does, which rounds twice: its last bit
/// decides between ways to part a word that are otherwise equal.
enum UnigramScore {
  /// Nil when the value is no number, or none that fits.
  static func read(_ value: JSONValue) -> Double? {
    guard case .number(let text) = value else { return nil }
    var digits = Substring(text).utf8
    let isNegative = digits.first == UInt8(ascii: "-")
    if isNegative { digits.removeFirst() }
    var (significand, exponent): (UInt64, Int) = (0, 0)
    var (isFraction, isFull) = (false, false)
    while let character = digits.first, character != UInt8(ascii: "e"), character != UInt8(ascii: "E") {
      digits.removeFirst()
      guard character != UInt8(ascii: ".") else {
        isFraction = true
        continue
      }
      let (product, overflow) = significand.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(character - UInt8(ascii: "0")))
      if isFull || overflow || carry {
        // Further digits count for the size alone.
        isFull = true
        if !isFraction { exponent += 1 }
      } else {
        significand = sum
        if isFraction { exponent -= 1 }
      }
    }
    if !digits.isEmpty {
      guard let said = Int(String(Substring(digits.dropFirst()))), abs(said) < 10_000 else { return nil }
      exponent += said
    }
    return scaled(Double(significand), exponent).map { isNegative ? -$0 : $0 }
  }

  private static func scaled(_ number: Double, _ exponent: Int) -> Double? {
    var (number, exponent) = (number, exponent)
    while exponent < -308, number != 0 {
      number /= 1e308
      exponent += 308
    }
    guard number != 0 else { return 0 }
    guard exponent <= 308, let power = Double("1e\(abs(exponent))") else { return nil }
    let scaled = exponent >= 0 ? number * power : number / power
    return scaled.isFinite ? scaled : nil
  }
}
