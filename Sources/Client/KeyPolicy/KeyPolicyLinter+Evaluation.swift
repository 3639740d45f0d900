/// Requests for a secret that no Deny stops although they should be.
struct Holes {
  /// Actions for which a request without any attestation passes.
  var unattested: [String] = []
  /// Actions that pass with a wrong value in a register, where a request without attestation does not.
  var registers: [Int: [String]] = [:]
  /// Actions by which a known secret can be put under the key.
  var planting: [String] = []
  /// Statements that let such a request through today, and the actions.
  var allows: [Int: [String]] = [:]
}

extension KeyPolicyLinter {
  /// Tries an action with every request.
  ///
  /// - Returns: images (PCR0, PCR1, PCR2, PCR8; `other` and `absent` where not fixed) that some Allow lets through, and
  ///   each PCR0 of which a request passes every Deny.
  func evaluate(
    _ action: String, _ requests: AttestedRequests, _ holes: inout Holes
  ) -> (released: Set<[String]>, exempt: Set<String>) {
    var released = Set<[String]>()
    var exempt = Set<String>()
    let rules = policy.rules(for: action)
    let unattested = !rules.deny([:])
    if unattested { holes.unattested.append(action) }
    var wrong = Set<Int>()
    var guilty = Set<Int>()
    requests.forEach { states in
      guard !rules.deny(states) else { return }
      let allows = rules.allow(states)
      let bad = AttestedRegister.required.filter { fixedValue(states[$0]) == nil }
      wrong.formUnion(bad)
      if bad.isEmpty {
        if case .value(let pcr0)? = states[0] { exempt.insert(pcr0) }
        if !allows.isEmpty { released.insert([0, 1, 2, 8].map { fixedValue(states[$0]) ?? "other" }) }
      } else {
        guilty.formUnion(allows.map(\.number))
      }
    }
    for number in guilty { holes.allows[number, default: []].append(action) }
    if !unattested { for register in wrong { holes.registers[register, default: []].append(action) } }
    return (released, exempt)
  }

  /// The value that a request has in a register, when it is one that a reviewed image can have.
  private func fixedValue(_ state: RegisterState?) -> String? {
    guard case .value(let value)? = state, value != AttestedRegister.zero else { return nil }
    return value
  }

  /// Tries the actions that take no attestation document.
  func evaluateUnattested(_ holes: inout Holes) {
    for action in use.escaping + use.planting + KeyUse.impossible {
      let rules = policy.rules(for: action)
      guard !rules.deny([:]) else { continue }
      for statement in rules.allow([:]) { holes.allows[statement.number, default: []].append(action) }
      if use.escaping.contains(action) { holes.unattested.append(action) }
      if use.planting.contains(action) { holes.planting.append(action) }
    }
  }

  func holeFindings(_ holes: Holes) -> [KeyPolicyFinding] {
    var findings: [KeyPolicyFinding] = []
    for statement in policy.statements {
      guard let actions = holes.allows[statement.number] else { continue }
      let (planting, others) = (actions.filter(use.planting.contains), actions.filter { !use.planting.contains($0) })
      if !others.isEmpty {
        findings.append(
          KeyPolicyFinding(
            .allowUnattested, at: statement.label,
            "lets \(shown(statement.principals)) have \(others.joined(separator: ", ")) without the right attestation"))
      }
      if !planting.isEmpty {
        findings.append(
          KeyPolicyFinding(
            .plantsSecret, at: statement.label,
            "lets \(shown(statement.principals)) do \(planting.joined(separator: ", ")) on an epoch key"))
      }
    }
    if !holes.unattested.isEmpty {
      findings.append(
        KeyPolicyFinding(
          .missingDeny, at: "policy",
          "no Deny stops everyone without attestation from \(holes.unattested.joined(separator: ", "))"))
    }
    if !holes.planting.isEmpty {
      findings.append(
        KeyPolicyFinding(
          .plantsSecret, at: "policy", "no Deny stops everyone from \(holes.planting.joined(separator: ", "))"))
    }
    for (register, actions) in holes.registers.sorted(by: { $0.key < $1.key }) {
      findings.append(
        KeyPolicyFinding(
          .missingRegister, at: "policy",
          "no Deny stops a wrong PCR\(register) from \(actions.joined(separator: ", "))"))
    }
    let open = holes.unattested + holes.planting + holes.registers.values.flatMap { $0 }
    for statement in policy.statements where statement.effect == .deny && open.contains(where: statement.names) {
      findings += denyFailure(statement)
    }
    return findings
  }

  /// Why a Deny that is about an open action does not close it.
  private func denyFailure(_ statement: KeyPolicyDocument.Statement) -> [KeyPolicyFinding] {
    var findings: [KeyPolicyFinding] = []
    if case .everyone = statement.principals {
    } else {
      findings.append(
        KeyPolicyFinding(.denyPrincipal, at: statement.label, "denies \(shown(statement.principals)) alone"))
    }
    let attested = statement.conditions.filter { $0.register != nil }
    let foreign = statement.conditions.filter { $0.register == nil }
    if !foreign.isEmpty {
      findings.append(
        KeyPolicyFinding(
          .denyCondition, at: statement.label, "demands \(foreign.map(\.key).joined(separator: ", ")) as well"))
    }
    for condition in attested where condition.whenAbsent != .always {
      // In a Deny that ties registers of one image together, the first names the image and the rest are negated.
      guard !attested.contains(where: { $0.isNegated && $0.register != condition.register }) else { continue }
      findings.append(
        KeyPolicyFinding(.denyOperator, at: statement.label, "\(condition.operatorName) on \(condition.key)"))
    }
    let negated = Set(attested.filter { $0.whenAbsent == .always }.compactMap(\.register))
    if negated.count > 1 {
      findings.append(
        KeyPolicyFinding(
          .denyConjunction, at: statement.label,
          "has PCR\(negated.sorted().map(String.init).joined(separator: ", PCR")) in one statement"))
    }
    return findings
  }

  /// Principals for people, at most three of them.
  func shown(_ principals: KeyPolicyDocument.Principals) -> String {
    switch principals {
    case .everyone: return "everyone"
    case .listed(let list): return names(list)
    case .allBut(let list): return "everyone but \(names(list))"
    }
  }

  private func names(_ list: [KeyPolicyDocument.Principal]) -> String {
    let names = list.prefix(3).map(\.name).joined(separator: ", ")
    return list.count > 3 ? "\(names) and \(list.count - 3) more" : names
  }
}
