import Foundation
import Testing

@testable import Client
@testable import DevCloud

/// Policies that go wrong in ways nobody listed: what the linter passes, devcloud's evaluator, written apart from it,
/// must refuse to open without the right attestation.
@Suite("Mutated key policies")
struct MutationTests {
  /// SplitMix64, so that a failure can be repeated.
  private struct Dice: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }

  private static let key = "kms:RecipientAttestation:"
  private static let principals = ["*", Sample.host, "arn:aws:iam::111122223333:root", Sample.admin]
  private static let operators = [
    "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike",
    "StringNotLike", "StringEqualsIfExists", "StringNotEqualsIfExists", "Null",
  ]
  private static let keys =
    [
      "ImageSha384", "PCR0", "PCR1", "PCR2", "PCR3", "PCR8", "pcr1", "PCR01",
    ].map { key + $0 } + ["aws:PrincipalArn", "kms:EncryptionContext:ephemeralml:use"]
  private static let values =
    Sample.first + Sample.second + [
      String(repeating: "0", count: 96), "*", "a0*", Sample.first[0].uppercased(), "epoch", "true", "false",
    ]
  private static let actions = [
    "kms:Decrypt", "kms:GenerateDataKey", "kms:*", "kms:De*", "kms:Encrypt", "kms:CreateGrant", "kms:PutKeyPolicy", "*",
  ]

  /// Changes one thing in one statement, or the list of them.
  private func mutate(_ statements: inout [[String: Any]], _ dice: inout Dice) {
    guard let at = statements.indices.randomElement(using: &dice) else { return }
    switch Int.random(in: 0..<9, using: &dice) {
    case 0: statements.remove(at: at)
    case 1: statements.append(statements[at])
    case 2:
      let name = Self.principals.randomElement(using: &dice) ?? "*"
      statements[at]["Principal"] = Bool.random(using: &dice) && name == "*" ? name : ["AWS": name]
    case 3: statements[at]["Condition"] = nil
    case 4: statements[at]["Effect"] = Bool.random(using: &dice) ? "Allow" : "Deny"
    case 5:
      var actions = (statements[at]["Action"] as? [String]) ?? []
      if Bool.random(using: &dice), actions.count > 1 {
        actions.remove(at: Int.random(in: actions.indices, using: &dice))
      } else {
        actions.append(Self.actions.randomElement(using: &dice) ?? "*")
      }
      statements[at]["Action"] = actions
    default:
      var conditions = (statements[at]["Condition"] as? [String: [String: Any]]) ?? [:]
      let name = conditions.keys.sorted().randomElement(using: &dice) ?? "StringNotEquals"
      var block = conditions.removeValue(forKey: name) ?? [:]
      let key = block.keys.sorted().randomElement(using: &dice) ?? "aws:PrincipalArn"
      let value = block.removeValue(forKey: key) ?? "x"
      switch Int.random(in: 0..<4, using: &dice) {
      case 0: block[Self.keys.randomElement(using: &dice) ?? key] = value
      case 1: block[key] = Self.values.randomElement(using: &dice)
      case 2: block[key] = [value as? String ?? "x", Self.values.randomElement(using: &dice) ?? "x"]
      default: block[key] = value
      }
      let operatorName = Bool.random(using: &dice) ? name : Self.operators.randomElement(using: &dice) ?? name
      if !block.isEmpty { conditions[operatorName] = block }
      statements[at]["Condition"] = conditions.isEmpty ? nil : conditions
    }
  }

  /// Requests without attestation, or with one register that no policy here names.
  private static let contexts: [[String: String]] = {
    let register = key.lowercased()
    func attested(_ image: [String]) -> [String: String] {
      var context = ["\(register)imagesha384": image[0]]
      for (index, value) in image.enumerated() { context["\(register)pcr\(index)"] = value }
      return context
    }
    var contexts: [[String: String]] = [[:]]
    for image in [Sample.first, Sample.second] {
      for index in 0...2 {
        for wrong in [String(repeating: "f", count: 96), String(repeating: "0", count: 96)] {
          var image = image
          image[index] = wrong
          contexts.append(attested(image))
        }
      }
    }
    return contexts.flatMap { context in
      [nil, "epoch", "model"].map { use in
        var context = context
        context["kms:encryptioncontext:ephemeralml:use"] = use
        return context
      }
    }
  }()

  /// Whether somebody gets a secret without the right registers. An account in an Allow hands the decision to IAM
  /// policies, of which the worst is assumed: everyone.
  private func isOpen(_ statements: [[String: Any]], use: KeyUse) throws -> Bool? {
    let opened = statements.map { statement -> [String: Any] in
      var statement = statement
      let principal = (statement["Principal"] as? [String: Any])?["AWS"] as? String
      if statement["Effect"] as? String == "Allow", principal?.hasSuffix(":root") == true {
        statement["Principal"] = "*"
      }
      return statement
    }
    let document: [String: Any] = ["Version": "2012-10-17", "Statement": opened]
    guard let policy = try? KeyPolicy(json: Array(try JSONSerialization.data(withJSONObject: document))) else {
      return nil
    }
    for context in Self.contexts {
      for principal in [Sample.host, Sample.admin, Sample.publisher, "arn:aws:iam::999999999999:role/stranger"] {
        var context = context
        context["aws:principalarn"] = principal
        for action in use == .epoch
          ? ["Decrypt", "GenerateDataKey", "CreateGrant", "Encrypt"] : ["Decrypt", "CreateGrant"]
        {
          // Only the first two take an attestation document.
          let attested = ["Decrypt", "GenerateDataKey"].contains(action)
          let seen = attested ? context : context.filter { !$0.key.hasPrefix(Self.key.lowercased()) }
          let request = PolicyRequest(
            principal: principal, action: "kms:\(action)", resource: "arn:aws:kms:eu-west-1:111122223333:key/k",
            context: seen)
          if policy.decide(request).isAllowed { return true }
        }
      }
    }
    return false
  }

  @Test("that the linter passes open nothing", arguments: PolicyVector.good + PolicyVector.bad)
  func property(vector: PolicyVector) throws {
    let object = try JSONSerialization.jsonObject(with: Data(vector.policy)) as? [String: Any]
    let statements = try #require(object?["Statement"] as? [[String: Any]])
    var dice = Dice(state: vector.name.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
    for _ in 0..<60 {
      var mutant = statements
      for _ in 0..<Int.random(in: 1...3, using: &dice) { mutate(&mutant, &dice) }
      let data = try JSONSerialization.data(
        withJSONObject: ["Version": "2012-10-17", "Statement": mutant] as [String: Any], options: [.sortedKeys])
      guard let document = try? KeyPolicyDocument(json: Array(data)),
        let report = try? KeyPolicyLinter(document, use: vector.use).report(), !report.isDefeated
      else { continue }
      #expect(try isOpen(mutant, use: vector.use) != true, "\(String(decoding: data, as: UTF8.self))")
    }
  }

  @Test("and the linter does not merely refuse all of them")
  func notVacuous() throws {
    var (passed, refusedAndOpen) = (0, 0)
    for vector in PolicyVector.good {
      let object = try JSONSerialization.jsonObject(with: Data(vector.policy)) as? [String: Any]
      let statements = try #require(object?["Statement"] as? [[String: Any]])
      var dice = Dice(state: 1)
      for _ in 0..<50 {
        var mutant = statements
        mutate(&mutant, &dice)
        let data = try JSONSerialization.data(
          withJSONObject: ["Version": "2012-10-17", "Statement": mutant] as [String: Any])
        guard let document = try? KeyPolicyDocument(json: Array(data)),
          let report = try? KeyPolicyLinter(document, use: vector.use).report()
        else { continue }
        if report.isDefeated {
          if try isOpen(mutant, use: vector.use) == true { refusedAndOpen += 1 }
        } else if try isOpen(mutant, use: vector.use) == false {
          passed += 1
        }
      }
    }
    #expect(passed > 50)
    #expect(refusedAndOpen > 10)
  }
}
