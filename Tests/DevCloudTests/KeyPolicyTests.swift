import Testing
import Wire

@testable import DevCloud

@Suite("Key policies")
struct KeyPolicyTests {
  private static let host = "arn:aws:iam::111122223333:role/ephemeral-host"
  private static let key = "arn:aws:kms:us-east-1:111122223333:key/1"
  private static let pcr = "kms:RecipientAttestation:ImageSha384"

  private func statement(
    _ effect: String, principal: String = #"{"AWS":"\#(host)"}"#, action: String = #""kms:Decrypt""#,
    condition: String = "{}"
  ) -> String {
    """
    {"Sid":"\(effect)","Effect":"\(effect)","Principal":\(principal),"Action":\(action),"Resource":"*",\
    "Condition":\(condition)}
    """
  }

  private func decide(
    _ statements: [String], action: String = "kms:Decrypt", principal: String = host,
    context: [String: String] = [:]
  ) throws -> PolicyDecision {
    let text = #"{"Version":"2012-10-17","Statement":[\#(statements.joined(separator: ","))]}"#
    return try KeyPolicy(json: Array(text.utf8)).decide(
      PolicyRequest(principal: principal, action: action, resource: Self.key, context: context))
  }

  @Test("allow nothing without an Allow, and everything of one without condition")
  func plain() throws {
    #expect(try decide([]) == .notAllowed)
    #expect(try decide([statement("Allow")]) == .allowed(by: "Allow"))
    #expect(try decide([statement("Allow")], action: "kms:Encrypt") == .notAllowed)
    #expect(try decide([statement("Allow")], principal: Self.host + "2") == .notAllowed)
  }

  @Test("let a Deny win in either order")
  func denyWins() throws {
    #expect(try decide([statement("Allow"), statement("Deny")]) == .denied(by: "Deny"))
    #expect(try decide([statement("Deny"), statement("Allow")]) == .denied(by: "Deny"))
  }

  @Test(
    "know wildcards in actions, without case",
    arguments: [
      ("kms:*", true), ("*", true), ("KMS:decrypt", true), ("kms:De*t", true), ("kms:Decryp?", true),
      ("kms:Decrypt?", false), ("kms:GenerateDataKey*", false), ("kms:", false),
    ])
  func actions(pattern: String, allowed: Bool) throws {
    #expect(try decide([statement("Allow", action: #"["kms:None","\#(pattern)"]"#)]).isAllowed == allowed)
  }

  @Test("know everyone, and an account only to deny it")
  func principals() throws {
    for everyone in [#""*""#, #"{"AWS":"*"}"#] {
      #expect(try decide([statement("Allow", principal: everyone)]).isAllowed)
    }
    for account in [#"{"AWS":"arn:aws:iam::111122223333:root"}"#, #"{"AWS":["111122223333"]}"#] {
      #expect(try decide([statement("Allow", principal: account)]) == .notAllowed)
      #expect(try decide([statement("Allow"), statement("Deny", principal: account)]) == .denied(by: "Deny"))
    }
  }

