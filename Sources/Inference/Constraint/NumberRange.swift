/// Which numbers may be written, and how. A number is followed digit by digit: a digit may come where some number of the
/// range begins so.
struct NumberRange: Sendable, Equatable {
  /// Digits behind the point at most, where there are bounds.
  static let fractionDigits = 6
  /// The greatest bound of a number.
  static let limit: Int64 = 1_000_000_000_000
  /// The greatest integer that a double holds exactly, as its neighbours.
  static let integerLimit: Int64 = (1 << 53) - 1

  /// Least and greatest, in units; nil where every number is allowed and exponents too.
  let bounds: (low: Int64, high: Int64)?
  /// Units of one: 1 for integers.
  let scale: Int64

  static let free = NumberRange(bounds: nil, scale: 1)
  static let integers = NumberRange(bounds: (-integerLimit, integerLimit), scale: 1)

  static func == (a: NumberRange, b: NumberRange) -> Bool {
    a.scale == b.scale && a.bounds?.low == b.bounds?.low && a.bounds?.high == b.bounds?.high
  }

  var isEmpty: Bool { bounds.map { $0.low > $0.high } ?? false }

  /// Where a number is. Free numbers count their digits in `digits`.
  struct State: Hashable {
    enum Phase: Int32 { case start, minus, zero, integer, point, fraction, exponent, exponentSign, exponentDigits }
    var phase = Phase.start
    var isNegative = false
    /// The digits so far as one number; for a free one how many there are in this phase.
    var digits: Int64 = 0
    /// How many of them stand behind the point.
    var fraction: Int32 = 0
  }

  /// What the state is after a byte; nil where no number of the range goes on so.
  func step(_ state: State, _ byte: UInt8) -> State? {
    guard let bounds else { return freeStep(state, byte) }
    var next = state
    switch (state.phase, byte) {
    case (.start, UInt8(ascii: "-")):
      next.isNegative = true
      next.phase = .minus
      return magnitudes(bounds, isNegative: true) == nil ? nil : next
    case (.start, 0x30...0x39), (.minus, 0x30...0x39):
      next.digits = Int64(byte - 0x30)
      next.phase = byte == 0x30 ? .zero : .integer
    case (.integer, 0x30...0x39): next.digits = state.digits * 10 + Int64(byte - 0x30)
    case (.zero, UInt8(ascii: ".")), (.integer, UInt8(ascii: ".")):
      guard scale > 1 else { return nil }
      next.phase = .point
    case (.point, 0x30...0x39), (.fraction, 0x30...0x39):
      guard Int(state.fraction) < Self.fractionDigits else { return nil }
      next.digits = state.digits * 10 + Int64(byte - 0x30)
      next.fraction += 1
      next.phase = .fraction
    default: return nil
    }
    return canEnd(next, bounds) ? next : nil
  }

  /// Whether the number may end here.
  func isWhole(_ state: State) -> Bool {
    guard let bounds else {
      return [.zero, .integer, .fraction, .exponentDigits].contains(state.phase)
    }
    guard [.zero, .integer, .fraction].contains(state.phase),
      let range = magnitudes(bounds, isNegative: state.isNegative)
    else { return false }
    return range.contains(state.digits * unit(state.fraction))
  }

  /// Units of the last digit.
  private func unit(_ fraction: Int32) -> Int64 { (0..<fraction).reduce(scale) { unit, _ in unit / 10 } }

  /// The magnitudes that a number of this sign may have; no zero has a sign.
  private func magnitudes(_ bounds: (low: Int64, high: Int64), isNegative: Bool) -> ClosedRange<Int64>? {
    let (low, high) = isNegative ? (max(1, -bounds.high), -bounds.low) : (max(0, bounds.low), bounds.high)
    return low <= high ? low...high : nil
  }

  /// Whether some number of the range begins so. Bounds are below 10¹⁸ units, so that nothing here overflows: each
  /// state's digits are those of a number within the bounds, and get one digit more.
  private func canEnd(_ state: State, _ bounds: (low: Int64, high: Int64)) -> Bool {
    guard let range = magnitudes(bounds, isNegative: state.isNegative) else { return false }
    var unit = unit(state.fraction)
    func overlaps(_ digits: Int64, _ unit: Int64) -> Bool? {
      let (first, overflow) = digits.multipliedReportingOverflow(by: unit)
      guard !overflow, first <= range.upperBound else { return nil }
      let (last, beyond) = first.addingReportingOverflow(unit - 1)
      return beyond || last >= range.lowerBound
    }
    guard state.phase == .integer else { return overlaps(state.digits, unit) ?? false }
    // More digits before the point may come.
    while let found = overlaps(state.digits, unit) {
      if found { return true }
      let (larger, overflow) = unit.multipliedReportingOverflow(by: 10)
      if overflow { return false }
      unit = larger
    }
    return false
  }

  private func freeStep(_ state: State, _ byte: UInt8) -> State? {
    var next = state
    func digit(_ phase: State.Phase, most: Int64) -> State? {
      next.digits = phase == state.phase ? state.digits + 1 : 1
      next.phase = phase
      return next.digits <= most ? next : nil
    }
    func other(_ phase: State.Phase) -> State {
      next.phase = phase
      next.digits = 0
      return next
    }
    switch (state.phase, byte) {
    case (.start, UInt8(ascii: "-")): return other(.minus)
    case (.start, 0x30), (.minus, 0x30): return other(.zero)
    case (.start, 0x31...0x39), (.minus, 0x31...0x39), (.integer, 0x30...0x39): return digit(.integer, most: 15)
    case (.zero, UInt8(ascii: ".")), (.integer, UInt8(ascii: ".")): return other(.point)
    case (.point, 0x30...0x39), (.fraction, 0x30...0x39): return digit(.fraction, most: 15)
    case (.zero, UInt8(ascii: "e")), (.integer, UInt8(ascii: "e")), (.fraction, UInt8(ascii: "e")):
      return other(.exponent)
    case (.exponent, UInt8(ascii: "+")), (.exponent, UInt8(ascii: "-")): return other(.exponentSign)
    case (.exponent, 0x30...0x39), (.exponentSign, 0x30...0x39), (.exponentDigits, 0x30...0x39):
      return digit(.exponentDigits, most: 2)
    default: return nil
    }
  }
}
