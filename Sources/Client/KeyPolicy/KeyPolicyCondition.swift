/// Whether something holds in a request of which only the attestation is known.
///
/// Everything else in a request's context (source, tags, encryption context, service) is the caller's to choose or not
/// ours to know: a condition on it holds `perhaps`. An Allow counts when it may apply, a Deny only when it must.
enum Holds: Int, Comparable {
  case never, perhaps, always

  static func < (left: Holds, right: Holds) -> Bool { left.rawValue < right.rawValue }
  var negated: Holds { Holds(rawValue: 2 - rawValue) ?? .perhaps }
  init(_ truth: Bool) { self = truth ? .always : .never }
}

/// One line of a statement's `Condition`: an operator, a key, and values of which one must match.
///
/// Where a request lacks the key, a positive operator is false, a negated one true, `…IfExists` and `ForAllValues:` are
/// true, and `ForAnyValue:` is false, negated or not. Source: IAM user guide, "IAM JSON policy elements: Condition
/// operators".
struct KeyPolicyCondition: Equatable, Sendable {
  /// Prefix of operators for keys of several values.
  enum Quantifier: String { case anyValue = "ForAnyValue:", allValues = "ForAllValues:" }

  /// How a value is compared.
  enum Comparison: Equatable, Sendable {
    case equals, equalsIgnoringCase, like, null
    /// Numbers, dates, addresses and the like, which say nothing of a register.
    case foreign
  }

  /// As the policy writes it.
  let operatorName: String
  /// As the policy writes it.
  let key: String
  let values: [String]
  let quantifier: Quantifier?
  let ifExists: Bool
  let isNegated: Bool
  let comparison: Comparison

  private static let comparisons: [String: (Comparison, negated: Bool)] = {
    var table: [String: (Comparison, negated: Bool)] = [
      "StringEquals": (.equals, false), "StringNotEquals": (.equals, true),
      "StringEqualsIgnoreCase": (.equalsIgnoringCase, false), "StringNotEqualsIgnoreCase": (.equalsIgnoringCase, true),
      "StringLike": (.like, false), "StringNotLike": (.like, true), "Null": (.null, false),
    ]
    let foreign = [
      "NumericEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals",
      "DateEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals", "Bool",
      "BinaryEquals", "IpAddress", "ArnEquals", "ArnLike",
    ]
    let foreignNegated = ["NumericNotEquals", "DateNotEquals", "NotIpAddress", "ArnNotEquals", "ArnNotLike"]
    for name in foreign { table[name] = (.foreign, false) }
    for name in foreignNegated { table[name] = (.foreign, true) }
    return table
  }()

  /// - Throws: ``KeyPolicyDocument/Malformed`` for an operator that IAM has not, which AWS would refuse too.
  init(operatorName: String, key: String, values: [String], place: String) throws {
    var name = operatorName
    quantifier = [.anyValue, .allValues].first { name.hasPrefix($0.rawValue) }
    if let quantifier { name.removeFirst(quantifier.rawValue.count) }
    ifExists = name.hasSuffix("IfExists")
    if ifExists { name.removeLast("IfExists".count) }
    guard let (comparison, negated) = Self.comparisons[name],
      comparison != .null || (!ifExists && quantifier == nil)
    else { throw KeyPolicyDocument.Malformed("\(place): there is no condition operator \(operatorName)") }
    guard !values.isEmpty else { throw KeyPolicyDocument.Malformed("\(place): the condition on \(key) has no values") }
    guard comparison != .null || values.allSatisfy({ ["true", "false"].contains($0.asciiLowercased) }) else {
      throw KeyPolicyDocument.Malformed("\(place): Null takes true or false")
    }
    self.operatorName = operatorName
    self.key = key
    self.values = values
    self.comparison = comparison
    isNegated = negated
  }

  /// The register that the key names.
  var register: Int? { AttestedRegister.index(ofKey: key.asciiLowercased) }

  /// Whether the values may match registers that are not written out.
  var hasWildcard: Bool {
    values.contains { $0.contains("${") || (comparison == .like && ($0.contains("*") || $0.contains("?"))) }
  }

  /// Whether the condition holds in a request without the key.
  var whenAbsent: Holds {
    switch (comparison, quantifier) {
    case (.null, _): Holds(values.contains { $0.asciiLowercased == "true" })
    // How IfExists acts inside ForAnyValue is not documented.
    case (_, .anyValue): ifExists ? .perhaps : .never
    case (_, .allValues): .always
    case (.foreign, nil): ifExists ? .always : .perhaps
    case (_, nil): Holds(ifExists || isNegated)
    }
  }

  /// Whether it holds in a request with these registers.
  func holds(_ states: RegisterStates) -> Holds {
    guard let register else { return .perhaps }
    let state = states[register] ?? .absent
    if state == .absent { return whenAbsent }
    switch comparison {
    case .null: return Holds(values.contains { $0.asciiLowercased == "false" })
    case .foreign: return .perhaps
    case .equals, .equalsIgnoringCase, .like: break
    }
    let matched = values.map { matches(state, $0) }.max() ?? .never
    return isNegated ? matched.negated : matched
  }

  private func matches(_ state: RegisterState, _ wanted: String) -> Holds {
    if wanted.contains("${") { return .perhaps }
    let isPattern = comparison == .like && (wanted.contains("*") || wanted.contains("?"))
    switch state {
    case .absent: return .never
    case .other: return isPattern ? (wanted == "*" ? .always : .perhaps) : .never
    case .value(let actual):
      switch comparison {
      case .equals: return Holds(actual == wanted)
      case .equalsIgnoringCase: return Holds(actual == wanted.asciiLowercased)
      case .like: return Holds(WildcardPattern.matches(actual, wanted))
      case .null, .foreign: return .perhaps
      }
    }
  }
}

extension String {
  /// Without the case of A to Z. Unicode's own rules would take a Kelvin sign for a k, and IAM does not.
  var asciiLowercased: String {
    String(decoding: utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
  }
}

/// `*` for any text and `?` for any character, as policies use them.
enum WildcardPattern {
  /// Takes time of at most text × pattern.
  static func matches(_ text: String, _ pattern: String) -> Bool {
    let text = Array(text.utf8)
    let pattern = Array(pattern.utf8)
    var t = 0
    var p = 0
    // Where the last star stands, and where its match ends so far.
    var star: (pattern: Int, text: Int)?
    while t < text.count {
      if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
        star = (p, t)
        p += 1
      } else if p < pattern.count, pattern[p] == UInt8(ascii: "?") || pattern[p] == text[t] {
        t += 1
        p += 1
      } else if let last = star {
        star = (last.pattern, last.text + 1)
        t = last.text + 1
        p = last.pattern + 1
      } else {
        return false
      }
    }
    return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
  }
}
