/// Arguments with their values.
struct TemplateCallArguments {
  var positional: [TemplateValue] = []
  var named: [(name: String, value: TemplateValue)] = []

  /// The argument at a place, or of a name; nil where it was not given.
  func value(_ index: Int, _ name: String) -> TemplateValue? {
    index < positional.count ? positional[index] : named.first { $0.name == name }?.value
  }

  /// Refuses arguments that nothing takes.
  func allow(_ names: String...) throws(TemplateError) {
    guard positional.count <= names.count, named.allSatisfy({ names.contains($0.name) }) else {
      throw TemplateError(.evaluation, "arguments that it does not take")
    }
  }
}

extension TemplateInterpreter {
  /// The value of an expression. Errors name its line.
  func evaluate(_ expression: TemplateExpression, _ scope: TemplateScope) throws(TemplateError) -> TemplateValue {
    try meter.step()
    try meter.enter()
    defer { meter.leave() }
    do throws(TemplateError) { return try value(expression.kind, scope) } catch { throw error.at(expression.line) }
  }

  func evaluate(_ arguments: TemplateArguments, _ scope: TemplateScope) throws(TemplateError) -> TemplateCallArguments {
    var values = TemplateCallArguments()
    for argument in arguments.positional { values.positional.append(try evaluate(argument, scope)) }
    for (name, argument) in arguments.named { values.named.append((name, try evaluate(argument, scope))) }
    return values
  }

  private func value(_ kind: TemplateExpression.Kind, _ scope: TemplateScope) throws(TemplateError) -> TemplateValue {
    switch kind {
    case .value(let literal): return Self.value(literal)
    case .name(let name): return try variable(name, scope) ?? .undefined("`\(name)` is undefined")
    case .list(let items): return try .list(of: try values(items, scope))
    case .tuple(let items): return .tuple(try TemplateList(try values(items, scope)))
    case .dictionary(let members): return try dictionary(members, scope)
    case .unary(let op, let operand): return try unary(op, try evaluate(operand, scope))
    case .binary(.or, let left, let right):
      let value = try evaluate(left, scope)
      return value.isTrue ? value : try evaluate(right, scope)
    case .binary(.and, let left, let right):
      let value = try evaluate(left, scope)
      return value.isTrue ? try evaluate(right, scope) : value
    case .binary(let op, let left, let right):
      return try arithmetic(op, try evaluate(left, scope), try evaluate(right, scope))
    case .concatenation(let parts):
      var text = ""
      for part in parts {
        let piece = try self.text(try evaluate(part, scope))
        try meter.make(text.utf8.count + piece.utf8.count)
        text += piece
      }
      return .string(text)
    case .comparison(let first, let others):
      var left = try evaluate(first, scope)
      for (op, other) in others {
        let right = try evaluate(other, scope)
        guard try compare(op, left, right) else { return .bool(false) }
        left = right
      }
      return .bool(true)
    case .conditional(let then, let test, let otherwise):
      if try evaluate(test, scope).isTrue { return try evaluate(then, scope) }
      guard let otherwise else { return .undefined("an inline `if` was false and has no `else`") }
      return try evaluate(otherwise, scope)
    case .attribute(let base, let name): return try attribute(of: try evaluate(base, scope), name)
    case .item(let base, let index): return try item(of: try evaluate(base, scope), try evaluate(index, scope))
    case .slice(let base, let from, let to, let step): return try slice(base, from, to, step, scope)
    case .call(let callee, let arguments):
      let callee = try evaluate(callee, scope)
      return try call(callee, try evaluate(arguments, scope))
    case .filter(let base, let name, let arguments):
      let base = try evaluate(base, scope)
      return try TemplateFilters.apply(name, to: base, try evaluate(arguments, scope), self)
    case .test(let base, let name, let arguments, let negated):
      let base = try evaluate(base, scope)
      return .bool(try TemplateTests.holds(name, base, try evaluate(arguments, scope), self) != negated)
    }
  }

  private static func value(_ literal: TemplateLiteral) -> TemplateValue {
    switch literal {
    case .none: .none
    case .bool(let value): .bool(value)
    case .integer(let value): .integer(value)
    case .float(let value): .float(value)
    case .string(let text): .string(text)
    }
  }

  private func values(_ items: [TemplateExpression], _ scope: TemplateScope) throws(TemplateError) -> [TemplateValue] {
    try meter.makeItems(items.count)
    var values: [TemplateValue] = []
    for item in items { values.append(try evaluate(item, scope)) }
    return values
  }

  private func dictionary(
    _ members: [(key: TemplateExpression, value: TemplateExpression)], _ scope: TemplateScope
  ) throws(TemplateError) -> TemplateValue {
    try meter.makeItems(members.count)
    var result: [TemplateDictionary.Member] = []
    for member in members {
      guard case .string(let name) = try evaluate(member.key, scope) else {
        throw TemplateError(.evaluation, "only texts name the members of a mapping")
      }
      let value = try evaluate(member.value, scope)
      if let place = try place(of: name, in: result) {
        result[place].value = value
      } else {
        result.append(.init(name, value))
      }
    }
    return .dictionary(try TemplateDictionary(unique: result))
  }

