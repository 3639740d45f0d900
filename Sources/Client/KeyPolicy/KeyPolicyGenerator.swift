import Crypto
import SealedCrypto
import Wire

/// Writes the key policy of protocol §2 for given images.
///
/// Everything that matters stands twice: as an Allow for the instance's role, one for each image, and as a Deny for
/// everyone, which IAM policies, grants and later statements cannot outweigh. No statement names the account itself, so
/// IAM policies of the key's account decide on nothing.
///
/// Values of one condition are alternatives and conditions of one statement hold together. A Deny for each register
/// that lists the values of all images would therefore still pass PCR0 of one image beside PCR1 of another; with more
/// than one image, a further Deny for each ties the other registers to its PCR0.
package struct KeyPolicyGenerator {
  /// What the key is for.
  package var use: KeyUse
  /// 12 digits: the account that owns the key.
  package var account: String
  /// ARNs that may change the policy. KMS takes administrators of the key's own account only.
  package var administrators: [String]
  /// ARN of the role that the worker's requests are signed with.
  package var instanceRole: String
  /// ARN that may encrypt models; only for a model key.
  package var publisher: String?
  /// Images that are given secrets.
  package var measurements: [MeasurementTuple]
  /// Whether PCR8, the signer of the image, is demanded too.
  package var demandsSigner: Bool
  /// SHA-256 of the COSE bytes of each signed policy that a worker may run under; empty when PCR16 is not demanded.
  package var policyDigests: [ContentDigest]

  package init(
    use: KeyUse, account: String, administrators: [String], instanceRole: String, publisher: String? = nil,
    measurements: [MeasurementTuple], demandsSigner: Bool = false, policyDigests: [ContentDigest] = []
  ) {
    self.use = use
    self.account = account
    self.administrators = administrators
    self.instanceRole = instanceRole
    self.publisher = publisher
    self.measurements = measurements
    self.demandsSigner = demandsSigner
    self.policyDigests = policyDigests
  }

  /// KMS takes no longer policy.
  private static let bytesMax = 32_768

  private typealias Register = (index: Int, value: String)

  /// The policy as indented JSON.
  ///
  /// - Throws: ``ClientError`` of kind `usage` for what would not be a sound policy.
  package func policy() throws -> [UInt8] {
    try check()
    let images = try measurements.map { ($0.name, try registers($0)) }
    var statements = [administration()]
    if let publisher {
      statements.append(
        statement(
          "PublisherEncryptsModels", "Allow", .text(publisher),
          ["kms:Encrypt", "kms:GenerateDataKey", "kms:DescribeKey"]))
    }
    for (number, image) in images.enumerated() {
      statements.append(allow(image.1, sid: "EnclaveOfImage\(number + 1)"))
    }
    statements.append(statement("NobodyHandsOutOrBringsIn", "Deny", nil, forbidden))
    statements += denials(images.map(\.1))
    let bytes = Array(
      JSONLine.object([("Version", .text("2012-10-17")), ("Statement", .array(statements))]).indented.utf8)
    guard bytes.count <= Self.bytesMax else {
      throw ClientError(
        .usage, "the policy has \(bytes.count) bytes, and KMS takes \(Self.bytesMax)",
        remedy: "list fewer images: two are enough for an upgrade")
    }
    return bytes
  }

  // MARK: Statements

  private func administration() -> JSONLine {
    statement(
      "AdministratorsGovern", "Allow", .array(administrators.map { .text($0) }),
      [
        "kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy", "kms:ListKeyPolicies", "kms:GetKeyRotationStatus",
        "kms:EnableKeyRotation", "kms:ListGrants", "kms:RevokeGrant", "kms:EnableKey", "kms:DisableKey",
        "kms:UpdateKeyDescription", "kms:TagResource", "kms:UntagResource", "kms:ListResourceTags",
        "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion",
      ])
  }

  private func allow(_ image: [Register], sid: String) -> JSONLine {
    var values: [(String, JSONLine)] = image.map { (AttestedRegister.key($0.index), .text($0.value)) }
    if !policyDigests.isEmpty { values.append((AttestedRegister.key(16), policyRegister)) }
    return statement(
      sid, "Allow", .text(instanceRole), released,
      [
        ("StringEqualsIgnoreCase", .object(values)),
        ("StringEquals", .object([("kms:EncryptionContext:ephemeralml:use", .text(use.rawValue))])),
      ])
  }

  private func denials(_ images: [[Register]]) -> [JSONLine] {
    var denials: [JSONLine] = []
    for index in [0, 1, 2] + (demandsSigner ? [8] : []) {
      let values = Set(images.flatMap { $0 }.filter { $0.index == index }.map(\.value)).sorted()
      denials.append(deny("NothingWithoutPCR\(index)", [unless(index, .array(values.map { .text($0) }))]))
    }
    if !policyDigests.isEmpty { denials.append(deny("NothingWithoutPCR16", [unless(16, policyRegister)])) }
    guard images.count > 1 else { return denials }
    for (number, image) in images.enumerated() {
      guard let pcr0 = image.first else { continue }
      for register in image.dropFirst() {
        let signers = images.filter { $0.first?.value == pcr0.value }.flatMap { $0 }
          .filter { $0.index == register.index }.map(\.value)
        denials.append(
          deny(
            "Image\(number + 1)WithItsPCR\(register.index)",
            [
              ("StringEqualsIgnoreCase", .object([(AttestedRegister.key(0), .text(pcr0.value))])),
              unless(register.index, .array(Set(signers).sorted().map { .text($0) })),
            ]))
      }
    }
    return denials
  }

  private func unless(_ index: Int, _ values: JSONLine) -> (String, JSONLine) {
    // Holds for a request without the register as well, and so denies it.
    ("StringNotEqualsIgnoreCase", .object([(AttestedRegister.key(index), values)]))
  }

  private func deny(_ sid: String, _ conditions: [(String, JSONLine)]) -> JSONLine {
    statement(sid, "Deny", nil, released, conditions)
  }

  private func statement(
    _ sid: String, _ effect: String, _ principal: JSONLine?, _ actions: [String],
    _ conditions: [(String, JSONLine)] = []
  ) -> JSONLine {
    var members: [(String, JSONLine)] = [
      ("Sid", .text(sid)), ("Effect", .text(effect)),
      ("Principal", principal.map { .object([("AWS", $0)]) } ?? .text("*")),
      ("Action", .array(actions.map { .text($0) })), ("Resource", .text("*")),
    ]
    if !conditions.isEmpty { members.append(("Condition", .object(conditions))) }
    return .object(members)
  }

  private var released: [String] {
    switch use {
    case .epoch: ["kms:Decrypt", "kms:GenerateDataKey"]
    case .model: ["kms:Decrypt"]
    }
  }

  private var forbidden: [String] {
    let always = [
      "kms:CreateGrant", "kms:ReEncrypt*", "kms:ReplicateKey", "kms:ImportKeyMaterial", "kms:DeriveSharedSecret",
      "kms:GenerateDataKeyPair*", "kms:GenerateDataKeyWithoutPlaintext",
    ]
    return use == .epoch ? ["kms:Encrypt"] + always : always
  }

  /// PCR16 after one extension from zeros by the policy's digest (protocol §9).
  private var policyRegister: JSONLine {
    .array(
      policyDigests.map { digest in
        .text(Hex.encode(Array(SHA384.hash(data: [UInt8](repeating: 0, count: 48) + digest.bytes))))
      })
  }

  // MARK: Checks

  private func registers(_ image: MeasurementTuple) throws -> [Register] {
    var registers: [(Int, [UInt8])] = [(0, image.pcr0), (1, image.pcr1), (2, image.pcr2)]
    if demandsSigner {
      guard let pcr8 = image.pcr8 else {
        throw ClientError(
          .usage, "image \(image.name) has no PCR8", remedy: "sign the image, or leave --pcr8 out")
      }
      registers.append((8, pcr8))
    }
    return try registers.map { index, value in
      guard value.count == 48, value.contains(where: { $0 != 0 }) else {
        throw ClientError(
          .usage, "PCR\(index) of image \(image.name) is zero, as in debug mode", remedy: "measure the image itself")
      }
      return (index, Hex.encode(value))
    }
  }

  private func check() throws {
    func refuse(_ reason: String, _ remedy: String) -> ClientError { ClientError(.usage, reason, remedy: remedy) }
    guard account.utf8.count == 12, account.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
      throw refuse("\(account) is no account number", "give the 12 digits of the account that owns the key")
    }
    guard !administrators.isEmpty else {
      throw refuse("no administrator", "name at least one role with --admin; two are safer")
    }
    for arn in administrators {
      guard Self.accountOfIdentity(arn) == account else {
        throw refuse(
          "\(arn) is no role or user of account \(account)",
          "name roles of the key's own account; KMS lets no other change a policy")
      }
    }
    for arn in [instanceRole] + (publisher.map { [$0] } ?? []) {
      guard Self.accountOfIdentity(arn) != nil else {
        throw refuse("\(arn) is no role or user", "write arn:aws:iam::ACCOUNT:role/NAME, never an account or \"*\"")
      }
    }
    guard !administrators.contains(instanceRole) else {
      throw refuse("the instance role is an administrator", "let other roles govern: the host could replace the policy")
    }
    guard (publisher == nil) == (use == .epoch) else {
      throw refuse(
        use == .epoch ? "nobody publishes under an epoch key" : "a model key needs its publisher",
        use == .epoch ? "leave --publisher out" : "name the role that encrypts models with --publisher")
    }
    guard !measurements.isEmpty else { throw refuse("no measurements", "give --measurement or --policy") }
    for image in measurements {
      let twin = measurements.first { $0.pcr0 == image.pcr0 && ($0.pcr1 != image.pcr1 || $0.pcr2 != image.pcr2) }
      if let twin {
        throw refuse(
          "\(image.name) and \(twin.name) have one PCR0 and different PCR1 or PCR2",
          "measure both again: PCR0 covers all of an image")
      }
    }
  }

  /// The account of `arn:PARTITION:iam::ACCOUNT:role/NAME` or `…:user/NAME`; nil for anything else.
  package static func accountOfIdentity(_ arn: String) -> String? {
    let parts = arn.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 6, parts[0] == "arn", parts[1].hasPrefix("aws"), parts[2] == "iam", parts[3].isEmpty,
      parts[4].utf8.count == 12, parts[4].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      parts[5].hasPrefix("role/") || parts[5].hasPrefix("user/"), parts[5].utf8.count > 5,
      !parts[5].contains("*"), !parts[5].contains("?")
    else { return nil }
    return String(parts[4])
  }
}

extension JSONLine {
  /// For people: an element a line, indented by two; what holds no objects stays on its line while it is short.
  package var indented: String { indented(by: 0) + "\n" }

  private func indented(by depth: Int) -> String {
    let flat = encoded
    let isSmall = flat.utf8.count <= 80 && depth > 1
    let inner = String(repeating: " ", count: 2 * (depth + 1))
    let outer = String(repeating: " ", count: 2 * depth)
    switch self {
    case .array(let values) where !values.isEmpty && !isSmall:
      return "[\n" + values.map { inner + $0.indented(by: depth + 1) }.joined(separator: ",\n") + "\n\(outer)]"
    case .object(let members) where !members.isEmpty && !isSmall:
      let lines = members.map { inner + JSONLine.text($0.0).encoded + ": " + $0.1.indented(by: depth + 1) }
      return "{\n" + lines.joined(separator: ",\n") + "\n\(outer)}"
    default: return flat
    }
  }
}
