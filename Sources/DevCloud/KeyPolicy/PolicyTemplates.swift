import FoundationEssentials

/// The key policies that `devcloud init` and `devcloud allow` write: the ones of protocol §2, as a data owner would
/// install them.
///
/// An Allow with a condition is not enough where another statement allows the same without it, hence an explicit Deny
/// for every register. One Deny each: the conditions of a statement hold together, so a single Deny with all three
/// would deny only where all three are wrong.
struct PolicyTemplates {
  /// Roles of the development account.
  static let account = "111122223333"
  static func role(_ profile: String) -> String { "arn:aws:iam::\(account):role/ephemeral-\(profile)" }

  /// Lower-case hex of PCR0, PCR1 and PCR2 of one image.
  typealias Measurements = (pcr0: String, pcr1: String, pcr2: String)

  /// The images that are given keys: one, or during an upgrade two. None while nothing is allowed.
  let images: [Measurements]
  /// PCR16 of the one policy that enclaves must be pinned to (protocol §9), or nil for any.
  let pinnedPolicy: String?

  init(images: [Measurements], pinnedPolicy: String? = nil) {
    self.images = images
    self.pinnedPolicy = pinnedPolicy
  }

  init(measurements: Measurements?) { self.init(images: measurements.map { [$0] } ?? []) }

  private struct Document: Encodable {
    var version = "2012-10-17"
    let statements: [Statement]
    enum CodingKeys: String, CodingKey {
      case version = "Version"
      case statements = "Statement"
    }
  }

  private struct Statement: Encodable {
    let sid: String
    let effect: String
    let principal: [String: String]
    let actions: [String]
    var resource = "*"
    var condition: [String: [String: [String]]]?
    enum CodingKeys: String, CodingKey {
      case sid = "Sid"
      case effect = "Effect"
      case principal = "Principal"
      case actions = "Action"
      case resource = "Resource"
      case condition = "Condition"
    }
  }

  /// The key under which epoch seeds are wrapped: nobody encrypts, enclaves alone generate and decrypt.
  func epochKey() throws -> [UInt8] {
    let released = ["kms:GenerateDataKey", "kms:Decrypt"]
    return try Self.encode(
      [owner()] + allowEnclave(released, use: "epoch") + [
        Statement(
          sid: "NobodyBringsInAKeyOfTheirOwn", effect: "Deny", principal: ["AWS": "*"],
          actions: ["kms:Encrypt", "kms:ReEncrypt*", "kms:GenerateDataKeyWithoutPlaintext", "kms:GenerateDataKeyPair*"])
      ] + denyOthers(released + ["kms:CreateGrant"]))
  }

  /// A model owner's key: the publisher encrypts, enclaves alone decrypt.
  func modelKey() throws -> [UInt8] {
    try Self.encode(
      [
        owner(),
        Statement(
          sid: "PublisherEncryptsModels", effect: "Allow", principal: ["AWS": Self.role("publisher")],
          actions: ["kms:Encrypt", "kms:GenerateDataKey", "kms:DescribeKey"]),
      ] + allowEnclave(["kms:Decrypt"], use: "model")
        + denyOthers(["kms:Decrypt", "kms:ReEncrypt*", "kms:CreateGrant"]))
  }

  private func owner() -> Statement {
    Statement(
      sid: "OwnerAdministers", effect: "Allow", principal: ["AWS": Self.role("owner")],
      actions: ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy", "kms:EnableKey", "kms:DisableKey"])
  }

  private typealias Registers = [(name: String, value: String)]

  private func registers(of image: Measurements) -> Registers {
    let pin = pinnedPolicy.map { [("PCR16", $0)] } ?? []
    return [("ImageSha384", image.pcr0), ("PCR1", image.pcr1), ("PCR2", image.pcr2)] + pin
  }

  /// One Allow for each image, so that registers of two images together are no image.
  private func allowEnclave(_ actions: [String], use: String) -> [Statement] {
    images.enumerated().map { index, image in
      let measured = registers(of: image).map { ("kms:RecipientAttestation:\($0.name)", [$0.value]) }
      return Statement(
        sid: "EnclaveOfTheseMeasurements" + (index == 0 ? "" : "\(index + 1)"), effect: "Allow",
        principal: ["AWS": Self.role("host")], actions: actions,
        condition: [
          "StringEqualsIgnoreCase": Dictionary(uniqueKeysWithValues: measured),
          "StringEquals": ["kms:EncryptionContext:ephemeralml:use": [use]],
        ])
    }
  }

  private func denyOthers(_ actions: [String]) -> [Statement] {
    guard let first = images.first else {
      return [
        Statement(sid: "NothingIsAllowedYet", effect: "Deny", principal: ["AWS": "*"], actions: actions)
      ]
    }
    return registers(of: first).map(\.name).enumerated().map { place, name in
      let values = Set(images.map { registers(of: $0)[place].value })
      return Statement(
        sid: "NothingWithoutThis\(name)", effect: "Deny", principal: ["AWS": "*"], actions: actions,
        condition: ["StringNotEqualsIgnoreCase": ["kms:RecipientAttestation:\(name)": values.sorted()]])
    }
  }

  private static func encode(_ statements: [Statement]) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(Document(statements: statements))) + [0x0A]
  }
}