  /// The items that a `for` or a filter goes through: of a mapping its names, of a text its code points.
  func items(of value: TemplateValue, line: Int = 0) throws(TemplateError) -> [TemplateValue] {
    switch value {
    case .list(let list), .tuple(let list): return list.items
    case .dictionary(let dictionary):
      try meter.makeItems(dictionary.members.count)
      return dictionary.members.map { .string($0.name) }
    case .string(let text):
      try meter.makeItems(text.utf8.count)
      return text.unicodeScalars.map { .string(String($0)) }
    case .undefined: return []
    default: throw TemplateError(.evaluation, "\(value.kind) has no items", line: line)
    }
  }

  // MARK: attributes and items

  func attribute(of base: TemplateValue, _ name: String) throws(TemplateError) -> TemplateValue {
    if case .undefined(let why) = base { throw TemplateError(.evaluation, why) }
    // `x["…"]` may ask for a name of any length, which no method has.
    let isShort = name.utf8.count <= TemplateLexer.nameBytesLimit
    switch base {
    case .namespace(let namespace):
      if let place = try place(of: name, in: namespace.members) { return namespace.members[place].value }
    case .loop(let loop) where isShort: if let value = loop[name] { return value }
    case .dictionary(let dictionary):
      // As in Python, a method hides a member of its name, which is had by `["items"]` only.
      if isShort, TemplateMethods.ofMappings.contains(name) { return .method(base, name) }
      if let place = try place(of: name, in: dictionary.members) { return dictionary.members[place].value }
    case .string where isShort: if TemplateMethods.ofTexts.contains(name) { return .method(base, name) }
    case .list where isShort, .tuple where isShort:
      if TemplateMethods.ofLists.contains(name) { return .method(base, name) }
    default: break
    }
    return .undefined("\(base.kind) has no attribute `\(TemplateText.start(of: name))`")
  }

  /// Where the member of a name is. Names are compared where they are of one length, and this is paid for.
  func place(of name: String, in members: [TemplateDictionary.Member]) throws(TemplateError) -> Int? {
    try meter.step(members.count / 16 + 1)
    let length = name.utf8.count
    var unpaid = 0
    for (place, member) in members.enumerated() where member.name.utf8.count == length {
      unpaid += length
      if unpaid >= 4096 {
        try meter.read(unpaid)
        unpaid = 0
      }
      if TemplateText.equal(member.name, name) { return place }
    }
    try meter.step(unpaid / 16)
    return nil
  }

  /// The value of a variable; nil where there is none. Each scope on the way looks the name up.
  func variable(_ name: String, _ scope: TemplateScope) throws(TemplateError) -> TemplateValue? {
    try meter.step(scope.depth * (8 + name.utf8.count) / 64)
    return scope[name]
  }

  func item(of base: TemplateValue, _ index: TemplateValue) throws(TemplateError) -> TemplateValue {
    if case .undefined(let why) = base { throw TemplateError(.evaluation, why) }
    switch (base, index) {
    case (.dictionary(let dictionary), .string(let name)):
      if let place = try place(of: name, in: dictionary.members) { return dictionary.members[place].value }
    case (.namespace, .string(let name)), (.loop, .string(let name)): return try attribute(of: base, name)
    case (.list(let list), _), (.tuple(let list), _):
      if let place = index.integer {
        let place = place < 0 ? place &+ list.items.count : place
        return list.items.indices.contains(place) ? list.items[place] : .undefined("there is no item of this number")
      }
    case (.string(let text), _):
      if let place = index.integer {
        try meter.read(text.utf8.count)
        let scalars = text.unicodeScalars
        let offset = place < 0 ? place &+ scalars.count : place
        guard offset >= 0, offset < scalars.count else { return .undefined("there is no character of this number") }
        return .string(String(scalars[scalars.index(scalars.startIndex, offsetBy: offset)]))
      }
    default: break
    }
    if case .string(let name) = index { return try attribute(of: base, name) }
    return .undefined("\(base.kind) has no such item")
  }

