import Client

extension FuzzTarget {
  /// A KMS key's policy, description and grants, as another account's owner hands them over: by the first byte.
  static let keyPolicy = FuzzTarget("key-policy", longestBytes: 8192, seeds: { try KeyPolicySeeds.all() }) { bytes in
    var input = Scissors(bytes)
    let kind = input.byte() % 4
    let json = input.all()
    switch kind {
    case 0: _ = try KeyDescription(json: json)
    case 1: _ = try KeyGrants(json: json, use: .epoch)
    default:
      let linter = KeyPolicyLinter(try KeyPolicyDocument(json: json), use: kind == 2 ? .epoch : .model)
      try hold(try linter.report() == linter.report(), "one policy has one report")
    }
  }
}

private enum KeyPolicySeeds {
  static func all() throws -> [[UInt8]] {
    let policies = try VectorFile.all(in: "key-policies/good") + VectorFile.all(in: "key-policies/bad").prefix(12)
    return policies.flatMap { policy in [UInt8(2), 3].map { [$0] + policy } }
      + [#"{"KeyMetadata":{"MultiRegion":false,"Origin":"AWS_KMS","KeyManager":"CUSTOMER"}}"#].map {
        [0] + Array($0.utf8)
      }
      + [#"{"Grants":[{"GrantId":"g","GranteePrincipal":"p","Operations":["Decrypt"]}],"Truncated":false}"#].map {
        [1] + Array($0.utf8)
      }
  }
}
