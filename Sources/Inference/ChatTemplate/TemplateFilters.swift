/// The filters behind `|`.
enum TemplateFilters {
  static let names: Set<String> = [
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "indent", "int", "items", "join",
    "last",
    "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "safe",
    "select", "selectattr", "sort", "string", "sum", "title", "tojson", "trim", "unique", "upper",
  ]

  /// What a filter, whose name is one of ``names``, makes of a value.
  static func apply(
    _ name: String, to value: TemplateValue, _ arguments: TemplateCallArguments, _ interpreter: TemplateInterpreter
  ) throws(TemplateError) -> TemplateValue {
    switch name {
    case "default", "d":
      try arguments.allow("default_value", "boolean")
      let empty = arguments.value(1, "boolean")?.isTrue ?? false ? !value.isTrue : value.isUndefined
      return empty ? arguments.value(0, "default_value") ?? .string("") : value
    case "length", "count": return .integer(try count(value, interpreter))
    case "first", "last": return try end(of: value, first: name == "first", interpreter)
    case "list":
      let items = try interpreter.items(of: value)
      try interpreter.meter.makeItems(items.count)
      return try .list(of: items)
    case "items":
      if value.isUndefined { return try .list(of: []) }
      guard case .dictionary(let dictionary) = value else {
        throw TemplateError(.evaluation, "`items` is of mappings, not of \(value.kind)")
      }
      try interpreter.meter.makeItems(dictionary.members.count)
      return try TemplateMethods.items(of: dictionary)
    case "tojson": return .string(try TemplateJSON.text(value, arguments, interpreter))
    case "abs", "int", "float", "round": return try TemplateNumbers.apply(name, to: value, arguments, interpreter)
    case "string", "safe": return .string(try interpreter.text(value))
    case "trim", "upper", "lower", "title", "capitalize", "replace", "indent":
      return .string(try text(name, try interpreter.text(value), arguments, interpreter))
    case "reverse":
      if case .string(let text) = value {
        try interpreter.meter.make(text.utf8.count)
        return .string(TemplateText.text(text.unicodeScalars.reversed()))
      }
      let items = try interpreter.items(of: value)
      try interpreter.meter.makeItems(items.count)
      return try .list(of: items.reversed())
    default: return try TemplateSequences(interpreter).apply(name, to: value, arguments)
    }
  }

  private static func count(_ value: TemplateValue, _ interpreter: TemplateInterpreter) throws(TemplateError) -> Int {
    switch value {
    case .undefined: return 0
    case .string(let text):
      try interpreter.meter.read(text.utf8.count)
      return text.unicodeScalars.count
    case .list(let list), .tuple(let list): return list.items.count
    case .dictionary(let dictionary): return dictionary.members.count
    default: throw TemplateError(.evaluation, "\(value.kind) has no length")
    }
  }

  private static func end(
    of value: TemplateValue, first: Bool, _ interpreter: TemplateInterpreter
  ) throws(TemplateError) -> TemplateValue {
    let none = TemplateValue.undefined("there is no \(first ? "first" : "last") item")
    if case .string(let text) = value {
      return (first ? text.unicodeScalars.first : text.unicodeScalars.last).map { .string(String($0)) } ?? none
    }
    let items = try interpreter.items(of: value)
    return (first ? items.first : items.last) ?? none
  }

  private static func text(
    _ name: String, _ text: String, _ arguments: TemplateCallArguments, _ interpreter: TemplateInterpreter
  ) throws(TemplateError) -> String {
    try interpreter.meter.make(text.utf8.count)
    switch name {
    case "trim":
      try arguments.allow("chars")
      try interpreter.meter.make(arguments.value(0, "chars")?.string?.utf8.count ?? 0)
      return TemplateText.strip(text, arguments.value(0, "chars")?.string)
    case "upper": return TemplateText.upper(text)
    case "lower": return TemplateText.lower(text)
    case "capitalize": return TemplateText.capitalized(text)
    case "title": return title(text)
    case "replace":
      try arguments.allow("old", "new", "count")
      guard let old = arguments.value(0, "old"), let new = arguments.value(1, "new") else {
        throw TemplateError(.evaluation, "`replace` takes two texts")
      }
      return try TemplateStrings(interpreter).replace(
        text, try interpreter.text(old), by: try interpreter.text(new),
        limit: arguments.value(2, "count")?.integer ?? -1)
    default: return try indented(text, arguments, interpreter)
    }
  }

