/// Expressions, by Jinja's own grammar and order of precedence.
extension TemplateParser {
  /// An expression over these, one higher than the highest of them. Chains such as `a + b + …` grow so, too.
  private func make(
    _ kind: TemplateExpression.Kind, over height: Int, line: Int
  ) throws(TemplateError) -> TemplateExpression {
    guard height < limits.depth / 2 else {
      throw TemplateError(.limit, "an expression of more than \(limits.depth / 2) levels", line: line)
    }
    return TemplateExpression(kind: kind, line: line, height: height + 1)
  }

  /// One expression, or several with commas between them, which are a tuple.
  mutating func tuple(conditional: Bool) throws(TemplateError) -> TemplateExpression {
    let line = line
    let first = conditional ? try expression() : try or()
    guard isOp(",") else { return first }
    var items = [first]
    while skip(op: ",") {
      if token.kind == .blockEnd || token.kind == .variableEnd || isOp(")") { break }
      items.append(conditional ? try expression() : try or())
    }
    return try make(.tuple(items), over: items.map(\.height).max() ?? 0, line: line)
  }

  mutating func expression() throws(TemplateError) -> TemplateExpression {
    try nested { parser throws(TemplateError) in try parser.conditional() }
  }

  private mutating func conditional() throws(TemplateError) -> TemplateExpression {
    let line = line
    var value = try or()
    while skip(name: "if") {
      let test = try or()
      let otherwise = skip(name: "else") ? try expression() : nil
      value = try make(
        .conditional(then: value, if: test, else: otherwise),
        over: max(value.height, test.height, otherwise?.height ?? 0), line: line)
    }
    return value
  }

  private mutating func binary(
    _ op: TemplateExpression.Binary, _ left: TemplateExpression, _ right: TemplateExpression, _ line: Int
  ) throws(TemplateError) -> TemplateExpression {
    try make(.binary(op, left, right), over: max(left.height, right.height), line: line)
  }

  private mutating func or() throws(TemplateError) -> TemplateExpression {
    let line = line
    var left = try and()
    while skip(name: "or") { left = try binary(.or, left, try and(), line) }
    return left
  }

  private mutating func and() throws(TemplateError) -> TemplateExpression {
    let line = line
    var left = try not()
    while skip(name: "and") { left = try binary(.and, left, try not(), line) }
    return left
  }

  private mutating func not() throws(TemplateError) -> TemplateExpression {
    let line = line
    guard skip(name: "not") else { return try comparison() }
    let value = try nested { parser throws(TemplateError) in try parser.not() }
    return try make(.unary(.not, value), over: value.height, line: line)
  }

  private mutating func comparison() throws(TemplateError) -> TemplateExpression {
    let line = line
    let first = try sum()
    var others: [(TemplateExpression.Comparison, TemplateExpression)] = []
    while let op = comparisonOperator() { others.append((op, try sum())) }
    guard !others.isEmpty else { return first }
    return try make(
      .comparison(first, others), over: max(first.height, others.map(\.1.height).max() ?? 0), line: line)
  }

  private mutating func comparisonOperator() -> TemplateExpression.Comparison? {
    if case .op(let text) = token.kind, let op = TemplateExpression.Comparison(rawValue: text) {
      advance()
      return op
    }
    if skip(name: "in") { return .isIn }
    if isName("not"), isNameAhead("in") {
      advance()
      advance()
      return .notIn
    }
    return nil
  }

  private mutating func operatorAmong(_ ops: [TemplateExpression.Binary]) -> TemplateExpression.Binary? {
    guard case .op(let text) = token.kind, let op = ops.first(where: { $0.rawValue == text }) else { return nil }
    advance()
    return op
  }

  private mutating func sum() throws(TemplateError) -> TemplateExpression {
    let line = line
    var left = try concatenation()
    while let op = operatorAmong([.add, .subtract]) { left = try binary(op, left, try concatenation(), line) }
    return left
  }