  private func slice(
    _ base: TemplateExpression, _ from: TemplateExpression?, _ to: TemplateExpression?, _ step: TemplateExpression?,
    _ scope: TemplateScope
  ) throws(TemplateError) -> TemplateValue {
    let value = try evaluate(base, scope)
    func bound(_ expression: TemplateExpression?) throws(TemplateError) -> Int? {
      guard let expression else { return nil }
      let value = try evaluate(expression, scope)
      if case .none = value { return nil }
      guard let integer = value.integer else { throw TemplateError(.evaluation, "a slice's bounds must be integers") }
      return integer
    }
    let (from, to, step) = (try bound(from), try bound(to), try bound(step) ?? 1)
    guard step != 0 else { throw TemplateError(.evaluation, "a slice's step cannot be zero") }
    switch value {
    case .undefined(let why): throw TemplateError(.evaluation, why)
    case .list(let list): return try .list(of: try sliced(list.items, from, to, step))
    case .tuple(let list): return .tuple(try TemplateList(try sliced(list.items, from, to, step)))
    case .string(let text):
      try meter.make(text.utf8.count)
      return .string(TemplateText.text(try sliced(Array(text.unicodeScalars), from, to, step)))
    default: throw TemplateError(.evaluation, "\(value.kind) has no slices")
    }
  }

  private func sliced<T>(_ items: [T], _ from: Int?, _ to: Int?, _ step: Int) throws(TemplateError) -> [T] {
    let count = items.count
    func clamp(_ bound: Int, _ low: Int, _ high: Int) -> Int {
      min(max(bound < 0 ? bound.addingReportingOverflow(count).partialValue : bound, low), high)
    }
    var places: [Int] = []
    if step > 0 {
      let (start, end) = (clamp(from ?? 0, 0, count), clamp(to ?? count, 0, count))
      if step == 1 {
        try meter.makeItems(max(0, end - start))
        return start < end ? Array(items[start..<end]) : []
      }
      places = start < end ? Array(stride(from: start, to: end, by: min(step, count + 1))) : []
    } else {
      let start = from.map { clamp($0, -1, count - 1) } ?? count - 1
      let end = to.map { clamp($0, -1, count - 1) } ?? -1
      places = start > end ? Array(stride(from: start, to: end, by: max(step, -count - 1))) : []
    }
    try meter.makeItems(places.count)
    return places.map { items[$0] }
  }

  // MARK: calls

  private func call(_ callee: TemplateValue, _ arguments: TemplateCallArguments) throws(TemplateError) -> TemplateValue
  {
    switch callee {
    case .macro(let closure): return try call(closure, arguments)
    case .method(let base, let name): return try TemplateMethods.call(name, of: base, arguments, self)
    case .function(let function): return try call(function, arguments)
    case .undefined(let why): throw TemplateError(.evaluation, why)
    default: throw TemplateError(.evaluation, "\(callee.kind) cannot be called")
    }
  }

  /// Items of a `range` at most, as in Jinja's sandbox.
  private static let rangeLimit = 100_000

  private func call(
    _ function: TemplateFunction, _ arguments: TemplateCallArguments
  ) throws(TemplateError) -> TemplateValue {
    switch function {
    case .raiseException:
      let message = try text(arguments.value(0, "message") ?? .string(""))
      throw TemplateError(
        .raised, "the template refuses the conversation: \(String(message.unicodeScalars.prefix(500)))")
    case .strftimeNow:
      guard let clock else {
        throw TemplateError(.evaluation, "the template asks for the time, and the job gives none")
      }
      guard let format = arguments.value(0, "format")?.string, format.utf8.count <= 256 else {
        throw TemplateError(.evaluation, "`strftime_now` takes a short text")
      }
      return .string(try clock.text(format))
    case .range:
      let numbers = arguments.positional.compactMap(\.integer)
      guard numbers.count == arguments.positional.count, (1...3).contains(numbers.count), arguments.named.isEmpty else {
        throw TemplateError(.evaluation, "`range` takes one to three integers")
      }
      let (start, end) = numbers.count == 1 ? (0, numbers[0]) : (numbers[0], numbers[1])
      let step = numbers.count == 3 ? numbers[2] : 1
      guard step != 0 else { throw TemplateError(.evaluation, "`range` takes no step of zero") }
      var values: [TemplateValue] = []
      var (number, overflow) = (start, false)
      while !overflow, step > 0 ? number < end : number > end {
        guard values.count < Self.rangeLimit else {
          throw TemplateError(.limit, "a range of more than \(Self.rangeLimit) items")
        }
        values.append(.integer(number))
        (number, overflow) = number.addingReportingOverflow(step)
      }
      try meter.makeItems(values.count)
      return try .list(of: values)
    case .dict, .namespace:
      var members: [TemplateDictionary.Member] = []
      if case .dictionary(let first)? = arguments.positional.first {
        members = first.members
      } else {
        guard arguments.positional.isEmpty else {
          throw TemplateError(.evaluation, "`\(function.rawValue)` takes a mapping, or arguments with names")
        }
      }
      try meter.makeItems(members.count + arguments.named.count)
      for (name, value) in arguments.named {
        if let place = try place(of: name, in: members) {
          members[place].value = value
        } else {
          members.append(.init(name, value))
        }
      }
      if function == .dict { return .dictionary(try TemplateDictionary(unique: members)) }
      return .namespace(try TemplateNamespace(unique: members))
    }
  }
}
