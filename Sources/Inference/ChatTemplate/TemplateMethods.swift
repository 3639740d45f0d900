/// Methods of Python's values, as far as they change nothing: what would change a list or a mapping is refused, as in
/// the immutable sandbox that `transformers` uses.
enum TemplateMethods {
  static let ofTexts: Set<String> = [
    "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "startswith", "endswith", "upper", "lower", "title",
    "capitalize", "replace", "find", "rfind", "count", "join", "isdigit", "isnumeric", "isdecimal", "isalpha",
    "isalnum", "isspace", "isupper", "islower", "removeprefix", "removesuffix", "partition", "rpartition", "zfill",
  ]
  static let ofLists: Set<String> = ["index", "count", "append", "extend", "insert", "pop", "remove", "clear"]
  static let ofMappings: Set<String> = [
    "items", "keys", "values", "get", "copy", "update", "pop", "setdefault", "clear", "popitem",
  ]
  private static let changing: Set<String> = [
    "append", "extend", "insert", "pop", "remove", "clear", "update", "setdefault", "popitem",
  ]

  /// Calls a method whose name is in the set of the value's kind.
  static func call(
    _ name: String, of value: TemplateValue, _ arguments: TemplateCallArguments, _ interpreter: TemplateInterpreter
  ) throws(TemplateError) -> TemplateValue {
    switch value {
    case .string(let text): return try call(name, text, arguments, interpreter)
    case .list(let list), .tuple(let list): return try call(name, list.items, arguments, interpreter)
    case .dictionary(let dictionary): return try call(name, dictionary, arguments, interpreter)
    case .loop(let loop) where !arguments.positional.isEmpty:
      return arguments.positional[loop.index % arguments.positional.count]
    default: throw TemplateError(.evaluation, "\(value.kind) has no method `\(name)`")
    }
  }

  private static func call(
    _ name: String, _ dictionary: TemplateDictionary, _ arguments: TemplateCallArguments,
    _ interpreter: TemplateInterpreter
  ) throws(TemplateError) -> TemplateValue {
    try interpreter.meter.makeItems(dictionary.members.count)
    switch name {
    case "keys": return try .list(of: dictionary.members.map { .string($0.name) })
    case "values": return try .list(of: dictionary.members.map(\.value))
    case "items": return try items(of: dictionary)
    case "copy": return .dictionary(dictionary)
    case "get":
      guard let key = arguments.positional.first else { throw TemplateError(.evaluation, "`get` takes a name") }
      if let name = key.string, let place = try interpreter.place(of: name, in: dictionary.members) {
        return dictionary.members[place].value
      }
      return arguments.value(1, "default") ?? .none
    default: throw TemplateError(.evaluation, "`\(name)` would change a mapping")
    }
  }

  /// The members as pairs.
  static func items(of dictionary: TemplateDictionary) throws(TemplateError) -> TemplateValue {
    var pairs: [TemplateValue] = []
    for member in dictionary.members {
      pairs.append(.tuple(try TemplateList([.string(member.name), member.value])))
    }
    return try .list(of: pairs)
  }

  private static func call(
    _ name: String, _ items: [TemplateValue], _ arguments: TemplateCallArguments, _ interpreter: TemplateInterpreter
  ) throws(TemplateError) -> TemplateValue {
    guard !changing.contains(name) else { throw TemplateError(.evaluation, "`\(name)` would change a list") }
    guard arguments.positional.count == 1 else { throw TemplateError(.evaluation, "`\(name)` takes one value") }
    var count = 0
    for (place, item) in items.enumerated() where try interpreter.equal(item, arguments.positional[0]) {
      if name == "index" { return .integer(place) }
      count += 1
    }
    guard name == "count" else { throw TemplateError(.evaluation, "the list has no such item") }
    return .integer(count)
  }