  private mutating func concatenation() throws(TemplateError) -> TemplateExpression {
    let line = line
    var parts = [try product()]
    while skip(op: "~") { parts.append(try product()) }
    return parts.count == 1
      ? parts[0] : try make(.concatenation(parts), over: parts.map(\.height).max() ?? 0, line: line)
  }

  private mutating func product() throws(TemplateError) -> TemplateExpression {
    let line = line
    var left = try power()
    while let op = operatorAmong([.multiply, .divide, .floor, .remainder]) {
      left = try binary(op, left, try power(), line)
    }
    return left
  }

  private mutating func power() throws(TemplateError) -> TemplateExpression {
    let line = line
    var left = try unary(filters: true)
    while let op = operatorAmong([.power]) { left = try binary(op, left, try unary(filters: true), line) }
    return left
  }

  private mutating func unary(filters: Bool) throws(TemplateError) -> TemplateExpression {
    try nested { parser throws(TemplateError) in
      let line = parser.line
      var value: TemplateExpression
      if parser.isOp("-") || parser.isOp("+") {
        let sign: TemplateExpression.Unary = parser.isOp("-") ? .minus : .plus
        parser.advance()
        let operand = try parser.unary(filters: false)
        value = try parser.make(.unary(sign, operand), over: operand.height, line: line)
      } else {
        value = try parser.primary()
      }
      value = try parser.postfix(value)
      return filters ? try parser.filtersAndTests(value) : value
    }
  }

  private static let words: [String: TemplateLiteral] = [
    "true": .bool(true), "True": .bool(true), "false": .bool(false), "False": .bool(false), "none": .none,
    "None": .none,
  ]

  private mutating func primary() throws(TemplateError) -> TemplateExpression {
    let line = line
    switch token.kind {
    case .name(let name):
      guard !["in", "if", "else", "and", "or", "is", "not", "elif"].contains(name) else {
        throw error("expected a value")
      }
      advance()
      if let word = Self.words[name] { return try make(.value(word), over: 0, line: line) }
      return try make(.name(name), over: 0, line: line)
    case .string(var text):
      advance()
      while case .string(let more) = token.kind {
        text += more
        advance()
      }
      return try make(.value(.string(text)), over: 0, line: line)
    case .integer(let value):
      advance()
      return try make(.value(.integer(value)), over: 0, line: line)
    case .float(let value):
      advance()
      return try make(.value(.float(value)), over: 0, line: line)
    case .op("("):
      advance()
      if skip(op: ")") { return try make(.tuple([]), over: 0, line: line) }
      let value = try tuple(conditional: true)
      try expect(op: ")")
      return value
    case .op("["):
      advance()
      let items = try items(until: "]")
      return try make(.list(items), over: items.map(\.height).max() ?? 0, line: line)
    case .op("{"):
      advance()
      return try dictionary(line)
    default: throw error("expected a value")
    }
  }

  private mutating func items(until end: String) throws(TemplateError) -> [TemplateExpression] {
    var items: [TemplateExpression] = []
    while !isOp(end) {
      if !items.isEmpty { try expect(op: ",") }
      if isOp(end) { break }
      items.append(try expression())
    }
    advance()
    return items
  }

  private mutating func dictionary(_ line: Int) throws(TemplateError) -> TemplateExpression {
    var members: [(key: TemplateExpression, value: TemplateExpression)] = []
    var height = 0
    while !isOp("}") {
      if !members.isEmpty { try expect(op: ",") }
      if isOp("}") { break }
      let key = try expression()
      try expect(op: ":")
      members.append((key, try expression()))
      height = max(height, key.height, members[members.count - 1].value.height)
    }
    advance()
    return try make(.dictionary(members), over: height, line: line)
  }

