import ArgumentParser
import Attestation
import Client
import Foundation
import ObjectStore

/// The flags that every verb on the client's side takes.
struct ClientOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The store: file:///folder or s3://bucket/prefix.", valueName: "url"))
  var store: String?
  @Option(help: ArgumentHelp("The trust profile.", valueName: "name"), completion: .profiles)
  var profile: String?
  @Option(
    help: ArgumentHelp("Keys, trust profiles and ledger (default: $EPHEMERAL_HOME).", valueName: "folder"),
    completion: .directory)
  var home: String?
  @Flag(help: "One JSON object a line on standard output.")
  var json = false

  func context(model: String? = nil, precision: String? = nil) throws -> ClientContext {
    try ClientContext(self, model: model, precision: precision)
  }
}

/// What a command on the client's side works with.
struct ClientContext {
  let home: ClientHome
  let settings: ClientSettings
  let screen: Screen

  fileprivate init(_ options: ClientOptions, model: String?, precision: String?) throws {
    let environment = ProcessInfo.processInfo.environment
    home = try options.home.map { ClientHome(path: $0) } ?? ClientHome(environment: environment)
    settings = try ClientSettings.resolve(
      flags: ClientSettings(store: options.store, profile: options.profile, model: model, precision: precision),
      environment: environment,
      projectDirectory: ".", home: home)
    screen = Screen(json: options.json)
  }

  /// The profile, which every screen names when it is not production.
  func profile() throws -> TrustProfile {
    let trust = TrustStore(home: home)
    let names = try trust.names()
    guard let name = settings.profile ?? (names.count == 1 ? names.first : nil) else {
      let remedy =
        names.isEmpty
        ? "run `ephemeral setup` with what the security officer gave you"
        : "choose one of \(names.joined(separator: ", ")) with --profile"
      throw ClientError(.usage, "no trust profile is chosen", remedy: remedy)
    }
    let profile = try trust.load(name)
    screen.banner(profile.evidenceClass)
    return profile
  }

  /// The store.
  func store() throws -> any ObjectStore {
    guard let url = settings.store else {
      throw ClientError(
        .usage, "no store is set", remedy: "pass --store, set EPHEMERAL_STORE, or run `ephemeral setup --store URL`")
    }
    return try StoreURL.open(url)
  }
}
