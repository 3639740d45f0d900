/// The tests behind `is`.
enum TemplateTests {
  static let names: Set<String> = [
    "defined", "undefined", "none", "boolean", "true", "false", "integer", "float", "number", "string", "mapping",
    "sequence", "iterable", "callable", "even", "odd", "divisibleby", "lower", "upper", "sameas", "eq", "equalto", "ne",
    "lt", "lessthan", "le", "gt", "greaterthan", "ge", "in", "==", "!=", "<", "<=", ">", ">=",
  ]

  /// Whether a value meets a test, whose name is one of ``names``.
  static func holds(
    _ name: String, _ value: TemplateValue, _ arguments: TemplateCallArguments, _ interpreter: TemplateInterpreter
  ) throws(TemplateError) -> Bool {
    func other() throws(TemplateError) -> TemplateValue {
      guard arguments.positional.count == 1, arguments.named.isEmpty else {
        throw TemplateError(.evaluation, "the test `\(name)` takes one argument")
      }
      return arguments.positional[0]
    }
    func integer(_ value: TemplateValue) throws(TemplateError) -> Int {
      guard let integer = value.integer else {
        throw TemplateError(.evaluation, "the test `\(name)` is of integers, not of \(value.kind)")
      }
      return integer
    }
    switch name {
    case "defined": return !value.isUndefined
    case "undefined": return value.isUndefined
    case "none": if case .none = value { return true } else { return false }
    case "boolean": if case .bool = value { return true } else { return false }
    case "true": if case .bool(true) = value { return true } else { return false }
    case "false": if case .bool(false) = value { return true } else { return false }
    case "integer": if case .integer = value { return true } else { return false }
    case "float": if case .float = value { return true } else { return false }
    case "number": return value.double != nil
    case "string": return value.string != nil
    case "mapping": if case .dictionary = value { return true } else { return false }
    case "sequence", "iterable":
      switch value {
      case .string, .list, .tuple, .dictionary, .undefined: return true
      case .loop: return name == "iterable"
      default: return false
      }
    case "callable":
      switch value {
      case .macro, .function, .method: return true
      // An undefined value has `__call__`, which fails.
      case .undefined: return true
      default: return false
      }
    case "even": return try integer(value) & 1 == 0
    case "odd": return try integer(value) & 1 == 1
    case "divisibleby":
      let divisor = try integer(try other())
      guard divisor != 0 else { throw TemplateError(.evaluation, "a division by zero") }
      return divisor == -1 ? true : try integer(value) % divisor == 0
    case "lower", "upper":
      let text = try interpreter.text(value)
      try interpreter.meter.read(text.utf8.count)
      return TemplateMethods.isCased(text, upper: name == "upper")
    case "sameas":
      let other = try other()
      switch (value, other) {
      case (.bool(let a), .bool(let b)): return a == b
      case (.bool, _), (_, .bool): return false
      default: return try interpreter.equal(value, other)
      }
    case "in": return try interpreter.contains(try other(), value)
    default:
      let comparisons: [String: TemplateExpression.Comparison] = [
        "eq": .equal, "equalto": .equal, "ne": .unequal, "lt": .less, "lessthan": .less, "le": .lessOrEqual,
        "gt": .greater, "greaterthan": .greater, "ge": .greaterOrEqual,
      ]
      guard let comparison = comparisons[name] ?? TemplateExpression.Comparison(rawValue: name) else {
        throw TemplateError(.evaluation, "the test `\(TemplateText.start(of: name))` is not read")
      }
      return try interpreter.compare(comparison, value, try other())
    }
  }
}