  private mutating func postfix(_ start: TemplateExpression) throws(TemplateError) -> TemplateExpression {
    var value = start
    while true {
      let line = line
      if skip(op: ".") {
        if case .integer(let index) = token.kind {
          advance()
          let index = try make(.value(.integer(index)), over: 0, line: line)
          value = try make(.item(value, index), over: value.height, line: line)
        } else {
          value = try make(.attribute(value, try name()), over: value.height, line: line)
        }
      } else if skip(op: "[") {
        value = try subscripted(value, line)
      } else if isOp("(") {
        let arguments = try arguments()
        value = try make(.call(value, arguments), over: max(value.height, arguments.height), line: line)
      } else {
        return value
      }
    }
  }

  private mutating func subscripted(_ value: TemplateExpression, _ line: Int) throws(TemplateError)
    -> TemplateExpression
  {
    var parts: [TemplateExpression?] = []
    while true {
      parts.append(isOp(":") || isOp("]") ? nil : try expression())
      guard parts.count < 3, skip(op: ":") else { break }
    }
    try expect(op: "]")
    if parts.count == 1 {
      guard let index = parts[0] else { throw error("expected an index") }
      return try make(.item(value, index), over: max(value.height, index.height), line: line)
    }
    let height = parts.reduce(value.height) { max($0, $1?.height ?? 0) }
    return try make(
      .slice(value, from: parts[0], to: parts[1], step: parts.count > 2 ? parts[2] : nil), over: height, line: line)
  }

  /// Arguments of one call, and parameters of one macro.
  static let argumentsLimit = 256

  /// What stands in brackets, which are the current token.
  mutating func arguments() throws(TemplateError) -> TemplateArguments {
    try expect(op: "(")
    var arguments = TemplateArguments()
    var isFirst = true
    while !isOp(")") {
      if !isFirst { try expect(op: ",") }
      isFirst = false
      if isOp(")") { break }
      guard arguments.positional.count + arguments.named.count < Self.argumentsLimit else {
        throw error("more than \(Self.argumentsLimit) arguments")
      }
      if isOp("*") || isOp("**") { throw error("arguments by `*` are not read") }
      if case .name(let name) = token.kind, isOpAhead("=") {
        advance()
        advance()
        guard !arguments.named.contains(where: { $0.name == name }) else { throw error("an argument stands twice") }
        arguments.named.append((name, try expression()))
      } else {
        guard arguments.named.isEmpty else { throw error("an argument without a name behind one with a name") }
        arguments.positional.append(try expression())
      }
    }
    advance()
    return arguments
  }

  private mutating func filtersAndTests(_ start: TemplateExpression) throws(TemplateError) -> TemplateExpression {
    var value = start
    while true {
      let line = line
      if skip(op: "|") {
        let name = try name()
        guard TemplateFilters.names.contains(name) else {
          throw error("the filter `\(TemplateText.start(of: name))` is not read")
        }
        let arguments = isOp("(") ? try arguments() : TemplateArguments()
        value = try make(.filter(value, name, arguments), over: max(value.height, arguments.height), line: line)
      } else if skip(name: "is") {
        let negated = skip(name: "not")
        let name = try name()
        guard TemplateTests.names.contains(name) else {
          throw error("the test `\(TemplateText.start(of: name))` is not read")
        }
        let arguments = try testArguments()
        value = try make(
          .test(value, name, arguments, negated: negated), over: max(value.height, arguments.height), line: line)
      } else if isOp("(") {
        let arguments = try arguments()
        value = try make(.call(value, arguments), over: max(value.height, arguments.height), line: line)
      } else {
        return value
      }
    }
  }

  /// In brackets, or one value without them.
  private mutating func testArguments() throws(TemplateError) -> TemplateArguments {
    switch token.kind {
    case .op("("): return try arguments()
    case .name(let name) where ["else", "or", "and"].contains(name): break
    case .name, .string, .integer, .float, .op("["), .op("{"):
      return TemplateArguments(positional: [try postfix(try primary())])
    default: break
    }
    return TemplateArguments()
  }
}