  /// As Jinja's filter has it, other than Python's method: words end at blanks, hyphens and opening brackets.
  private static func title(_ text: String) -> String {
    var result = ""
    var inside = false
    for scalar in text.unicodeScalars {
      let ends = TemplateText.isBlank(scalar) || "-({[<".unicodeScalars.contains(scalar)
      result += inside ? scalar.properties.lowercaseMapping : scalar.properties.uppercaseMapping
      inside = !ends
    }
    return result
  }

  private static func indented(
    _ text: String, _ arguments: TemplateCallArguments, _ interpreter: TemplateInterpreter
  ) throws(TemplateError) -> String {
    try arguments.allow("width", "first", "blank")
    let margin: String
    switch arguments.value(0, "width") {
    case nil: margin = "    "
    case .string(let text)?: margin = text
    case let width?:
      guard let width = width.integer, width <= 1000 else {
        throw TemplateError(.evaluation, "`indent` takes a width of at most 1000")
      }
      margin = String(repeating: " ", count: max(0, width))
    }
    let lines = try TemplateStrings(interpreter).lines(text + "\n")
    try interpreter.meter.makeItems(lines.count)
    let (bytes, overflow) = lines.count.multipliedReportingOverflow(by: margin.utf8.count)
    try interpreter.meter.make(overflow ? .max : bytes + text.utf8.count)
    let blank = arguments.value(2, "blank")?.isTrue ?? false
    let rest = lines.dropFirst().map { $0.isEmpty && !blank ? $0 : margin + $0 }
    let first = arguments.value(1, "first")?.isTrue ?? false
    return ([(first ? margin : "") + (lines.first ?? "")] + rest).joined(separator: "\n")
  }
}

/// Filters of numbers.
enum TemplateNumbers {
  static func apply(
    _ name: String, to value: TemplateValue, _ arguments: TemplateCallArguments, _ interpreter: TemplateInterpreter
  ) throws(TemplateError) -> TemplateValue {
    // A text is stripped twice at most.
    if let text = value.string { try interpreter.meter.make(2 * text.utf8.count) }
    switch name {
    case "abs":
      if case .float(let number) = value { return .float(number.magnitude) }
      guard let number = value.integer, number != .min else {
        throw TemplateError(.evaluation, "`abs` is of numbers, not of \(value.kind)")
      }
      return .integer(Swift.abs(number))
    case "int":
      try arguments.allow("default")
      if let integer = value.integer { return .integer(integer) }
      if let text = value.string, let integer = TemplateText.integer(text) { return .integer(integer) }
      let number = value.string.flatMap(TemplateText.float) ?? value.double
      if let number, let integer = Int(exactly: number.rounded(.towardZero)) { return .integer(integer) }
      return arguments.value(0, "default") ?? .integer(0)
    case "float":
      try arguments.allow("default")
      let number = value.string.flatMap(TemplateText.float) ?? value.double
      return number.map { .float($0) } ?? arguments.value(0, "default") ?? .float(0)
    default: return try rounded(value, arguments)
    }
  }

  private static func rounded(
    _ value: TemplateValue, _ arguments: TemplateCallArguments
  ) throws(TemplateError) -> TemplateValue {
    try arguments.allow("precision", "method")
    guard let number = value.double, let digits = (arguments.value(0, "precision") ?? .integer(0)).integer,
      (0...12).contains(digits)
    else { throw TemplateError(.evaluation, "`round` takes a number, and at most 12 digits") }
    let scale = (0..<digits).reduce(1.0) { scale, _ in scale * 10 }
    switch arguments.value(1, "method")?.string ?? "common" {
    case "common":
      if case .float = value { return .float((number * scale).rounded(.toNearestOrEven) / scale) }
      return value.integer.map { .integer($0) } ?? value
    case "ceil": return .float((number * scale).rounded(.up) / scale)
    case "floor": return .float((number * scale).rounded(.down) / scale)
    default: throw TemplateError(.evaluation, "`round` has no such method")
    }
  }
}
