extension NumberRange {
  /// The bounds that a schema's keywords say. Throws where one is no number that is held to exactly.
  init(_ schema: JSONObject, isInteger: Bool, _ path: String) throws(SchemaError) {
    let names = ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"]
    guard names.contains(where: { schema[$0] != nil }) || isInteger else {
      self = .free
      return
    }
    let scale: Int64 = isInteger ? 1 : 1_000_000
    let limit = isInteger ? Self.integerLimit : Self.limit * scale
    var (low, high) = (-limit, limit)
    for name in names {
      guard let value = schema[name] else { continue }
      guard case .number(let text) = value, let units = Self.units(text, scale: scale), units.whole.magnitude <= limit
      else {
        throw SchemaError(
          path, "`\(name)` must be a number of at most \(isInteger ? "2⁵³ − 1" : "10¹² with 6 digits behind the point")"
        )
      }
      // `whole` is rounded down; a rest makes the next unit the first that is above.
      switch name {
      case "minimum": low = max(low, units.whole + (units.rest ? 1 : 0))
      case "exclusiveMinimum": low = max(low, units.whole + 1)
      case "maximum": high = min(high, units.whole)
      default: high = min(high, units.whole - (units.rest ? 0 : 1))
      }
    }
    self.init(bounds: (low, high), scale: scale)
  }

  /// A decimal number in units, rounded down, and whether something was cut off. Nil for exponents, for more digits than
  /// are held to, and for large ones.
  private static func units(_ text: String, scale: Int64) -> (whole: Int64, rest: Bool)? {
    let isNegative = text.hasPrefix("-")
    let parts = text.drop { $0 == "-" }.split(separator: ".", omittingEmptySubsequences: false)
    // With its fraction it is below 2⁶³ in millionths too.
    guard let integer = Int64(parts[0]), parts.count <= 2, integer <= (scale == 1 ? integerLimit : limit) else {
      return nil
    }
    var fraction = parts.count == 2 ? Array(parts[1].utf8) : []
    guard fraction.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    while fraction.last == 0x30 { fraction.removeLast() }
    let digits = scale == 1 ? 0 : fractionDigits
    guard scale == 1 || fraction.count <= digits else { return nil }
    let rest = fraction.count > digits
    var units = integer * scale
    var unit = scale
    for digit in fraction.prefix(digits) {
      unit /= 10
      units += Int64(digit - 0x30) * unit
    }
    return isNegative ? (-units - (rest ? 1 : 0), rest) : (units, rest)
  }
}
