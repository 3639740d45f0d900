/// A value while a template runs, with Python's meaning of it.
enum TemplateValue {
  /// Of a name that has no value: empty, false, and an error wherever something is asked of it.
  case undefined(String)
  case none
  case bool(Bool)
  case integer(Int)
  case float(Double)
  case string(String)
  case list(TemplateList)
  case tuple(TemplateList)
  case dictionary(TemplateDictionary)
  case namespace(TemplateNamespace)
  case loop(TemplateLoopState)
  case macro(TemplateClosure)
  case function(TemplateFunction)
  /// A method with the value that it belongs to.
  indirect case method(TemplateValue, String)

  static func list(of items: [TemplateValue]) throws(TemplateError) -> TemplateValue { .list(try TemplateList(items)) }

  /// A message's part, or a setting. Throws for integers of more than 64 bits and for deep nesting.
  init(_ json: JSONValue) throws(TemplateError) {
    switch json {
    case .null: self = .none
    case .bool(let value): self = .bool(value)
    case .string(let text): self = .string(text)
    case .number(let text):
      if let value = json.integer {
        self = .integer(value)
      } else {
        let isFloat = text.utf8.contains { $0 == 0x2e || $0 | 0x20 == 0x65 }
        guard isFloat, let value = json.double else { throw TemplateError(.limit, "a number too large") }
        self = .float(value)
      }
    case .array(let items):
      var values: [TemplateValue] = []
      for item in items { values.append(try TemplateValue(item)) }
      self = try .list(of: values)
    case .object(let object):
      var members: [TemplateDictionary.Member] = []
      for member in object.members { members.append(.init(member.name, try TemplateValue(member.value))) }
      self = .dictionary(try TemplateDictionary(unique: members))
    }
  }

  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .bool(let value): value
    case .integer(let value): value != 0
    case .float(let value): value != 0
    case .string(let text): !text.isEmpty
    case .list(let list), .tuple(let list): !list.items.isEmpty
    case .dictionary(let dictionary): !dictionary.members.isEmpty
    default: true
    }
  }

  var isUndefined: Bool { if case .undefined = self { true } else { false } }
  var string: String? { if case .string(let text) = self { text } else { nil } }

  /// The number, where truth counts as 1.
  var integer: Int? {
    switch self {
    case .integer(let value): value
    case .bool(let value): value ? 1 : 0
    default: nil
    }
  }

  var double: Double? {
    if case .float(let value) = self { value } else { integer.map(Double.init) }
  }

  /// What it is, in error messages.
  var kind: String {
    switch self {
    case .undefined: "undefined"
    case .none: "none"
    case .bool: "a boolean"
    case .integer, .float: "a number"
    case .string: "a text"
    case .list: "a list"
    case .tuple: "a tuple"
    case .dictionary: "a mapping"
    case .namespace: "a namespace"
    case .loop: "the loop"
    case .macro, .function, .method: "a function"
    }
  }

  /// How deep the lists are inside one another. Nil for what may not stand in one: a namespace that held itself would
  /// never be freed, nor printed to its end.
  var depth: Int? {
    switch self {
    case .list(let list), .tuple(let list): list.depth
    case .dictionary(let dictionary): dictionary.depth
    case .namespace, .loop, .macro, .function, .method: nil
    default: 0
    }
  }
}

/// The items of a list or tuple.
struct TemplateList {
  static let depthLimit = TemplateLimits().valueDepth

  let items: [TemplateValue]
  let depth: Int

  init(_ items: [TemplateValue]) throws(TemplateError) {
    self.items = items
    depth = try Self.depth(over: items)
  }

  /// One more than the deepest of them. What frees, compares and prints values recurses no deeper than the limit.
  static func depth(over items: some Sequence<TemplateValue>) throws(TemplateError) -> Int {
    var depth = 0
    for item in items {
      guard let inside = item.depth else { throw TemplateError(.evaluation, "\(item.kind) cannot stand in a list") }
      depth = max(depth, inside)
    }
    guard depth < depthLimit else { throw TemplateError(.limit, "lists nested deeper than \(depthLimit)") }
    return depth + 1
  }
}

