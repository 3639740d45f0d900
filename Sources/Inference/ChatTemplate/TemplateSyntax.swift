/// An expression of a template, with its place and its height: what runs it recurses no deeper than that.
struct TemplateExpression: Sendable {
  indirect enum Kind: Sendable {
    case value(TemplateLiteral)
    case name(String)
    case list([TemplateExpression])
    case tuple([TemplateExpression])
    case dictionary([(key: TemplateExpression, value: TemplateExpression)])
    case unary(Unary, TemplateExpression)
    case binary(Binary, TemplateExpression, TemplateExpression)
    /// Texts put one behind another, by `~`.
    case concatenation([TemplateExpression])
    /// `a < b < c`: each with what stands before it.
    case comparison(TemplateExpression, [(Comparison, TemplateExpression)])
    case conditional(then: TemplateExpression, if: TemplateExpression, else: TemplateExpression?)
    case attribute(TemplateExpression, String)
    case item(TemplateExpression, TemplateExpression)
    case slice(TemplateExpression, from: TemplateExpression?, to: TemplateExpression?, step: TemplateExpression?)
    case call(TemplateExpression, TemplateArguments)
    case filter(TemplateExpression, String, TemplateArguments)
    /// `is`; whether `not` stood behind it, too.
    case test(TemplateExpression, String, TemplateArguments, negated: Bool)
  }

  enum Unary: Sendable { case not, minus, plus }
  enum Binary: String, Sendable {
    case or, and, add = "+", subtract = "-", multiply = "*", divide = "/", floor = "//", remainder = "%", power = "**"
  }
  enum Comparison: String, Sendable {
    case equal = "==", unequal = "!=", less = "<", lessOrEqual = "<=", greater = ">", greaterOrEqual = ">=", isIn =
      "in", notIn = "not in"
  }

  let kind: Kind
  let line: Int
  let height: Int
}

/// A value that stands in the template.
enum TemplateLiteral: Sendable {
  case none
  case bool(Bool)
  case integer(Int)
  case float(Double)
  case string(String)
}

/// What stands in the brackets of a call, a filter or a test.
struct TemplateArguments: Sendable {
  var positional: [TemplateExpression] = []
  var named: [(name: String, value: TemplateExpression)] = []
  var height: Int { max(positional.map(\.height).max() ?? 0, named.map(\.value.height).max() ?? 0) }
}

/// What a `set` or `for` gives a value to.
enum TemplateTarget: Sendable {
  case name(String)
  case names([String])
  /// An attribute of a `namespace`.
  case attribute(String, String)
}

/// A part of a template, in the order of the text.
indirect enum TemplateStatement: Sendable {
  case text(String)
  case print(TemplateExpression)
  case set(TemplateTarget, TemplateExpression, line: Int)
  /// `{% set x %}…{% endset %}`.
  case capture(TemplateTarget, [TemplateStatement], filters: [TemplateFilterCall], line: Int)
  case condition([(test: TemplateExpression, body: [TemplateStatement])], otherwise: [TemplateStatement])
  case loop(TemplateLoop)
  case macro(TemplateMacro)
  /// `{% filter upper %}…{% endfilter %}`.
  case filtered([TemplateFilterCall], [TemplateStatement], line: Int)
  /// `{% with a = 1 %}…` and `{% generation %}…`: a body of its own scope.
  case scope([(name: String, value: TemplateExpression)], [TemplateStatement])
  case leave(breaks: Bool)
}

/// One filter of a chain that stands in a tag.
struct TemplateFilterCall: Sendable {
  let name: String
  let arguments: TemplateArguments
}

/// `{% for target in sequence if condition %}body{% else %}otherwise{% endfor %}`.
struct TemplateLoop: Sendable {
  let target: TemplateTarget
  let sequence: TemplateExpression
  let condition: TemplateExpression?
  let body: [TemplateStatement]
  let otherwise: [TemplateStatement]
  let line: Int
}

/// `{% macro name(parameters) %}body{% endmacro %}`.
struct TemplateMacro: Sendable {
  let name: String
  let parameters: [(name: String, fallback: TemplateExpression?)]
  let body: [TemplateStatement]
  let line: Int
}
