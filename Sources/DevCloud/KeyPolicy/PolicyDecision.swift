/// What a policy is asked.
struct PolicyRequest: Sendable {
  /// The caller's ARN.
  let principal: String
  /// Such as `kms:Decrypt`.
  let action: String
  /// The key's ARN.
  let resource: String
  /// Condition keys in lower case, and their values in this request. Keys that the request lacks are absent.
  let context: [String: String]
}

/// What a policy answers, with the statement that decided.
enum PolicyDecision: Equatable, Sendable {
  case allowed(by: String)
  /// An explicit Deny, which no Allow outweighs.
  case denied(by: String)
  /// No statement allows it.
  case notAllowed

  var isAllowed: Bool {
    if case .allowed = self { return true }
    return false
  }
}

extension KeyPolicy {
  /// Decides as AWS does: an explicit Deny wins, else an Allow is needed.
  func decide(_ request: PolicyRequest) -> PolicyDecision {
    let applying = statements.filter { $0.applies(to: request) }
    if let deny = applying.first(where: { $0.effect == .deny }) { return .denied(by: deny.sid) }
    if let allow = applying.first(where: { $0.effect == .allow }) { return .allowed(by: allow.sid) }
    return .notAllowed
  }
}

extension KeyPolicy.Statement {
  fileprivate func applies(to request: PolicyRequest) -> Bool {
    principals.contains { matches(principal: $0, request.principal) }
      && actions.contains { Wildcard.matches(request.action.lowercased(), $0.lowercased()) }
      && resources.contains { Wildcard.matches(request.resource, $0) }
      && conditions.allSatisfy { $0.holds(in: request.context) }
  }

  private func matches(principal pattern: String, _ caller: String) -> Bool {
    if pattern == "*" || pattern == caller { return true }
    // An account as principal of an Allow hands the decision to that account's IAM policies, and devcloud has none; in a
    // Deny it means everyone of the account.
    let parts = caller.split(separator: ":", omittingEmptySubsequences: false)
    guard effect == .deny, parts.count > 4 else { return false }
    return pattern == String(parts[4]) || pattern == "arn:aws:iam::\(parts[4]):root"
  }
}
