/// One line of a statement's `Condition`: an operator, a key of the request's context, and values.
///
/// Several values are alternatives; several conditions must all hold. Where the request has no such key, a positive
/// operator is false, a negated one true, and `…IfExists` true: which is why a Deny by `StringNotEquals` also denies a
/// request without any attestation, and an Allow by `StringEquals` does not allow one.
struct PolicyCondition: Equatable, Sendable {
  /// The operators that are understood; a policy with any other is refused whole.
  enum Operator: String, CaseIterable {
    case stringEquals = "StringEquals"
    case stringNotEquals = "StringNotEquals"
    case stringEqualsIgnoreCase = "StringEqualsIgnoreCase"
    case stringNotEqualsIgnoreCase = "StringNotEqualsIgnoreCase"
    case stringLike = "StringLike"
    case stringNotLike = "StringNotLike"
    case null = "Null"

    fileprivate var isNegated: Bool {
      switch self {
      case .stringNotEquals, .stringNotEqualsIgnoreCase, .stringNotLike: true
      case .stringEquals, .stringEqualsIgnoreCase, .stringLike, .null: false
      }
    }

    fileprivate func matches(_ actual: String, _ wanted: String) -> Bool {
      switch self {
      case .stringEquals, .stringNotEquals: actual == wanted
      case .stringEqualsIgnoreCase, .stringNotEqualsIgnoreCase: actual.lowercased() == wanted.lowercased()
      case .stringLike, .stringNotLike: Wildcard.matches(actual, wanted)
      case .null: false
      }
    }
  }

  let comparison: Operator
  let ifExists: Bool
  /// Lower case: condition keys have no case.
  let key: String
  let values: [String]

  /// - Throws: ``KeyPolicy/Malformed``.
  init(operatorName: String, key: String, values: [String]) throws {
    ifExists = operatorName.hasSuffix("IfExists")
    guard let comparison = Operator(rawValue: ifExists ? String(operatorName.dropLast(8)) : operatorName),
      !(ifExists && comparison == .null)
    else { throw KeyPolicy.Malformed("the condition operator \(operatorName) is not supported") }
    guard !values.isEmpty else { throw KeyPolicy.Malformed("the condition on \(key) has no values") }
    guard comparison != .null || values == ["true"] || values == ["false"] else {
      throw KeyPolicy.Malformed("Null takes \"true\" or \"false\"")
    }
    guard !values.contains(where: { $0.contains("${") }) else {
      throw KeyPolicy.Malformed("policy variables are not supported")
    }
    self.comparison = comparison
    self.key = key.lowercased()
    self.values = values
  }

  /// - Parameter context: by lower-case key.
  func holds(in context: [String: String]) -> Bool {
    let actual = context[key]
    if comparison == .null { return (actual == nil) == (values == ["true"]) }
    guard let actual else { return ifExists || comparison.isNegated }
    return values.contains { comparison.matches(actual, $0) } != comparison.isNegated
  }
}
