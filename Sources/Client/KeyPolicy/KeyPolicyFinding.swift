/// Something about a key policy, or about the key itself, that its owner must know.
package struct KeyPolicyFinding: Equatable, Sendable {
  /// How bad it is.
  package enum Severity: String, Sendable, CaseIterable, Comparable {
    /// Someone can have a secret without the right attestation, or can let himself have it.
    case defeats
    /// Nothing is released today, but less holds than it seems, or it does not work.
    case weakens
    /// What the owner should know and may intend.
    case informs

    package static func < (left: Severity, right: Severity) -> Bool { left.rank < right.rank }
    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
  }

  /// What kind of finding; its raw value is stable, for scripts.
  package enum ID: String, Sendable, CaseIterable {
    // Found by evaluation
    case allowUnattested = "allow-unattested"
    case missingDeny = "missing-deny"
    case missingRegister = "missing-register"
    case denyPrincipal = "deny-principal"
    case denyConjunction = "deny-conjunction"
    case denyOperator = "deny-operator"
    case denyCondition = "deny-condition"
    case plantsSecret = "plants-secret"
    case mixesImages = "mixes-images"
    case releasesNothing = "releases-nothing"
    case denyExempts = "deny-exempts"
    case unknownImage = "unknown-image"
    case imageNotReleased = "image-not-released"
    case signerNotDemanded = "signer-not-demanded"
    // Found in a statement
    case allowFewerRegisters = "allow-fewer-registers"
    case allowOperator = "allow-operator"
    case debugRegister = "debug-register"
    case badValue = "bad-value"
    case misspeltKey = "misspelt-key"
    case keyCase = "key-case"
    case wildcardValue = "wildcard-value"
    case wrongOperator = "wrong-operator"
    case wildcardPrincipal = "wildcard-principal"
    case notPrincipal = "not-principal"
    case notAction = "not-action"
    case viaService = "via-service"
    case resource = "resource"
    // Who governs the key
    case mayChangePolicy = "may-change-policy"
    case nobodyMayChangePolicy = "nobody-may-change-policy"
    case hostMayChangePolicy = "host-may-change-policy"
    case iamEnabled = "iam-enabled"
    case sameAccount = "same-account"
    // DescribeKey and ListGrants
    case multiRegion = "multi-region"
    case importedMaterial = "imported-material"
    case customKeyStore = "custom-key-store"
    case wrongKeyType = "wrong-key-type"
    case notEnabled = "not-enabled"
    case managedByAWS = "managed-by-aws"
    case grant = "grant"
    case grantsTruncated = "grants-truncated"
  }

  package let id: ID
  package let severity: Severity
  /// The statement (its Sid or number), `policy`, `key` or `grants`.
  package let place: String
  /// What was found.
  package let what: String

  init(_ id: ID, _ severity: Severity? = nil, at place: String, _ what: String) {
    self.id = id
    self.severity = severity ?? id.advice.severity
    self.place = place
    self.what = what
  }

  /// Why it matters.
  package var why: String { id.advice.why }
  /// How to put it right.
  package var mend: String { id.advice.mend }
}