  @Test(
    "evaluate conditions as AWS does, an absent key included",
    arguments: [
      (#"{"StringEquals":{"\#(pcr)":"aa"}}"#, "aa", true),
      (#"{"StringEquals":{"\#(pcr)":"aa"}}"#, "bb", false),
      (#"{"StringEquals":{"\#(pcr)":"aa"}}"#, nil, false),
      (#"{"StringEquals":{"\#(pcr)":"AA"}}"#, "aa", false),
      (#"{"StringEquals":{"\#(pcr)":["bb","aa"]}}"#, "aa", true),
      (#"{"stringEqualsNot":{}}"#, "aa", nil),
      (#"{"StringEquals":{"KMS:recipientattestation:imagesha384":"aa"}}"#, "aa", true),
      (#"{"StringEqualsIgnoreCase":{"\#(pcr)":"AA"}}"#, "aa", true),
      (#"{"StringEqualsIgnoreCase":{"\#(pcr)":"AA"}}"#, nil, false),
      (#"{"StringEqualsIfExists":{"\#(pcr)":"aa"}}"#, nil, true),
      (#"{"StringEqualsIfExists":{"\#(pcr)":"aa"}}"#, "bb", false),
      (#"{"StringNotEquals":{"\#(pcr)":"aa"}}"#, "aa", false),
      (#"{"StringNotEquals":{"\#(pcr)":"aa"}}"#, "bb", true),
      (#"{"StringNotEquals":{"\#(pcr)":"aa"}}"#, nil, true),
      (#"{"StringNotEquals":{"\#(pcr)":["aa","bb"]}}"#, "bb", false),
      (#"{"StringNotEqualsIgnoreCase":{"\#(pcr)":"AA"}}"#, "aa", false),
      (#"{"StringNotEqualsIgnoreCase":{"\#(pcr)":"AA"}}"#, nil, true),
      (#"{"StringLike":{"\#(pcr)":"a*"}}"#, "aa", true),
      (#"{"StringLike":{"\#(pcr)":"*"}}"#, nil, false),
      (#"{"StringNotLike":{"\#(pcr)":"a*"}}"#, "aa", false),
      (#"{"StringNotLike":{"\#(pcr)":"a*"}}"#, nil, true),
      (#"{"Null":{"\#(pcr)":"true"}}"#, nil, true),
      (#"{"Null":{"\#(pcr)":"true"}}"#, "aa", false),
      (#"{"Null":{"\#(pcr)":false}}"#, "aa", true),
      (#"{"Null":{"\#(pcr)":"false"}}"#, nil, false),
      (#"{"StringEquals":{"\#(pcr)":"aa"},"Null":{"kms:x":"false"}}"#, "aa", false),
    ] as [(String, String?, Bool?)])
  func conditions(condition: String, value: String?, holds: Bool?) throws {
    let context = value.map { [Self.pcr.lowercased(): $0] } ?? [:]
    guard let holds else {
      #expect(throws: KeyPolicy.Malformed.self) { try decide([statement("Allow", condition: condition)]) }
      return
    }
    #expect(try decide([statement("Allow", condition: condition)], context: context).isAllowed == holds)
  }

  @Test(
    "are refused whole when anything in them is not understood",
    arguments: [
      #"{"Effect":"Allow","NotPrincipal":"*","Action":"*","Resource":"*"}"#,
      #"{"Effect":"Allow","Principal":"*","NotAction":"kms:x","Resource":"*"}"#,
      #"{"Effect":"Allow","Principal":"*","Action":"*"}"#,
      #"{"Effect":"Permit","Principal":"*","Action":"*","Resource":"*"}"#,
      #"{"Effect":"Allow","Principal":{"Service":"x"},"Action":"*","Resource":"*"}"#,
      #"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:role/*"},"Action":"*","Resource":"*"}"#,
      #"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"Bool":{"a":"true"}}}"#,
      #"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"a":"b"}}}"#,
      #"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"a":"${aws:x}"}}}"#,
      #"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"a":[]}}}"#,
    ])
  func strictness(text: String) {
    #expect(throws: KeyPolicy.Malformed.self) { try decide([text]) }
  }

  @Test("match wildcards as a whole")
  func wildcards() {
    #expect(Wildcard.matches("", "*"))
    #expect(Wildcard.matches("abcabc", "a*bc"))
    #expect(Wildcard.matches("abc", "a**c"))
    #expect(!Wildcard.matches("abc", "ab"))
    #expect(!Wildcard.matches("abc", "bc"))
    #expect(!Wildcard.matches("", "?"))
    #expect(!Wildcard.matches(String(repeating: "a", count: 5000), String(repeating: "a*", count: 50) + "b"))
  }
}

@Suite("The key policies that devcloud writes")
struct PolicyTemplateTests {
  private static let good = ["0": "a0", "1": "a1", "2": "a2"]
  private let epoch: KeyPolicy
  private let model: KeyPolicy

  init() throws {
    let templates = PolicyTemplates(measurements: ("a0", "a1", "a2"))
    epoch = try KeyPolicy(json: try templates.epochKey())
    model = try KeyPolicy(json: try templates.modelKey())
  }

  private func context(_ pcrs: [String: String], use: String) -> [String: String] {
    var context = ["kms:encryptioncontext:ephemeralml:use": use]
    for (index, value) in pcrs { context["kms:recipientattestation:pcr\(index)"] = value }
    context["kms:recipientattestation:imagesha384"] = pcrs["0"]
    return context
  }

  private func allowed(
    _ policy: KeyPolicy, _ action: String, as profile: String, _ pcrs: [String: String] = [:], use: String
  ) -> Bool {
    policy.decide(
      PolicyRequest(
        principal: PolicyTemplates.role(profile), action: "kms:\(action)", resource: "arn:aws:kms:k",
        context: context(pcrs, use: use))
    ).isAllowed
  }

  @Test("give an epoch key's data keys to the measured enclave alone")
  func epochKey() {
    for action in ["GenerateDataKey", "Decrypt"] {
      #expect(allowed(epoch, action, as: "host", Self.good, use: "epoch"))
      #expect(!allowed(epoch, action, as: "host", Self.good, use: "model"))
      #expect(!allowed(epoch, action, as: "host", use: "epoch"))
      #expect(!allowed(epoch, action, as: "publisher", Self.good, use: "epoch"))
      #expect(!allowed(epoch, action, as: "owner", Self.good, use: "epoch"))
      for index in ["0", "1", "2"] {
        var pcrs = Self.good
        pcrs[index] = "ff"
        #expect(!allowed(epoch, action, as: "host", pcrs, use: "epoch"))
        pcrs[index] = nil
        #expect(!allowed(epoch, action, as: "host", pcrs, use: "epoch"))
      }
    }
  }

  @Test("let nobody encrypt under an epoch key")
  func nobodyEncrypts() {
    for profile in DevelopmentState.profiles {
      #expect(!allowed(epoch, "Encrypt", as: profile, Self.good, use: "epoch"))
      #expect(!allowed(epoch, "ReEncryptTo", as: profile, Self.good, use: "epoch"))
    }
  }

  @Test("let the publisher encrypt models, and the measured enclave alone open them")
  func modelKey() {
    #expect(allowed(model, "GenerateDataKey", as: "publisher", use: "model"))
    #expect(allowed(model, "Encrypt", as: "publisher", use: "model"))
    #expect(!allowed(model, "Decrypt", as: "publisher", use: "model"))
    #expect(!allowed(model, "GenerateDataKey", as: "host", Self.good, use: "model"))
    #expect(!allowed(model, "Encrypt", as: "host", Self.good, use: "model"))
    #expect(allowed(model, "Decrypt", as: "host", Self.good, use: "model"))
    #expect(!allowed(model, "Decrypt", as: "host", Self.good, use: "epoch"))
    #expect(!allowed(model, "Decrypt", as: "host", use: "model"))
  }

  @Test("allow two images during an upgrade, and no mixture of them")
  func twoImages() throws {
    let templates = PolicyTemplates(images: [("a0", "a1", "a2"), ("b0", "b1", "b2")])
    let epoch = try KeyPolicy(json: try templates.epochKey())
    func allows(_ pcrs: [String]) -> Bool {
      let registers = Dictionary(uniqueKeysWithValues: pcrs.enumerated().map { ("\($0)", $1) })
      return allowed(epoch, "Decrypt", as: "host", registers, use: "epoch")
    }
    #expect(allows(["a0", "a1", "a2"]) && allows(["b0", "b1", "b2"]))
    for mixture in [["a0", "b1", "b2"], ["b0", "a1", "b2"], ["b0", "b1", "a2"], ["c0", "a1", "a2"]] {
      #expect(!allows(mixture), "\(mixture)")
    }
  }

  @Test("release nothing before measurements are allowed")
  func beforeAllow() throws {
    let templates = PolicyTemplates(measurements: nil)
    let epoch = try KeyPolicy(json: try templates.epochKey())
    let model = try KeyPolicy(json: try templates.modelKey())
    #expect(!allowed(epoch, "GenerateDataKey", as: "host", Self.good, use: "epoch"))
    #expect(!allowed(model, "Decrypt", as: "host", Self.good, use: "model"))
    #expect(allowed(model, "GenerateDataKey", as: "publisher", use: "model"))
  }
}
