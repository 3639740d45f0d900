/// Runs the statements of one template over one conversation.
final class TemplateInterpreter {
  enum Flow { case goesOn, breaks, continues }

  let limits: TemplateLimits
  let clock: TemplateClock?
  var meter: TemplateMeter
  private var output: [UInt8] = []
  private var isCapturing = false
  /// Scopes that a macro refers to, and which may hold it in turn; without this cut they would never be freed.
  private var macroScopes: [TemplateScope] = []

  init(limits: TemplateLimits, clock: TemplateClock?) {
    self.limits = limits
    self.clock = clock
    meter = TemplateMeter(limits)
  }

  /// The rendered bytes.
  func render(
    _ statements: [TemplateStatement], variables: [String: TemplateValue]
  ) throws(TemplateError) -> [UInt8] {
    defer { for scope in macroScopes { scope.variables = [:] } }
    let globals = Dictionary(
      uniqueKeysWithValues: TemplateFunction.allCases.map { ($0.rawValue, TemplateValue.function($0)) })
    let scope = TemplateScope(parent: TemplateScope(variables, parent: TemplateScope(globals)))
    _ = try run(statements, scope)
    return output
  }

  private func write(_ text: String) throws(TemplateError) {
    guard output.count + text.utf8.count <= limits.outputBytes else {
      throw TemplateError(.limit, "more than \(limits.outputBytes) bytes of text")
    }
    // What is captured is a value, and paid for before it has grown: captures stand inside one another.
    if isCapturing { try meter.make(text.utf8.count) } else { try meter.read(text.utf8.count) }
    output.append(contentsOf: text.utf8)
  }

  /// The text that statements write, kept from the output.
  private func capture(_ statements: [TemplateStatement], _ scope: TemplateScope) throws(TemplateError) -> String {
    let outer = (output, isCapturing)
    (output, isCapturing) = ([], true)
    defer { (output, isCapturing) = outer }
    _ = try run(statements, scope)
    try meter.read(output.count)
    return String(decoding: output, as: UTF8.self)
  }

  private func run(_ statements: [TemplateStatement], _ scope: TemplateScope) throws(TemplateError) -> Flow {
    try meter.enter()
    defer { meter.leave() }
    for statement in statements {
      try meter.step()
      let flow = try run(statement, scope)
      if flow != .goesOn { return flow }
    }
    return .goesOn
  }

  private func run(_ statement: TemplateStatement, _ scope: TemplateScope) throws(TemplateError) -> Flow {
    switch statement {
    case .text(let text): try write(text)
    case .print(let expression):
      let value = try evaluate(expression, scope)
      do throws(TemplateError) { try write(try text(value)) } catch { throw error.at(expression.line) }
    case .set(let target, let expression, let line):
      try assign(try evaluate(expression, scope), to: target, in: scope, line: line)
    case .capture(let target, let body, let filters, let line):
      let text = try capture(body, TemplateScope(parent: scope))
      try assign(try apply(filters, to: .string(text), scope, line), to: target, in: scope, line: line)
    case .condition(let branches, let otherwise):
      for branch in branches where try evaluate(branch.test, scope).isTrue { return try run(branch.body, scope) }
      return try run(otherwise, scope)
    case .loop(let loop): try run(loop, scope)
    case .macro(let macro):
      // The scope stays until the end, with all that is in it.
      try meter.make(4096)
      macroScopes.append(scope)
      scope.variables[macro.name] = .macro(TemplateClosure(macro, scope))
    case .filtered(let filters, let body, let line):
      let text = try capture(body, TemplateScope(parent: scope))
      try write(try self.text(try apply(filters, to: .string(text), scope, line)))
    case .scope(let values, let body):
      let inner = TemplateScope(parent: scope)
      for (name, value) in values { inner.variables[name] = try evaluate(value, scope) }
      return try run(body, inner)
    case .leave(let breaks): return breaks ? .breaks : .continues
    }
    return .goesOn
  }

  private func apply(
    _ filters: [TemplateFilterCall], to value: TemplateValue, _ scope: TemplateScope, _ line: Int
  ) throws(TemplateError) -> TemplateValue {
    var value = value
    for filter in filters {
      let arguments = try evaluate(filter.arguments, scope)
      do throws(TemplateError) {
        value = try TemplateFilters.apply(filter.name, to: value, arguments, self)
      } catch { throw error.at(line) }
    }
    return value
  }

  private func assign(
    _ value: TemplateValue, to target: TemplateTarget, in scope: TemplateScope, line: Int
  ) throws(TemplateError) {
    switch target {
    case .name(let name): scope.variables[name] = value
    case .names(let names):
      let items = try items(of: value, line: line)
      guard items.count == names.count else {
        throw TemplateError(.evaluation, "\(items.count) values for \(names.count) names", line: line)
      }
      try meter.step(names.count)
      for (name, item) in zip(names, items) { scope.variables[name] = item }
    case .attribute(let name, let member):
      guard case .namespace(let namespace)? = try variable(name, scope) else {
        throw TemplateError(.evaluation, "only a namespace's members can be set", line: line)
      }
      let place = try place(of: member, in: namespace.members)
      do throws(TemplateError) { try namespace.set(member, value, at: place) } catch { throw error.at(line) }
    }
  }

  private func run(_ loop: TemplateLoop, _ scope: TemplateScope) throws(TemplateError) {
    var items = try items(of: try evaluate(loop.sequence, scope), line: loop.line)
    if let condition = loop.condition {
      var kept: [TemplateValue] = []
      for item in items {
        try meter.step()
        let inner = TemplateScope(parent: scope)
        try assign(item, to: loop.target, in: inner, line: loop.line)
        if try evaluate(condition, inner).isTrue { kept.append(item) }
      }
      items = kept
    }
    guard !items.isEmpty else {
      _ = try run(loop.otherwise, TemplateScope(parent: scope))
      return
    }
    let state = TemplateLoopState(items)
    for (index, item) in items.enumerated() {
      try meter.step()
      state.index = index
      let inner = TemplateScope(["loop": .loop(state)], parent: scope)
      try assign(item, to: loop.target, in: inner, line: loop.line)
      if try run(loop.body, inner) == .breaks { break }
    }
  }

  /// What a macro writes.
  func call(_ closure: TemplateClosure, _ arguments: TemplateCallArguments) throws(TemplateError) -> TemplateValue {
    let macro = closure.macro
    guard arguments.positional.count <= macro.parameters.count else {
      throw TemplateError(.evaluation, "the macro `\(macro.name)` takes \(macro.parameters.count) arguments")
    }
    try meter.step(arguments.named.count * macro.parameters.count / 4)
    for (name, _) in arguments.named where !macro.parameters.contains(where: { $0.name == name }) {
      throw TemplateError(.evaluation, "the macro `\(macro.name)` has no parameter `\(TemplateText.start(of: name))`")
    }
    let scope = TemplateScope(parent: closure.scope)
    for (index, parameter) in macro.parameters.enumerated() {
      let value: TemplateValue
      if index < arguments.positional.count {
        value = arguments.positional[index]
      } else if let named = arguments.named.first(where: { $0.name == parameter.name }) {
        value = named.value
      } else if let fallback = parameter.fallback {
        value = try evaluate(fallback, scope)
      } else {
        value = .undefined("`\(parameter.name)` was not given")
      }
      scope.variables[parameter.name] = value
    }
    return .string(try capture(macro.body, scope))
  }
}
