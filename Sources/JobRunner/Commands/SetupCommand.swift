import ArgumentParser
import Attestation
import Client
import Foundation
import ObjectStore
import SealedCrypto
import Wire

/// `ephemeral setup`.
struct SetupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "setup", abstract: "Make your keys, install a trust profile, check the store.",
    discussion: """
      Makes what is missing and changes nothing that is there, so it may be run again. The security officer gives you the
      policy key and the class (and, for a development class, the root); the host's operator gives you the store. What it
      prints at the end goes back to the security officer, who adds it to the policy.

      Examples:
        ephemeral setup --store s3://team-bucket/ephemeral --profile prod --class production --policy-key 1f0c…
        ephemeral setup --store file:///tmp/demo/store --profile dev --class development \\
          --root devcloud/attestation-root.pem --policy-key policy.pub
      """)

  @OptionGroup var options: ClientOptions
  @Option(name: .customLong("class"), help: "Class of evidence: production, development or emulated.")
  var evidenceClass: EvidenceClass?
  @Option(help: ArgumentHelp("Root certificate of a development class.", valueName: "file.pem"), completion: .file())
  var root: String?
  @Option(
    help: ArgumentHelp("The policy's public key: 64 hexadecimal digits, or a file with them.", valueName: "key"),
    completion: .file())
  var policyKey: String?
  @Option(help: "The model to use when a command names none.")
  var model: String?
  @Option(help: "What the policy shall call you (default: your login name).")
  var name: String?

  func run() throws {
    let context = try options.context(model: model)
    let (screen, home) = (context.screen, context.home)
    try home.create()
    if !home.keys.hasIdentity { try home.keys.generateIdentity(createdAt: Timestamps.text(Timestamps.nowMs())) }
    if !home.keys.has(.submitter) { try home.keys.generate(.submitter) }
    let key = try home.keys.signingKey(.submitter).verifyingKey
    screen.stage("keys", "\(home.keysPath) (back them up: without identity.txt no result can be opened)")

    let trust = TrustStore(home: home)
    var profile: TrustProfile?
    if let policyKey {
      guard let name = options.profile, let evidenceClass else {
        throw ClientError(.usage, "--policy-key needs --profile and --class", remedy: "pass all three")
      }
      profile = try trust.add(
        name: name, evidenceClass: evidenceClass, rootPEM: try root.map(TrustArguments.pem),
        policyKey: try TrustArguments.policyKey(policyKey))
    } else if let name = context.settings.profile {
      profile = try trust.load(name)
    }
    if let profile {
      screen.banner(profile.evidenceClass)
      screen.stage("trust", "profile \(profile.name), class \(profile.evidenceClass.rawValue)")
    } else {
      screen.stage("trust", "no profile yet: ask the security officer for the policy key, then run setup again")
    }

    var settings = try ClientSettings(file: home.configPath)
    settings = ClientSettings(store: options.store, profile: profile?.name, model: model).orElse(settings)
    try settings.write(to: home.configPath)
    guard settings.store != nil else {
      screen.stage("store", "none set: pass --store URL")
      return try show(screen, home, key, nil, profile)
    }
    let policy: TrustedPolicy?
    do {
      policy = try self.policy(context, profile)
    } catch {
      // The keys are made, and the security officer needs their public part whatever the store says.
      try show(screen, home, key, nil, profile)
      throw error
    }
    try show(screen, home, key, policy, profile)
  }

  /// What the store has in force, nil for nothing yet.
  ///
  /// - Throws: what the store throws, or ``ClientError`` for a policy that is not acceptable.
  private func policy(_ context: ClientContext, _ profile: TrustProfile?) throws -> TrustedPolicy? {
    let store = try context.store()
    _ = try store.list(prefix: StoreLayout.policy, after: nil, limit: 1)
    context.screen.stage("store", "\(store.location) answers")
    guard let profile else { return nil }
    do {
      return try TrustStore(home: context.home).policies(profile).refresh(from: store, nowMs: Timestamps.nowMs())
    } catch let error as ClientError where error.kind == .notFound {
      context.screen.stage("policy", "none in the store yet")
      return nil
    }
  }

  private func show(
    _ screen: Screen, _ home: ClientHome, _ key: VerifyingKey, _ policy: TrustedPolicy?, _ profile: TrustProfile?
  ) throws {
    let isListed = policy?.claims.submitter(key) != nil
    let recipient = try home.keys.recipient().text
    screen.line(
      .object([
        ("home", .text(home.path)), ("submitter_key", .text(Hex.encode(key.bytes))), ("recipient", .text(recipient)),
        ("profile", .optional(profile?.name)), ("evidence_class", .optional(profile?.evidenceClass.rawValue)),
        ("policy_version", .optional(policy?.claims.version)), ("listed", .bool(isListed)),
      ]))
    if isListed {
      screen.stage("policy", "version \(policy?.claims.version ?? 0) lists you: `ephemeral submit` is next")
    } else {
      screen.note("\nSend this to the security officer, for the policy's `submitters`:\n")
      screen.out(KeysCommand.Export.submitter(name ?? NSUserName(), key))
    }
  }
}

extension EvidenceClass: ExpressibleByArgument {}

/// How roots and policy keys are given.
enum TrustArguments {
  /// The text of a PEM file.
  static func pem(_ path: String) throws -> String {
    String(decoding: try PrivateFiles.read(path, limit: 64 << 10), as: UTF8.self)
  }

  /// A key in hexadecimal, or in a file.
  static func policyKey(_ text: String) throws -> VerifyingKey {
    if let bytes = Hex.decode(text), bytes.count == 32 { return try VerifyingKey(bytes) }
    let content = String(decoding: try PrivateFiles.read(text, limit: 4096), as: UTF8.self)
    guard let bytes = Hex.decode(content.trimmingCharacters(in: .whitespacesAndNewlines)), bytes.count == 32 else {
      throw ClientError(.usage, "\(text) holds no key: 64 hexadecimal digits are due", remedy: "name the right file")
    }
    return try VerifyingKey(bytes)
  }
}
