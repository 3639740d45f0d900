import Attestation
import SealedCrypto
import Wire

/// The trust profiles on disk, each a directory of its own (protocol §8), with what was accepted under it so far.
///
///     trust/<profile>/profile.yaml        class, root, policy key
///     trust/<profile>/root.pem            the one root, of a development class
///     trust/<profile>/policy-<n>.cose     every policy accepted, which old receipts name
///     trust/<profile>/announcement.cbor   time of the newest accepted announcement's document
///
/// Invariants: the newest policy version and the newest announcement time only grow; a profile is never changed, only
/// added, and names exactly one evidence class.
package struct TrustStore: Sendable {
  private let directory: String

  package init(home: ClientHome) { directory = home.trustPath }

  /// The names of all profiles.
  package func names() throws -> [String] {
    try PrivateFiles.names(in: directory).filter { PrivateFiles.exists("\(directory)/\($0)/profile.yaml") }
  }

  /// The directory of a profile.
  package func path(_ name: String) throws -> String {
    let legal = name.utf8.allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F, 0x2E: true
      default: false
      }
    }
    guard legal, !name.isEmpty, name.utf8.count <= 64, !name.hasPrefix(".") else {
      throw ClientError(
        .usage, "\"\(name.prefix(80))\" cannot be a profile's name", remedy: "use letters, digits, - and _, at most 64")
    }
    return "\(directory)/\(name)"
  }

  /// Installs a profile.
  ///
  /// - Throws: ``ClientError`` when there is another one of that name; the same one again is no error.
  @discardableResult
  package func add(
    name: String, evidenceClass: EvidenceClass, rootPEM: String?, policyKey: VerifyingKey
  ) throws -> TrustProfile {
    let path = try path(name)
    let profile = try Self.profile(name, evidenceClass, rootPEM, policyKey)
    if PrivateFiles.exists("\(path)/profile.yaml") {
      let old = try load(name)
      guard old.anchor.rootSHA256 == profile.anchor.rootSHA256, old.policyKey == profile.policyKey,
        old.evidenceClass == profile.evidenceClass
      else {
        throw ClientError(
          .usage, "there is another trust profile called \(name)",
          remedy:
            "use another name; a profile is never changed, since what was accepted under it would change its meaning")
      }
      return old
    }
    try PrivateFiles.makeDirectory(path)
    if let rootPEM {
      try PrivateFiles.write(Array(rootPEM.utf8), to: "\(path)/root.pem", mode: PrivateFiles.publicMode)
    }
    var text = "class: \(evidenceClass.rawValue)\n"
    if rootPEM != nil { text += "root: root.pem\n" }
    text += "policy_key: \(Hex.encode(policyKey.bytes))\n"
    // Last, since it is what makes the profile exist.
    try PrivateFiles.write(Array(text.utf8), to: "\(path)/profile.yaml", mode: PrivateFiles.publicMode)
    return profile
  }

  /// Reads a profile.
  package func load(_ name: String) throws -> TrustProfile {
    let path = try path(name)
    guard let bytes = try PrivateFiles.readIfPresent("\(path)/profile.yaml", limit: 64 << 10) else {
      let known = try names()
      throw ClientError(
        .notFound,
        "there is no trust profile \(name)" + (known.isEmpty ? "" : " (there is: \(known.joined(separator: ", ")))"),
        remedy: "run `ephemeral setup`, or `ephemeral trust add`, with what the security officer gave you")
    }
    var fields = try YAMLFields(parsing: bytes, file: "\(path)/profile.yaml")
    let wrongClass = fields.failure("class", "must be production, development or emulated")
    guard let evidenceClass = EvidenceClass(rawValue: try fields.text("class")) else { throw wrongClass }
    let wrongKey = fields.failure("policy_key", "must be 64 lower-case hexadecimal digits")
    guard let key = Hex.decode(try fields.text("policy_key")), key.count == 32 else { throw wrongKey }
    let wrongRoot = fields.failure("root", "must be root.pem")
    let root = try fields.optionalText("root")
    guard root == nil || root == "root.pem" else { throw wrongRoot }
    try fields.finish()
    let pem = try root.map { String(decoding: try PrivateFiles.read("\(path)/\($0)", limit: 64 << 10), as: UTF8.self) }
    return try Self.profile(name, evidenceClass, pem, try VerifyingKey(key))
  }

  private static func profile(
    _ name: String, _ evidenceClass: EvidenceClass, _ rootPEM: String?, _ policyKey: VerifyingKey
  ) throws -> TrustProfile {
    do {
      return try TrustProfile(name: name, evidenceClass: evidenceClass, rootPEM: rootPEM, policyKey: policyKey)
    } catch let refusal as AttestationRefusal {
      throw ClientError(
        .usage, "the trust profile \(name) cannot be used: \(refusal)", remedy: "ask for the right root and class",
        by: .securityOfficer)
    }
  }

  /// The policies accepted under a profile.
  package func policies(_ profile: TrustProfile) throws -> PolicyBook {
    PolicyBook(profile: profile, directory: try path(profile.name))
  }

  /// The newest announcement accepted under a profile.
  package func announcements(_ profile: TrustProfile) throws -> AnnouncementBook {
    AnnouncementBook(profile: profile, directory: try path(profile.name))
  }
}
