/// Reads the tags of a template. Nesting is bounded, and so is everything that is run later by recursion.
struct TemplateParser {
  let limits: TemplateLimits
  private let tokens: [TemplateToken]
  private var place = 0
  var nesting = 0
  private var loops = 0

  /// The statements of a whole template. Throws for what is malformed, too deep, or outside of the subset.
  static func parse(_ source: [UInt8], limits: TemplateLimits) throws(TemplateError) -> [TemplateStatement] {
    guard source.count <= limits.sourceBytes else {
      throw TemplateError(.limit, "longer than \(limits.sourceBytes) bytes")
    }
    guard String(validating: source, as: UTF8.self) != nil else { throw TemplateError(.syntax, "not UTF-8") }
    var parser = TemplateParser(limits: limits, tokens: try TemplateLexer.tokens(of: source))
    let statements = try parser.body(until: [])
    return statements
  }

  private init(limits: TemplateLimits, tokens: [TemplateToken]) {
    self.limits = limits
    self.tokens = tokens
  }

  // MARK: tokens

  var token: TemplateToken { tokens[min(place, tokens.count - 1)] }
  var line: Int { token.line }
  func error(_ reason: String) -> TemplateError { TemplateError(.syntax, reason, line: line) }
  mutating func advance() { place += 1 }
  func isOp(_ op: String) -> Bool { token.kind == .op(op) }
  func isName(_ name: String) -> Bool { token.kind == .name(name) }

  /// Whether the token behind this one is `op`.
  func isOpAhead(_ op: String) -> Bool { place + 1 < tokens.count && tokens[place + 1].kind == .op(op) }

  /// Whether the token behind this one is the name.
  func isNameAhead(_ name: String) -> Bool { place + 1 < tokens.count && tokens[place + 1].kind == .name(name) }

  mutating func skip(op: String) -> Bool {
    guard isOp(op) else { return false }
    advance()
    return true
  }

  mutating func skip(name: String) -> Bool {
    guard isName(name) else { return false }
    advance()
    return true
  }

  mutating func expect(op: String) throws(TemplateError) {
    guard skip(op: op) else { throw error("expected `\(op)`") }
  }

  mutating func name() throws(TemplateError) -> String {
    guard case .name(let name) = token.kind else { throw error("expected a name") }
    advance()
    return name
  }

  /// Runs `parse` one level deeper.
  mutating func nested<T>(_ parse: (inout Self) throws(TemplateError) -> T) throws(TemplateError) -> T {
    nesting += 1
    defer { nesting -= 1 }
    guard nesting <= limits.nesting else {
      throw TemplateError(.limit, "nested deeper than \(limits.nesting)", line: line)
    }
    return try parse(&self)
  }

  private mutating func endTag() throws(TemplateError) {
    guard token.kind == .blockEnd else { throw error("expected the tag's end") }
    advance()
  }

  // MARK: statements

  /// Statements up to a tag of one of these names, whose name is the current token then; up to the end for none.
  private mutating func body(until ends: Set<String>) throws(TemplateError) -> [TemplateStatement] {
    var statements: [TemplateStatement] = []
    while true {
      switch token.kind {
      case .data(let text):
        statements.append(.text(text))
        advance()
      case .variableBegin:
        advance()
        statements.append(.print(try tuple(conditional: true)))
        guard token.kind == .variableEnd else { throw error("expected `}}`") }
        advance()
      case .blockBegin:
        advance()
        if case .name(let name) = token.kind, ends.contains(name) { return statements }
        statements.append(try nested { parser throws(TemplateError) in try parser.statement() })
      default:
        guard ends.isEmpty else { throw error("expected \(ends.sorted().map { "`\($0)`" }.joined(separator: " or "))") }
        return statements
      }
    }
  }

  private mutating func statement() throws(TemplateError) -> TemplateStatement {
    let line = line
    let tag = try name()
    switch tag {
    case "set": return try set(line)
    case "if": return try condition()
    case "for": return try loop(line)
    case "macro": return try macro(line)
    case "filter":
      let filters = try filterChain(first: true)
      try endTag()
      let body = try scoped(until: "endfilter")
      return .filtered(filters, body, line: line)
    case "with": return try with()
    case "generation":
      try endTag()
      return .scope([], try scoped(until: "endgeneration"))
    case "break", "continue":
      guard loops > 0 else { throw error("`\(tag)` outside of a loop") }
      try endTag()
      return .leave(breaks: tag == "break")
    default: throw TemplateError(.syntax, "the tag `\(TemplateText.start(of: tag))` is not read", line: line)
    }
  }

