/// Operators with Python's meaning. What would overflow 64 bits is an error, where Python would go on.
extension TemplateInterpreter {
  private func mismatch(_ op: String, _ a: TemplateValue, _ b: TemplateValue) -> TemplateError {
    if case .undefined(let why) = a { return TemplateError(.evaluation, why) }
    if case .undefined(let why) = b { return TemplateError(.evaluation, why) }
    return TemplateError(.evaluation, "`\(op)` of \(a.kind) and \(b.kind)")
  }

  private static let overflow = TemplateError(.evaluation, "an integer of more than 64 bits")

  func unary(_ op: TemplateExpression.Unary, _ value: TemplateValue) throws(TemplateError) -> TemplateValue {
    switch (op, value) {
    case (.not, _): return .bool(!value.isTrue)
    case (.plus, .float): return value
    case (.minus, .float(let number)): return .float(-number)
    default:
      guard let integer = value.integer else { throw mismatch("-", value, value) }
      if op == .plus { return .integer(integer) }
      guard integer != .min else { throw Self.overflow }
      return .integer(-integer)
    }
  }

  func arithmetic(
    _ op: TemplateExpression.Binary, _ a: TemplateValue, _ b: TemplateValue
  ) throws(TemplateError) -> TemplateValue {
    if let x = a.integer, let y = b.integer { return try integers(op, x, y) }
    if let x = a.double, let y = b.double { return try floats(op, x, y) }
    switch (op, a, b) {
    case (.add, .string(let x), .string(let y)):
      try meter.make(x.utf8.count + y.utf8.count)
      return .string(x + y)
    case (.add, .list(let x), .list(let y)):
      try meter.makeItems(x.items.count + y.items.count)
      return try .list(of: x.items + y.items)
    case (.add, .tuple(let x), .tuple(let y)):
      try meter.makeItems(x.items.count + y.items.count)
      return .tuple(try TemplateList(x.items + y.items))
    case (.multiply, .string(let text), _), (.multiply, _, .string(let text)):
      guard let count = a.integer ?? b.integer else { throw mismatch(op.rawValue, a, b) }
      let (bytes, overflow) = text.utf8.count.multipliedReportingOverflow(by: max(0, count))
      try meter.make(overflow ? .max : bytes)
      return .string(bytes == 0 ? "" : String(repeating: text, count: max(0, count)))
    case (.multiply, .list(let list), _), (.multiply, _, .list(let list)):
      guard let count = a.integer ?? b.integer else { throw mismatch(op.rawValue, a, b) }
      let (items, overflow) = list.items.count.multipliedReportingOverflow(by: max(0, count))
      try meter.makeItems(overflow ? .max : items)
      return try .list(of: items == 0 ? [] : Array(repeating: list.items, count: max(0, count)).flatMap { $0 })
    default: throw mismatch(op.rawValue, a, b)
    }
  }

  private func integers(_ op: TemplateExpression.Binary, _ x: Int, _ y: Int) throws(TemplateError) -> TemplateValue {
    let result: (partialValue: Int, overflow: Bool)
    switch op {
    case .add: result = x.addingReportingOverflow(y)
    case .subtract: result = x.subtractingReportingOverflow(y)
    case .multiply: result = x.multipliedReportingOverflow(by: y)
    case .divide: return try floats(op, Double(x), Double(y))
    case .floor, .remainder:
      guard y != 0 else { throw TemplateError(.evaluation, "a division by zero") }
      guard y != -1 else { return op == .floor ? try integers(.multiply, x, -1) : .integer(0) }
      let (quotient, rest) = x.quotientAndRemainder(dividingBy: y)
      let below = rest != 0 && (rest < 0) != (y < 0)
      return .integer(op == .floor ? (below ? quotient - 1 : quotient) : (below ? rest + y : rest))
    case .power:
      guard y >= 0 else { return try floats(op, Double(x), Double(y)) }
      guard y <= 64 || (-1...1).contains(x) else { throw Self.overflow }
      var power: (partialValue: Int, overflow: Bool) = (1, false)
      for _ in 0..<(y <= 64 ? y : 64 + y % 2) {
        power = power.partialValue.multipliedReportingOverflow(by: x)
        guard !power.overflow else { throw Self.overflow }
      }
      result = power
    case .or, .and: throw TemplateError(.evaluation, "not a number's operator")
    }
    guard !result.overflow else { throw Self.overflow }
    return .integer(result.partialValue)
  }