  private static func call(
    _ name: String, _ text: String, _ arguments: TemplateCallArguments, _ interpreter: TemplateInterpreter
  ) throws(TemplateError) -> TemplateValue {
    try interpreter.meter.make(text.utf8.count)
    // What is done with an argument takes as long as it is, at most.
    for value in arguments.positional {
      switch value {
      case .string(let text): try interpreter.meter.make(text.utf8.count)
      case .list(let list), .tuple(let list): try interpreter.meter.makeItems(list.items.count)
      default: break
      }
    }
    func argument(_ place: Int, _ parameter: String = "") throws(TemplateError) -> String? {
      switch arguments.value(place, parameter) {
      case nil, TemplateValue.none?: return nil
      case .string(let text)?: return text
      case let other?: throw TemplateError(.evaluation, "`\(name)` takes a text, not \(other.kind)")
      }
    }
    func needed(_ place: Int) throws(TemplateError) -> String {
      guard let text = try argument(place) else { throw TemplateError(.evaluation, "`\(name)` takes a text") }
      return text
    }
    func limit(_ place: Int, _ parameter: String) throws(TemplateError) -> Int {
      guard let value = arguments.value(place, parameter) else { return -1 }
      guard let limit = value.integer else { throw TemplateError(.evaluation, "`\(name)` takes an integer there") }
      return limit
    }
    let strings = TemplateStrings(interpreter)
    switch name {
    case "strip": return .string(TemplateText.strip(text, try argument(0)))
    case "lstrip": return .string(TemplateText.strip(text, try argument(0), right: false))
    case "rstrip": return .string(TemplateText.strip(text, try argument(0), left: false))
    case "upper": return .string(TemplateText.upper(text))
    case "lower": return .string(TemplateText.lower(text))
    case "title": return .string(TemplateText.title(text))
    case "capitalize": return .string(TemplateText.capitalized(text))
    case "split", "rsplit":
      return try strings.list(
        try strings.split(
          text, by: try argument(0, "sep"), limit: try limit(1, "maxsplit"), fromEnd: name == "rsplit"))
    case "splitlines":
      return try strings.list(try strings.lines(text, keepingEnds: arguments.value(0, "keepends")?.isTrue ?? false))
    case "partition", "rpartition": return try strings.partition(text, try needed(0), fromEnd: name == "rpartition")
    case "startswith", "endswith":
      var options = [arguments.value(0, "") ?? .none]
      if case .tuple(let list) = options[0] { options = list.items }
      for option in options {
        guard case .string(let part) = option else { throw TemplateError(.evaluation, "`\(name)` takes a text") }
        try interpreter.meter.read(min(part.utf8.count, text.utf8.count))
        if name == "startswith" ? text.utf8.starts(with: part.utf8) : strings.ends(text, with: part) {
          return .bool(true)
        }
      }
      return .bool(false)
    case "removeprefix":
      let part = try needed(0)
      return .string(text.utf8.starts(with: part.utf8) ? strings.part(text, from: part.utf8.count) : text)
    case "removesuffix":
      let part = try needed(0)
      guard !part.isEmpty, strings.ends(text, with: part) else { return .string(text) }
      return .string(strings.part(text, to: text.utf8.count - part.utf8.count))
    case "replace":
      return .string(try strings.replace(text, try needed(0), by: try needed(1), limit: try limit(2, "count")))
    case "find", "rfind": return .integer(try strings.find(try needed(0), in: text, last: name == "rfind"))
    case "count": return .integer(try strings.count(try needed(0), in: text))
    case "join": return .string(try strings.join(try interpreter.items(of: arguments.value(0, "") ?? .none), by: text))
    case "zfill": return .string(try strings.zeroFilled(text, try limit(0, "width")))
    default: return .bool(isOf(name, text))
    }
  }

  private static func isOf(_ name: String, _ text: String) -> Bool {
    guard !text.isEmpty else { return false }
    switch name {
    case "isupper": return isCased(text, upper: true)
    case "islower": return isCased(text, upper: false)
    case "isspace": return text.unicodeScalars.allSatisfy(TemplateText.isBlank)
    default:
      return text.unicodeScalars.allSatisfy { scalar in
        let isLetter =
          switch scalar.properties.generalCategory {
          case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
          default: false
          }
        let numeric = scalar.properties.numericType
        switch name {
        case "isalpha": return isLetter
        case "isdigit": return numeric == .decimal || numeric == .digit
        case "isdecimal": return numeric == .decimal
        case "isnumeric": return numeric != nil
        default: return isLetter || numeric != nil
        }
      }
    }
  }

  /// Python's `isupper` and `islower`: there are cased letters, and all of them are of that case.
  static func isCased(_ text: String, upper: Bool) -> Bool {
    var cased = false
    for scalar in text.unicodeScalars {
      let properties = scalar.properties
      if upper ? properties.isLowercase : properties.isUppercase { return false }
      if properties.generalCategory == .titlecaseLetter { return false }
      cased = cased || (upper ? properties.isUppercase : properties.isLowercase)
    }
    return cased
  }
}
