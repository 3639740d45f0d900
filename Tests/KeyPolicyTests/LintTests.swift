import SealedCrypto
import Testing
import Wire

@testable import Client

@Suite("The key policy linter")
struct LintTests {
  private func report(_ vector: PolicyVector) throws -> KeyPolicyReport {
    try KeyPolicyLinter(try KeyPolicyDocument(json: vector.policy), use: vector.use).report()
  }

  private func faults(_ report: KeyPolicyReport) -> Set<String> {
    Set(report.findings.filter { $0.severity < .informs }.map(\.id.rawValue))
  }

  @Test("has policies to judge") func vectorsAreThere() {
    #expect(PolicyVector.bad.count >= 20)
    #expect(PolicyVector.good.count >= 5)
  }

  @Test("refuses each bad policy for its own reasons", arguments: PolicyVector.bad)
  func bad(vector: PolicyVector) throws {
    let report = try report(vector)
    #expect(!report.isClean)
    #expect(report.isDefeated == vector.isDefeated)
    #expect(faults(report) == vector.expected)
  }

  @Test("finds nothing wrong with a good policy", arguments: PolicyVector.good)
  func good(vector: PolicyVector) throws {
    let report = try report(vector)
    #expect(faults(report) == [])
    #expect(!report.images.isEmpty)
  }

  @Test("tells who may change the policy, and that IAM decides")
  func governance() throws {
    let door = try #require(PolicyVector.good.first { $0.name == "iam-door-behind-deny" })
    let findings = try report(door).findings
    let changers = findings.filter { $0.id == .mayChangePolicy }
    #expect(changers.map(\.place) == ["statement Root"])
    #expect(changers.first?.what.contains("arn:aws:iam::111122223333:root: kms:PutKeyPolicy") == true)
    #expect(findings.contains { $0.id == .iamEnabled && $0.what.contains("111122223333") })
  }