  private func floats(_ op: TemplateExpression.Binary, _ x: Double, _ y: Double) throws(TemplateError) -> TemplateValue
  {
    switch op {
    case .add: return .float(x + y)
    case .subtract: return .float(x - y)
    case .multiply: return .float(x * y)
    case .divide, .floor, .remainder:
      guard y != 0 else { throw TemplateError(.evaluation, "a division by zero") }
      if op == .divide { return .float(x / y) }
      var rest = x.truncatingRemainder(dividingBy: y)
      if rest != 0, (rest < 0) != (y < 0) { rest += y }
      return .float(op == .remainder ? rest : ((x - rest) / y).rounded(.toNearestOrEven))
    case .power:
      guard let exponent = Int(exactly: y), (-1024...1024).contains(exponent), x != 0 || exponent >= 0 else {
        throw TemplateError(.evaluation, "a power of no small integer")
      }
      let power = (0..<exponent.magnitude).reduce(1.0) { power, _ in power * x }
      return .float(exponent < 0 ? 1 / power : power)
    case .or, .and: throw TemplateError(.evaluation, "not a number's operator")
    }
  }

  // MARK: comparisons

  func compare(
    _ op: TemplateExpression.Comparison, _ a: TemplateValue, _ b: TemplateValue
  ) throws(TemplateError) -> Bool {
    switch op {
    case .equal: return try equal(a, b)
    case .unequal: return try !equal(a, b)
    case .less: return try less(a, b)
    case .greater: return try less(b, a)
    case .lessOrEqual: return try !less(b, a)
    case .greaterOrEqual: return try !less(a, b)
    case .isIn: return try contains(b, a)
    case .notIn: return try !contains(b, a)
    }
  }

  func equal(_ a: TemplateValue, _ b: TemplateValue) throws(TemplateError) -> Bool {
    try meter.step()
    if let x = a.integer, let y = b.integer { return x == y }
    if let x = a.double, let y = b.double { return x == y }
    switch (a, b) {
    case (.undefined, .undefined), (.none, .none): return true
    case (.string(let x), .string(let y)):
      try meter.read(min(x.utf8.count, y.utf8.count))
      return TemplateText.equal(x, y)
    case (.list(let x), .list(let y)), (.tuple(let x), .tuple(let y)):
      guard x.items.count == y.items.count else { return false }
      for (one, other) in zip(x.items, y.items) where try !equal(one, other) { return false }
      return true
    case (.dictionary(let x), .dictionary(let y)):
      guard x.members.count == y.members.count else { return false }
      for member in x.members {
        guard let place = try place(of: member.name, in: y.members),
          try equal(member.value, y.members[place].value)
        else { return false }
      }
      return true
    case (.namespace(let x), .namespace(let y)): return x === y
    case (.loop(let x), .loop(let y)): return x === y
    case (.macro(let x), .macro(let y)): return x === y
    default: return false
    }
  }

  func less(_ a: TemplateValue, _ b: TemplateValue) throws(TemplateError) -> Bool {
    try meter.step()
    if let x = a.integer, let y = b.integer { return x < y }
    if let x = a.double, let y = b.double {
      guard !x.isNaN, !y.isNaN else { throw TemplateError(.evaluation, "an order of what is not a number") }
      return x < y
    }
    switch (a, b) {
    case (.string(let x), .string(let y)):
      try meter.read(min(x.utf8.count, y.utf8.count))
      return TemplateText.less(x, y)
    case (.list(let x), .list(let y)), (.tuple(let x), .tuple(let y)):
      for (one, other) in zip(x.items, y.items) where try !equal(one, other) { return try less(one, other) }
      return x.items.count < y.items.count
    default: throw mismatch("<", a, b)
    }
  }