  /// A body that is a function of its own in Jinja, so that `break` does not reach beyond it.
  private mutating func scoped(until end: String) throws(TemplateError) -> [TemplateStatement] {
    let outer = loops
    loops = 0
    defer { loops = outer }
    return try closed(by: end)
  }

  private mutating func closed(by end: String) throws(TemplateError) -> [TemplateStatement] {
    let body = try body(until: [end])
    advance()
    try endTag()
    return body
  }

  private mutating func set(_ line: Int) throws(TemplateError) -> TemplateStatement {
    let target = try target(allowsAttribute: true)
    if skip(op: "=") {
      let value = try tuple(conditional: true)
      try endTag()
      return .set(target, value, line: line)
    }
    let filters = try filterChain(first: false)
    try endTag()
    return .capture(target, try scoped(until: "endset"), filters: filters, line: line)
  }

  private mutating func target(allowsAttribute: Bool) throws(TemplateError) -> TemplateTarget {
    let brackets = skip(op: "(")
    let first = try name()
    if allowsAttribute, !brackets, skip(op: ".") { return .attribute(first, try name()) }
    var names = [first]
    var isTuple = false
    while skip(op: ",") {
      isTuple = true
      guard case .name = token.kind, !isName("in") else { break }
      names.append(try name())
    }
    if brackets { try expect(op: ")") }
    for name in names where ["loop", "true", "false", "none", "True", "False", "None"].contains(name) {
      throw error("`\(name)` cannot be set")
    }
    return isTuple ? .names(names) : .name(first)
  }

  private mutating func filterChain(first: Bool) throws(TemplateError) -> [TemplateFilterCall] {
    var filters: [TemplateFilterCall] = []
    var isFirst = first
    while isFirst || isOp("|") {
      if !isFirst { advance() }
      isFirst = false
      let name = try name()
      filters.append(TemplateFilterCall(name: name, arguments: isOp("(") ? try arguments() : TemplateArguments()))
      guard TemplateFilters.names.contains(name) else {
        throw error("the filter `\(TemplateText.start(of: name))` is not read")
      }
    }
    return filters
  }

  private mutating func condition() throws(TemplateError) -> TemplateStatement {
    var branches: [(test: TemplateExpression, body: [TemplateStatement])] = []
    while true {
      let test = try tuple(conditional: false)
      try endTag()
      branches.append((test, try body(until: ["elif", "else", "endif"])))
      if skip(name: "elif") { continue }
      var otherwise: [TemplateStatement] = []
      if skip(name: "else") {
        try endTag()
        otherwise = try body(until: ["endif"])
      }
      advance()
      try endTag()
      return .condition(branches, otherwise: otherwise)
    }
  }

  private mutating func loop(_ line: Int) throws(TemplateError) -> TemplateStatement {
    let target = try target(allowsAttribute: false)
    guard skip(name: "in") else { throw error("expected `in`") }
    let sequence = try tuple(conditional: false)
    let condition = skip(name: "if") ? try expression() : nil
    if isName("recursive") { throw error("recursive loops are not read") }
    try endTag()
    // A refusal ends the parser, so that the count need not be right after one.
    loops += 1
    let body = try body(until: ["else", "endfor"])
    loops -= 1
    var otherwise: [TemplateStatement] = []
    if skip(name: "else") {
      try endTag()
      otherwise = try self.body(until: ["endfor"])
    }
    advance()
    try endTag()
    return .loop(
      TemplateLoop(
        target: target, sequence: sequence, condition: condition, body: body, otherwise: otherwise, line: line))
  }

  private mutating func macro(_ line: Int) throws(TemplateError) -> TemplateStatement {
    let name = try name()
    try expect(op: "(")
    var parameters: [(name: String, fallback: TemplateExpression?)] = []
    while !isOp(")") {
      if !parameters.isEmpty { try expect(op: ",") }
      if isOp(")") { break }
      let parameter = try self.name()
      guard parameters.count < Self.argumentsLimit else { throw error("more than \(Self.argumentsLimit) parameters") }
      guard !parameters.contains(where: { $0.name == parameter }) else { throw error("a parameter stands twice") }
      parameters.append((parameter, skip(op: "=") ? try expression() : nil))
    }
    advance()
    try endTag()
    let body = try scoped(until: "endmacro")
    return .macro(TemplateMacro(name: name, parameters: parameters, body: body, line: line))
  }

  private mutating func with() throws(TemplateError) -> TemplateStatement {
    var values: [(name: String, value: TemplateExpression)] = []
    while token.kind != .blockEnd {
      if !values.isEmpty { try expect(op: ",") }
      let name = try name()
      try expect(op: "=")
      values.append((name, try expression()))
    }
    try endTag()
    return .scope(values, try closed(by: "endwith"))
  }
}