  @Test(
    "refuses what is not a key policy in full",
    arguments: [
      "", "[]", "{}", #"{"Version":"2012-10-17"}"#, #"{"Version":"2012-10-17","Statement":[]}"#,
      #"{"Version":"2020-01-01","Statement":{}}"#,
      statement(#""Effect":"allow","Principal":"*","Action":"*","Resource":"*""#),
      statement(#""Effect":"Allow","Principal":"*","Action":"*""#),
      statement(#""Effect":"Allow","Principal":"*","NotPrincipal":"*","Action":"*","Resource":"*""#),
      statement(#""Effect":"Allow","Principal":"*","Action":"*","NotAction":"*","Resource":"*""#),
      statement(#""Effect":"Allow","Action":"*","Resource":"*""#),
      statement(#""Effect":"Allow","Principal":"x","Action":"*","Resource":"*""#),
      statement(#""Effect":"Allow","Principal":{"Aws":"*"},"Action":"*","Resource":"*""#),
      statement(#""Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:role/*"},"Action":"*","Resource":"*""#),
      statement(#""Effect":"Allow","Principal":"*","Action":[],"Resource":"*""#),
      statement(#""Effect":"Allow","Principal":"*","Action":[1],"Resource":"*""#),
      statement(#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Conditions":{}"#),
      statement(#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Effect":"Deny""#),
      condition(#"{"StringMatches":{"a":"b"}}"#), condition(#"{"NullIfExists":{"a":"true"}}"#),
      condition(#"{"stringequals":{"a":"b"}}"#), condition(#"{"StringEquals":{"a":[]}}"#),
      condition(#"{"StringEquals":{}}"#), condition(#"{"Null":{"a":"maybe"}}"#),
      condition(#"{"StringEquals":{"a":{"b":"c"}}}"#), condition(#"{"ForSomeValues:StringEquals":{"a":"b"}}"#),
      condition(#"{"StringEquals":{"a":"b"},"StringEquals":{"a":"c"}}"#),
      condition(#"{"StringEquals":{"kms:a":"b","KMS:A":"c"}}"#),
    ])
  func malformed(text: String) {
    #expect(throws: KeyPolicyDocument.Malformed.self) { try KeyPolicyDocument(json: Array(text.utf8)) }
  }

  private static func statement(_ members: String) -> String {
    #"{"Version":"2012-10-17","Statement":{\#(members)}}"#
  }

  private static func condition(_ condition: String) -> String {
    statement(#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":\#(condition)"#)
  }

  @Test("gives up, aloud, on a policy with more values than can be tried")
  func tooMany() throws {
    let values = (0..<80).map { #""\#(String(repeating: "0", count: 92))\#(1000 + $0)""# }.joined(separator: ",")
    let keys = (0...2).map { #""kms:RecipientAttestation:PCR\#($0)":[\#(values)]"# }.joined(separator: ",")
    let policy = try KeyPolicyDocument(json: Array(Self.condition(#"{"StringEquals":{\#(keys)}}"#).utf8))
    #expect(throws: KeyPolicyDocument.Malformed.self) { try KeyPolicyLinter(policy, use: .epoch).report() }
  }

  @Test("holds the policy to the images that were reviewed")
  func measurements() throws {
    let vector = try #require(PolicyVector.good.first { $0.name == "two-images" })
    let linter = KeyPolicyLinter(try KeyPolicyDocument(json: vector.policy), use: .epoch)
    func tuple(_ image: [String], pcr8: [UInt8]? = nil) throws -> MeasurementTuple {
      let registers = try image.map { try #require(Hex.decode($0)) }
      return MeasurementTuple(name: "w", pcr0: registers[0], pcr1: registers[1], pcr2: registers[2], pcr8: pcr8)
    }
    let both = [try tuple(Sample.first), try tuple(Sample.second)]
    #expect(try linter.report(measurements: both).isClean)
    let one = try linter.report(measurements: [both[0]])
    #expect(one.isDefeated && faults(one) == ["unknown-image"])
    let more = try linter.report(measurements: both + [try tuple(Sample.image("c"))])
    #expect(!more.isDefeated && faults(more) == ["image-not-released"])
    let signed = try linter.report(measurements: [
      both[0], try tuple(Sample.second, pcr8: [UInt8](repeating: 8, count: 48)),
    ])
    #expect(signed.isClean && signed.findings.contains { $0.id == .signerNotDemanded })
  }
}

@Suite("What AWS says of a key")
struct KeyDescriptionTests {
  private func description(_ changes: [String: String] = [:], without: String? = nil) -> [UInt8] {
    var members = [
      "KeyId": #""1""#, "MultiRegion": "false", "Origin": #""AWS_KMS""#, "KeySpec": #""SYMMETRIC_DEFAULT""#,
      "KeyUsage": #""ENCRYPT_DECRYPT""#, "KeyState": #""Enabled""#, "KeyManager": #""CUSTOMER""#,
    ].merging(changes) { $1 }
    if let without { members[without] = nil }
    return Array(#"{"KeyMetadata":{\#(members.map { #""\#($0)":\#($1)"# }.joined(separator: ","))}}"#.utf8)
  }

  @Test("is taken for what it is")
  func findings() throws {
    #expect(try KeyDescription(json: description()).findings.isEmpty)
    let cases: [(String, String, KeyPolicyFinding.ID)] = [
      ("MultiRegion", "true", .multiRegion), ("Origin", #""EXTERNAL""#, .importedMaterial),
      ("Origin", #""AWS_CLOUDHSM""#, .customKeyStore), ("Origin", #""EXTERNAL_KEY_STORE""#, .customKeyStore),
      ("CustomKeyStoreId", #""cks-1""#, .customKeyStore), ("KeySpec", #""RSA_2048""#, .wrongKeyType),
      ("KeyUsage", #""SIGN_VERIFY""#, .wrongKeyType), ("KeyState", #""PendingDeletion""#, .notEnabled),
      ("KeyState", #""Disabled""#, .notEnabled), ("KeyManager", #""AWS""#, .managedByAWS),
    ]
    for (name, value, id) in cases {
      let findings = try KeyDescription(json: description([name: value])).findings
      #expect(findings.map(\.id) == [id], "\(name) \(value)")
      #expect(findings.allSatisfy { $0.severity < .informs })
    }
  }

  @Test(
    "is refused where something is missing",
    arguments: ["MultiRegion", "Origin", "KeySpec", "KeyUsage", "KeyState", "KeyManager"])
  func incomplete(member: String) {
    #expect(throws: KeyPolicyDocument.Malformed.self) { try KeyDescription(json: description(without: member)) }
  }

  @Test("any grant is a finding, and a list that is cut off too")
  func grants() throws {
    func read(_ text: String) throws -> [KeyPolicyFinding] {
      try KeyGrants(json: Array(text.utf8), use: .epoch).findings
    }
    #expect(try read(#"{"Grants":[],"Truncated":false}"#).isEmpty)
    let grant = #"{"GrantId":"g","GranteePrincipal":"arn:aws:iam::1:role/x","Operations":["%"]}"#
    func grants(_ operation: String, _ more: String = "") throws -> [KeyPolicyFinding] {
      try read(#"{"Grants":[\#(grant.split(separator: "%").joined(separator: operation))]\#(more)}"#)
    }
    #expect(try grants("Decrypt").map(\.severity) == [.defeats])
    #expect(try grants("DescribeKey").map(\.severity) == [.weakens])
    #expect(try grants("DescribeKey", #","Truncated":true"#).map(\.id) == [.grant, .grantsTruncated])
    for wrong in ["", "{}", #"{"Grants":[{}]}"#, #"{"Grants":{}}"#] {
      #expect(throws: KeyPolicyDocument.Malformed.self) { try read(wrong) }
    }
  }
}