  func contains(_ container: TemplateValue, _ value: TemplateValue) throws(TemplateError) -> Bool {
    switch container {
    case .string(let text):
      guard case .string(let part) = value else { throw mismatch("in", value, container) }
      return try find(part, in: text) != nil
    case .dictionary(let dictionary):
      guard case .string(let name) = value else { return false }
      return try place(of: name, in: dictionary.members) != nil
    case .namespace: throw mismatch("in", value, container)
    default:
      for item in try items(of: container) where try equal(item, value) { return true }
      return false
    }
  }

  /// Where `part` first stands in a text, in bytes, at or behind `start`. Each comparison is paid for, since the search
  /// takes the product of both lengths at worst.
  func find(_ part: String, in text: String, from start: Int = 0) throws(TemplateError) -> Int? {
    let (text, part) = (Array(text.utf8), Array(part.utf8))
    try meter.read(text.count + part.count)
    return try find(part, in: text, from: start)
  }

  func find(_ part: [UInt8], in text: [UInt8], from start: Int) throws(TemplateError) -> Int? {
    guard let first = part.first else { return start <= text.count ? start : nil }
    var place = start
    var unpaid = 0
    while place + part.count <= text.count {
      if text[place] == first {
        var same = 1
        while same < part.count, text[place + same] == part[same] { same += 1 }
        unpaid += same
        if same == part.count {
          try meter.read(unpaid)
          return place
        }
      }
      place += 1
      unpaid += 1
      if unpaid >= 4096 {
        try meter.read(unpaid)
        unpaid = 0
      }
    }
    return nil
  }

  /// Where `part`, which is not empty, last stands in a text. Paid for as the first place is.
  func findLast(_ part: [UInt8], in text: [UInt8]) throws(TemplateError) -> Int? {
    var place = text.count - part.count
    var unpaid = 0
    while place >= 0 {
      var same = 0
      while same < part.count, text[place + same] == part[same] { same += 1 }
      unpaid += same + 1
      if same == part.count || unpaid >= 4096 {
        try meter.read(unpaid)
        unpaid = 0
      }
      if same == part.count { return place }
      place -= 1
    }
    return nil
  }

  // MARK: texts

  /// Python's `str`.
  func text(_ value: TemplateValue) throws(TemplateError) -> String {
    switch value {
    case .undefined: return ""
    case .string(let text): return text
    default:
      var text = ""
      try quote(value, into: &text)
      try meter.make(text.utf8.count)
      return text
    }
  }

  /// Appends Python's `repr`.
  private func quote(_ value: TemplateValue, into text: inout String) throws(TemplateError) {
    try meter.step()
    switch value {
    case .undefined: text += "Undefined"
    case .none: text += "None"
    case .bool(let value): text += value ? "True" : "False"
    case .integer(let value): text += String(value)
    case .float(let value): text += TemplateText.text(value)
    case .string(let string):
      try meter.make(2 * string.utf8.count)
      text += TemplateText.quoted(string)
    case .list(let list):
      text += "["
      try quote(list.items, into: &text)
      text += "]"
    case .tuple(let list):
      text += "("
      try quote(list.items, into: &text)
      text += list.items.count == 1 ? ",)" : ")"
    case .dictionary(let dictionary):
      text += "{"
      for (index, member) in dictionary.members.enumerated() {
        try meter.make(2 * member.name.utf8.count)
        text += (index > 0 ? ", " : "") + TemplateText.quoted(member.name) + ": "
        try checkLength(text)
        try quote(member.value, into: &text)
      }
      text += "}"
    case .namespace, .loop, .macro, .function, .method:
      throw TemplateError(.evaluation, "\(value.kind) cannot be printed")
    }
    try checkLength(text)
  }

  private func quote(_ items: [TemplateValue], into text: inout String) throws(TemplateError) {
    for (index, item) in items.enumerated() {
      if index > 0 { text += ", " }
      try quote(item, into: &text)
    }
  }

  /// Refuses a text that grew beyond what may be written at all, such as that of a list which holds itself many times.
  func checkLength(_ text: String) throws(TemplateError) {
    guard text.utf8.count <= limits.outputBytes else {
      throw TemplateError(.limit, "more than \(limits.outputBytes) bytes of text")
    }
  }
}
