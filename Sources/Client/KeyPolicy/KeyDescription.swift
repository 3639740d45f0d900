import Inference

/// What `aws kms describe-key` says of a key.
package struct KeyDescription {
  private static let limits = JSONLimits(bytes: 1 << 20, depth: 12, values: 20_000)

  /// What is wrong with the key.
  package let findings: [KeyPolicyFinding]

  /// - Parameter json: the answer, `{"KeyMetadata": {…}}`.
  /// - Throws: ``KeyPolicyDocument/Malformed`` when something is missing without which the key cannot be judged.
  package init(json: [UInt8]) throws {
    let answer: JSONValue
    do {
      answer = try JSONValue(parsing: json, limits: Self.limits)
    } catch {
      throw KeyPolicyDocument.Malformed("the key's description is not JSON: \(error)")
    }
    guard let metadata = answer.object?["KeyMetadata"]?.object else {
      throw KeyPolicyDocument.Malformed("the key's description has no KeyMetadata")
    }
    func text(_ name: String) throws -> String {
      guard let text = metadata[name]?.string else {
        throw KeyPolicyDocument.Malformed("the key's description has no \(name)")
      }
      return text
    }
    var findings: [KeyPolicyFinding] = []
    func found(_ id: KeyPolicyFinding.ID, _ what: String) {
      findings.append(KeyPolicyFinding(id, at: "key", what))
    }
    guard let multiRegion = metadata["MultiRegion"]?.bool else {
      throw KeyPolicyDocument.Malformed("the key's description has no MultiRegion")
    }
    if multiRegion { found(.multiRegion, "the key is a multi-Region key") }
    switch try text("Origin") {
    case "AWS_KMS": break
    case "EXTERNAL": found(.importedMaterial, "Origin is EXTERNAL")
    case let origin: found(.customKeyStore, "Origin is \(origin.prefix(40))")
    }
    if metadata["CustomKeyStoreId"] != nil || metadata["XksKeyConfiguration"] != nil {
      found(.customKeyStore, "the key belongs to a custom key store")
    }
    let (spec, usage) = (try text("KeySpec"), try text("KeyUsage"))
    if spec != "SYMMETRIC_DEFAULT" || usage != "ENCRYPT_DECRYPT" {
      found(.wrongKeyType, "KeySpec is \(spec.prefix(40)), KeyUsage is \(usage.prefix(40))")
    }
    let state = try text("KeyState")
    if state != "Enabled" { found(.notEnabled, "KeyState is \(state.prefix(40))") }
    if try text("KeyManager") != "CUSTOMER" { found(.managedByAWS, "KeyManager is not CUSTOMER") }
    self.findings = findings
  }
}

/// What `aws kms list-grants` says of a key.
package struct KeyGrants {
  private static let limits = JSONLimits(bytes: 16 << 20, depth: 12, values: 500_000)

  /// A finding for each grant.
  package let findings: [KeyPolicyFinding]

  /// - Parameter json: the answer, `{"Grants": […]}`.
  /// - Throws: ``KeyPolicyDocument/Malformed``.
  package init(json: [UInt8], use: KeyUse) throws {
    let answer: JSONValue
    do {
      answer = try JSONValue(parsing: json, limits: Self.limits)
    } catch {
      throw KeyPolicyDocument.Malformed("the list of grants is not JSON: \(error)")
    }
    guard let grants = answer.object?["Grants"]?.array else {
      throw KeyPolicyDocument.Malformed("the list of grants has no Grants")
    }
    let secrets = Set(use.releasing + use.escaping + use.planting)
    var findings = try grants.map { grant in
      guard let operations = grant.object?["Operations"]?.array?.compactMap(\.string),
        let id = grant.object?["GrantId"]?.string
      else { throw KeyPolicyDocument.Malformed("a grant has no GrantId or no Operations") }
      let grantee = grant.object?["GranteePrincipal"]?.string ?? "somebody"
      let releases = operations.contains { secrets.contains("kms:\($0)") }
      return KeyPolicyFinding(
        .grant, releases ? .defeats : .weakens, at: "grants",
        "grant \(id.prefix(16)) lets \(grantee.prefix(200)) do \(operations.joined(separator: ", ").prefix(300))")
    }
    if answer.object?["Truncated"]?.bool == true || answer.object?["NextToken"] != nil
      || answer.object?["NextMarker"] != nil
    {
      findings.append(KeyPolicyFinding(.grantsTruncated, at: "grants", "the list is not whole"))
    }
    self.findings = findings
  }
}