/// Members in the order of their coming, as in Python. Names are texts only.
struct TemplateDictionary {
  /// One name and its value.
  struct Member {
    let name: String
    var value: TemplateValue

    init(_ name: String, _ value: TemplateValue) {
      self.name = name
      self.value = value
    }
  }

  let members: [Member]
  let depth: Int

  /// Takes members whose names are known to differ.
  init(unique members: [Member]) throws(TemplateError) {
    self.members = members
    depth = try TemplateList.depth(over: members.lazy.map(\.value))
  }
}

/// What `namespace()` makes: the one thing of a template that can be changed from an inner scope.
final class TemplateNamespace {
  private(set) var members: [TemplateDictionary.Member]

  /// Takes members whose names are known to differ.
  init(unique members: [TemplateDictionary.Member]) throws(TemplateError) {
    guard !members.contains(where: { $0.name.utf8.first == UInt8(ascii: "_") }) else {
      throw TemplateError(.evaluation, "a namespace keeps no `_` names")
    }
    _ = try TemplateList.depth(over: members.lazy.map(\.value))
    self.members = members
  }

  /// Sets the member at a place, or adds one. Throws where a value may not be kept.
  func set(_ name: String, _ value: TemplateValue, at place: Int?) throws(TemplateError) {
    guard name.utf8.first != UInt8(ascii: "_") else {
      throw TemplateError(.evaluation, "a namespace keeps no `_` names")
    }
    guard value.depth != nil else { throw TemplateError(.evaluation, "\(value.kind) cannot be kept in a namespace") }
    if let place { members[place].value = value } else { members.append(.init(name, value)) }
  }
}

/// What `loop` tells inside of a `for`.
final class TemplateLoopState {
  let items: [TemplateValue]
  var index = 0

  init(_ items: [TemplateValue]) { self.items = items }

  subscript(name: String) -> TemplateValue? {
    switch name {
    case "index": .integer(index + 1)
    case "index0": .integer(index)
    case "revindex": .integer(items.count - index)
    case "revindex0": .integer(items.count - index - 1)
    case "first": .bool(index == 0)
    case "last": .bool(index == items.count - 1)
    case "length": .integer(items.count)
    // Of recursive loops only it is more.
    case "depth": .integer(1)
    case "depth0": .integer(0)
    case "previtem": index > 0 ? items[index - 1] : .undefined("there is no previous item")
    case "nextitem": index + 1 < items.count ? items[index + 1] : .undefined("there is no next item")
    case "cycle": .method(.loop(self), "cycle")
    default: nil
    }
  }
}

/// The variables of a part of the template, and those around it.
final class TemplateScope {
  var variables: [String: TemplateValue]
  let parent: TemplateScope?
  /// Itself and the scopes around it.
  let depth: Int

  init(_ variables: [String: TemplateValue] = [:], parent: TemplateScope? = nil) {
    self.variables = variables
    self.parent = parent
    depth = (parent?.depth ?? 0) + 1
  }

  subscript(name: String) -> TemplateValue? {
    var scope: TemplateScope? = self
    while let current = scope {
      if let value = current.variables[name] { return value }
      scope = current.parent
    }
    return nil
  }
}

/// A macro and the scope that it was written in.
final class TemplateClosure {
  let macro: TemplateMacro
  let scope: TemplateScope

  init(_ macro: TemplateMacro, _ scope: TemplateScope) {
    self.macro = macro
    self.scope = scope
  }
}

/// Functions that every template has.
enum TemplateFunction: String, CaseIterable {
  case range, dict, namespace
  case raiseException = "raise_exception"
  case strftimeNow = "strftime_now"
}
