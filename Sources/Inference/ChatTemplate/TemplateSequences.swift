/// Filters that go through the items of a list.
struct TemplateSequences {
  /// Of `attribute=`, which is read for each item.
  private static let pathBytesLimit = 1024

  private let interpreter: TemplateInterpreter

  init(_ interpreter: TemplateInterpreter) { self.interpreter = interpreter }

  func apply(
    _ name: String, to value: TemplateValue, _ arguments: TemplateCallArguments
  ) throws(TemplateError) -> TemplateValue {
    switch name {
    case "join": return .string(try join(value, arguments))
    case "map": return try .list(of: try map(value, arguments))
    case "select", "reject":
      return try .list(of: try select(value, arguments, keeps: name == "select", attribute: false))
    case "selectattr", "rejectattr":
      return try .list(of: try select(value, arguments, keeps: name == "selectattr", attribute: true))
    case "sort":
      try arguments.allow("reverse", "case_sensitive", "attribute")
      let keys = Keys(
        attribute: arguments.value(2, "attribute"),
        ignoresCase: !(arguments.value(1, "case_sensitive")?.isTrue ?? false))
      return try .list(
        of:
          try sorted(try items(value), by: keys, reverse: arguments.value(0, "reverse")?.isTrue ?? false))
    case "dictsort": return try dictsort(value, arguments)
    case "unique": return try unique(value, arguments)
    case "min", "max":
      try arguments.allow("case_sensitive", "attribute")
      let keys = Keys(
        attribute: arguments.value(1, "attribute"),
        ignoresCase: !(arguments.value(0, "case_sensitive")?.isTrue ?? false))
      return try extreme(try items(value), by: keys, greatest: name == "max")
    case "sum":
      try arguments.allow("attribute", "start")
      var sum = arguments.value(1, "start") ?? .integer(0)
      for item in try items(value) {
        sum = try interpreter.arithmetic(.add, sum, try member(of: item, arguments.value(0, "attribute")))
      }
      return sum
    default: throw TemplateError(.evaluation, "the filter `\(TemplateText.start(of: name))` is not read")
    }
  }

  private func items(_ value: TemplateValue) throws(TemplateError) -> [TemplateValue] {
    let items = try interpreter.items(of: value)
    try interpreter.meter.makeItems(items.count)
    return items
  }

