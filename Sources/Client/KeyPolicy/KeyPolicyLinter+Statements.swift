extension KeyPolicyLinter {
  /// Actions that matter to a reader of statements.
  private var dangerous: [String] {
    use.releasing + use.escaping + use.planting + KeyUse.impossible + KeyUse.governing
  }

  /// What is wrong with a statement as it is written, whatever the others say.
  func statementFindings(_ statement: KeyPolicyDocument.Statement) -> [KeyPolicyFinding] {
    let named = dangerous.filter(statement.names)
    guard !named.isEmpty else { return [] }
    var findings: [KeyPolicyFinding] = []
    func found(_ id: KeyPolicyFinding.ID, _ what: String, _ severity: KeyPolicyFinding.Severity? = nil) {
      findings.append(KeyPolicyFinding(id, severity, at: statement.label, what))
    }

    switch (statement.effect, statement.principals) {
    case (.allow, .everyone):
      let attested = statement.conditions.contains { $0.register != nil } && named.allSatisfy(use.releasing.contains)
      found(.wildcardPrincipal, "allows everyone \(listed(named))", attested ? .weakens : .defeats)
    case (.allow, .allBut): found(.notPrincipal, "allows \(listed(named)) by NotPrincipal")
    case (.deny, .allBut): found(.notPrincipal, "denies \(listed(named)) by NotPrincipal", .weakens)
    case (.allow, .listed), (.deny, .everyone), (.deny, .listed): break
    }
    if statement.isNotAction { found(.notAction, "covers \(listed(named)) by NotAction") }
    if !statement.reachesKey { found(.resource, "has the resource \(statement.resources.joined(separator: ", "))") }
    for condition in statement.conditions {
      let key = condition.key.asciiLowercased
      if AttestedRegister.isMisspelt(key) { found(.misspeltKey, condition.key) }
      if key == "kms:viaservice" { found(.viaService, "\(condition.operatorName) \(condition.key)") }
      for (id, what) in conditionFaults(condition, in: statement.effect) { found(id, what) }
    }
    if statement.effect == .allow, named.contains(where: use.releasing.contains) {
      let demanded = Set(statement.conditions.compactMap { $0.whenAbsent == .never ? $0.register : nil })
      let missing = AttestedRegister.required.filter { !demanded.contains($0) }
      if !demanded.isEmpty, !missing.isEmpty {
        found(.allowFewerRegisters, "does not demand PCR\(missing.map(String.init).joined(separator: ", PCR"))")
      }
    }
    return findings
  }

  private func conditionFaults(
    _ condition: KeyPolicyCondition, in effect: KeyPolicyDocument.Effect
  ) -> [(KeyPolicyFinding.ID, String)] {
    guard let register = condition.register else { return [] }
    var faults: [(KeyPolicyFinding.ID, String)] = []
    let written = [AttestedRegister.key(register), "kms:RecipientAttestation:PCR\(register)"]
    if !written.contains(condition.key) { faults.append((.keyCase, condition.key)) }
    let line = "\(condition.operatorName) on \(condition.key)"
    switch condition.comparison {
    case .null: return faults
    case .foreign:
      faults.append((.wrongOperator, line))
      return faults
    case .equals, .equalsIgnoringCase, .like: break
    }
    if condition.hasWildcard {
      faults.append((.wildcardValue, line))
    } else {
      for value in condition.values {
        // PCR3, PCR4 and PCR8 may be zero in honest documents.
        if value == AttestedRegister.zero, AttestedRegister.required.contains(register) {
          faults.append((.debugRegister, line))
        } else if !AttestedRegister.isValue(value) {
          faults.append((.badValue, "\(line): \(badness(value))"))
        }
      }
    }
    // Within a Deny, what holds for an absent key is what is wanted.
    if effect == .allow, condition.whenAbsent != .never { faults.append((.allowOperator, line)) }
    return faults
  }

  private func badness(_ value: String) -> String {
    if AttestedRegister.isValue(value.asciiLowercased) { return "upper-case digits" }
    return value.utf8.count == 96 ? "not hexadecimal" : "\(value.utf8.count) characters instead of 96"
  }

  private func listed(_ actions: [String]) -> String {
    actions.count > 4 ? "\(actions.prefix(4).joined(separator: ", ")) and more" : actions.joined(separator: ", ")
  }

  /// Who may change the policy, and what the host has to do with it.
  func governanceFindings() -> [KeyPolicyFinding] {
    var findings: [KeyPolicyFinding] = []
    let releasing = policy.statements.filter { $0.effect == .allow && use.releasing.contains(where: $0.names) }
    let attested = releasing.filter { $0.conditions.contains { $0.register != nil } }
    // Where no statement says who runs the enclave, whoever has the key's use may be the host.
    let hosts = Set((attested.isEmpty ? releasing : attested).flatMap(named).filter { $0.wholeAccount == nil })
    let hostNames = Set(hosts.map(Self.identity))
    let open = KeyUse.governing.filter { !policy.rules(for: $0).deny([:]) }
    var somebody = false
    for statement in policy.statements where statement.effect == .allow {
      let actions = open.filter(statement.names)
      if actions.contains("kms:PutKeyPolicy") { somebody = true }
      if !actions.isEmpty {
        findings.append(
          KeyPolicyFinding(
            .mayChangePolicy, at: statement.label, "\(shown(statement.principals)): \(actions.joined(separator: ", "))")
        )
        let both = named(statement).filter { hostNames.contains(Self.identity($0)) }
        if !both.isEmpty {
          findings.append(
            KeyPolicyFinding(
              .hostMayChangePolicy, at: statement.label, both.map(\.name).sorted().joined(separator: ", ")))
        }
      }
      for account in named(statement).compactMap(\.wholeAccount) {
        // In the host's own account, whoever governs IAM there could let the host govern the key.
        let isHosts = !actions.isEmpty && (hosts.isEmpty || hosts.contains { $0.account == account })
        findings.append(
          KeyPolicyFinding(
            .iamEnabled, isHosts ? .weakens : .informs, at: statement.label,
            "IAM policies of account \(account)\(isHosts ? ", which may be the host's," : "") decide on "
              + listed(statement.actions)))
      }
    }
    if !somebody {
      findings.append(KeyPolicyFinding(.nobodyMayChangePolicy, at: "policy", "nobody has kms:PutKeyPolicy"))
    }
    let governors = Set(
      policy.statements.filter { $0.effect == .allow && $0.names("kms:PutKeyPolicy") }.flatMap(named)
        .compactMap(\.account))
    for account in governors.intersection(hosts.compactMap(\.account)).sorted() {
      findings.append(
        KeyPolicyFinding(.sameAccount, at: "policy", "account \(account) has both the key's governors and the host"))
    }
    return findings
  }

  /// One name for a role and for the sessions of it: `role/path/NAME` and `assumed-role/NAME/session`.
  private static func identity(_ principal: KeyPolicyDocument.Principal) -> String {
    let parts = principal.name.split(separator: "/")
    if principal.name.contains(":assumed-role/"), parts.count > 1 { return "\(principal.account ?? "") \(parts[1])" }
    if principal.name.contains(":role/"), let last = parts.last { return "\(principal.account ?? "") \(last)" }
    return principal.name
  }

  private func named(_ statement: KeyPolicyDocument.Statement) -> [KeyPolicyDocument.Principal] {
    guard case .listed(let list) = statement.principals else { return [] }
    return list
  }
}
