/// What a KMS key is for (protocol §2), and so what its policy must never let happen.
package enum KeyUse: String, Sendable, CaseIterable {
  /// Wraps epoch seeds: enclaves alone generate and decrypt, nobody encrypts.
  case epoch
  /// Wraps one owner's models: the publisher encrypts, enclaves alone decrypt.
  case model

  /// Actions whose answer is a secret, and which take an attestation document: a Deny must stop every request that has
  /// not exactly the right one.
  var releasing: [String] {
    switch self {
    case .epoch: ["kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyPair"]
    case .model: ["kms:Decrypt"]
    }
  }

  /// Actions that take no attestation document and yet give the secret away: to another key, or to whoever a grant
  /// names. A Deny must stop each.
  var escaping: [String] { ["kms:CreateGrant", "kms:ReEncryptFrom"] }

  /// Actions by which someone would put a secret that he knows where an enclave's own is expected. On an epoch key a
  /// Deny must stop each.
  var planting: [String] {
    switch self {
    case .epoch:
      [
        "kms:Encrypt", "kms:ReEncryptTo", "kms:GenerateDataKeyWithoutPlaintext",
        "kms:GenerateDataKeyPairWithoutPlaintext",
      ]
    case .model: []
    }
  }

  /// Actions that a symmetric key made by AWS refuses anyway, so that no Deny is demanded; an Allow that no Deny stops
  /// is a fault all the same.
  static let impossible = ["kms:ImportKeyMaterial", "kms:DeriveSharedSecret"]

  /// Actions that change who may do all of this. Whoever has one can release everything.
  static let governing = ["kms:PutKeyPolicy", "kms:CreateGrant", "kms:ScheduleKeyDeletion", "kms:ReplicateKey"]
}

extension KeyPolicyDocument.Statement {
  /// Whether the statement is about an action.
  func names(_ action: String) -> Bool {
    actions.contains { WildcardPattern.matches(action.asciiLowercased, $0.asciiLowercased) } != isNotAction
  }

  /// Whether a Deny reaches the key for certain. In a key policy `*` is the key itself.
  var reachesKey: Bool { !isNotResource && resources.contains("*") }

  /// Whether every request with these registers meets all conditions, or may, or none does.
  func conditionsHold(_ states: RegisterStates) -> Holds {
    conditions.map { $0.holds(states) }.min() ?? .always
  }
}

extension KeyPolicyDocument {
  /// Whether an Allow may mean a service or an identity provider, which `{"AWS": "*"}` in a Deny may not mean.
  private var admitsOthersThanAWS: Bool {
    statements.contains { statement in
      guard statement.effect == .allow else { return false }
      switch statement.principals {
      case .everyone(let services): return services
      case .listed(let list): return list.contains { $0.kind != .aws }
      case .allBut: return true
      }
    }
  }

  /// The statements that decide on an action.
  func rules(for action: String) -> ActionRules {
    let everyKind = admitsOthersThanAWS
    let about = statements.filter { $0.names(action) }
    let denies = about.filter { statement in
      guard statement.effect == .deny, statement.reachesKey, case .everyone(let services) = statement.principals
      else { return false }
      return services || !everyKind
    }
    return ActionRules(denies: denies, allows: about.filter { $0.effect == .allow })
  }
}

/// The statements of a policy that decide on one action.
struct ActionRules {
  /// Those that reach everyone.
  let denies: [KeyPolicyDocument.Statement]
  /// Those that reach anyone.
  let allows: [KeyPolicyDocument.Statement]

  /// Whether a Deny surely stops everyone's request with these registers.
  func deny(_ states: RegisterStates) -> Bool { denies.contains { $0.conditionsHold(states) == .always } }

  /// The Allows that may let somebody's request with these registers through.
  func allow(_ states: RegisterStates) -> [KeyPolicyDocument.Statement] {
    allows.filter { $0.conditionsHold(states) > .never }
  }
}