  /// The member that an `attribute=` names, as `a.b.0`; the value itself where none is named.
  private func member(of value: TemplateValue, _ path: TemplateValue?) throws(TemplateError) -> TemplateValue {
    switch path {
    case nil, TemplateValue.none?: return value
    case .string(let path)?:
      guard path.utf8.count <= Self.pathBytesLimit else {
        throw TemplateError(.limit, "an attribute's path of more than \(Self.pathBytesLimit) bytes")
      }
      try interpreter.meter.read(path.utf8.count)
      var value = value
      for part in path.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
        let name = Substring(part)
        try interpreter.meter.step()
        let digits = name.utf8.allSatisfy { (0x30...0x39).contains($0) }
        value = try interpreter.item(
          of: value, digits ? Int(name).map { .integer($0) } ?? .none : .string(String(name)))
      }
      return value
    case let index?: return try interpreter.item(of: value, index)
    }
  }

  private func join(_ value: TemplateValue, _ arguments: TemplateCallArguments) throws(TemplateError) -> String {
    try arguments.allow("d", "attribute")
    let separator = try interpreter.text(arguments.value(0, "d") ?? .string(""))
    var texts: [TemplateValue] = []
    for item in try items(value) {
      texts.append(.string(try interpreter.text(try member(of: item, arguments.value(1, "attribute")))))
    }
    return try TemplateStrings(interpreter).join(texts, by: separator)
  }

  private func map(_ value: TemplateValue, _ arguments: TemplateCallArguments) throws(TemplateError) -> [TemplateValue]
  {
    var results: [TemplateValue] = []
    if arguments.positional.isEmpty {
      guard let attribute = arguments.value(0, "attribute"),
        arguments.named.allSatisfy({ ["attribute", "default"].contains($0.name) })
      else { throw TemplateError(.evaluation, "`map` takes a filter's name, or `attribute=`") }
      for item in try items(value) {
        let member = try member(of: item, attribute)
        results.append(member.isUndefined ? arguments.value(1, "default") ?? member : member)
      }
      return results
    }
    guard let filter = arguments.positional[0].string, TemplateFilters.names.contains(filter) else {
      throw TemplateError(.evaluation, "`map` takes the name of a filter that is read")
    }
    // A filter of filters would recurse as deep as the arguments say.
    guard !["map", "select", "reject", "selectattr", "rejectattr"].contains(filter) else {
      throw TemplateError(.evaluation, "`map` of `\(filter)` is not read")
    }
    let rest = TemplateCallArguments(
      positional: Array(arguments.positional.dropFirst()), named: arguments.named)
    for item in try items(value) {
      try interpreter.meter.step()
      results.append(try TemplateFilters.apply(filter, to: item, rest, interpreter))
    }
    return results
  }

  private func select(
    _ value: TemplateValue, _ arguments: TemplateCallArguments, keeps: Bool, attribute: Bool
  ) throws(TemplateError) -> [TemplateValue] {
    var rest = arguments.positional[...]
    let path = attribute ? rest.popFirst() : nil
    guard !attribute || path != nil, arguments.named.isEmpty else {
      throw TemplateError(.evaluation, "`selectattr` takes an attribute's name")
    }
    let name = rest.popFirst()
    if let name {
      guard let name = name.string, TemplateTests.names.contains(name) else {
        throw TemplateError(.evaluation, "`select` takes the name of a test that is read")
      }
    }
    let test = TemplateCallArguments(positional: Array(rest))
    var results: [TemplateValue] = []
    for item in try items(value) {
      try interpreter.meter.step()
      let member = try member(of: item, path)
      let holds =
        if let name = name?.string { try TemplateTests.holds(name, member, test, interpreter) } else { member.isTrue }
      if holds == keeps { results.append(item) }
    }
    return results
  }

  // MARK: order

  /// What items are compared by.
  private struct Keys {
    let attribute: TemplateValue?
    let ignoresCase: Bool
  }

  private func key(_ item: TemplateValue, _ keys: Keys) throws(TemplateError) -> TemplateValue {
    let value = try member(of: item, keys.attribute)
    guard keys.ignoresCase, case .string(let text) = value else { return value }
    try interpreter.meter.make(text.utf8.count)
    return .string(TemplateText.lower(text))
  }

  /// Stable, by merging.
  private func sorted(
    _ items: [TemplateValue], by keys: Keys, reverse: Bool
  ) throws(TemplateError) -> [TemplateValue] {
    var keyed: [(key: TemplateValue, item: TemplateValue)] = []
    for item in items { keyed.append((try key(item, keys), item)) }
    var width = 1
    while width < keyed.count {
      var merged: [(key: TemplateValue, item: TemplateValue)] = []
      for start in stride(from: 0, to: keyed.count, by: 2 * width) {
        var (left, right) = (start, min(start + width, keyed.count))
        let (middle, end) = (right, min(start + 2 * width, keyed.count))
        while left < middle || right < end {
          let takesLeft: Bool
          if right >= end {
            takesLeft = true
          } else if left >= middle {
            takesLeft = false
          } else {
            takesLeft =
              reverse
              ? try !interpreter.less(keyed[left].key, keyed[right].key)
              : try !interpreter.less(keyed[right].key, keyed[left].key)
          }
          merged.append(keyed[takesLeft ? left : right])
          if takesLeft { left += 1 } else { right += 1 }
        }
      }
      try interpreter.meter.makeItems(keyed.count)
      keyed = merged
      width *= 2
    }
    return keyed.map(\.item)
  }

  private func dictsort(_ value: TemplateValue, _ arguments: TemplateCallArguments) throws(TemplateError)
    -> TemplateValue
  {
    try arguments.allow("case_sensitive", "by", "reverse")
    guard case .dictionary(let dictionary) = value else {
      throw TemplateError(.evaluation, "`dictsort` is of mappings, not of \(value.kind)")
    }
    let by = arguments.value(1, "by")?.string ?? "key"
    guard by == "key" || by == "value" else { throw TemplateError(.evaluation, "`dictsort` is by key or value") }
    guard case .list(let pairs) = try TemplateMethods.items(of: dictionary) else { return value }
    let keys = Keys(
      attribute: .integer(by == "key" ? 0 : 1), ignoresCase: !(arguments.value(0, "case_sensitive")?.isTrue ?? false))
    return try .list(of: try sorted(pairs.items, by: keys, reverse: arguments.value(2, "reverse")?.isTrue ?? false))
  }

  private func unique(_ value: TemplateValue, _ arguments: TemplateCallArguments) throws(TemplateError) -> TemplateValue
  {
    try arguments.allow("case_sensitive", "attribute")
    let keys = Keys(
      attribute: arguments.value(1, "attribute"), ignoresCase: !(arguments.value(0, "case_sensitive")?.isTrue ?? false))
    var (seen, results): ([TemplateValue], [TemplateValue]) = ([], [])
    items: for item in try items(value) {
      let key = try key(item, keys)
      for other in seen where try interpreter.equal(key, other) { continue items }
      seen.append(key)
      results.append(item)
    }
    return try .list(of: results)
  }

  private func extreme(
    _ items: [TemplateValue], by keys: Keys, greatest: Bool
  ) throws(TemplateError) -> TemplateValue {
    guard var best = items.first else { return .undefined("there is no item") }
    var bestKey = try key(best, keys)
    for item in items.dropFirst() {
      let key = try key(item, keys)
      if greatest ? try interpreter.less(bestKey, key) : try interpreter.less(key, bestKey) {
        (best, bestKey) = (item, key)
      }
    }
    return best
  }
}
