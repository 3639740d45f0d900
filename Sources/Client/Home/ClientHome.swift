import Glibc
import Wire

/// The directory that holds a user's keys, trust profiles and ledger: `$EPHEMERAL_HOME`, by default
/// `~/.config/ephemeral`.
///
///     config.yaml                 store, profile, model
///     keys/identity.txt           age identity (0600): opens results
///     keys/submitter.key          Ed25519 seed in hexadecimal (0600): signs job manifests and cancels
///     keys/publisher.key          Ed25519 seed of a model owner (0600), where there is one
///     trust/<profile>/            profile.yaml, root.pem, accepted policies, newest announcement
///     ledger/<stream>/<number>/   one directory for each job
///
/// Directories have mode 0700. Nothing in here but the ledger's sealed bundles grows with the documents.
package struct ClientHome: Sendable {
  /// The directory, without a slash at its end.
  package let path: String

  package init(path: String) { self.path = path }

  /// The home that the environment names.
  ///
  /// - Throws: ``ClientError`` of kind `usage` without `EPHEMERAL_HOME` and `HOME`.
  package init(environment: [String: String]) throws {
    if let path = environment["EPHEMERAL_HOME"], !path.isEmpty {
      self.init(path: path)
    } else if let home = environment["HOME"], !home.isEmpty {
      self.init(path: "\(home)/.config/ephemeral")
    } else {
      throw ClientError(.usage, "neither EPHEMERAL_HOME nor HOME is set", remedy: "set EPHEMERAL_HOME to a directory")
    }
  }

  package var configPath: String { "\(path)/config.yaml" }
  package var keysPath: String { "\(path)/keys" }
  package var trustPath: String { "\(path)/trust" }
  package var ledgerPath: String { "\(path)/ledger" }

  /// The keys.
  package var keys: KeyRing { KeyRing(directory: keysPath) }

  /// Makes the directories.
  package func create() throws {
    for directory in [path, keysPath, trustPath, ledgerPath] { try PrivateFiles.makeDirectory(directory) }
    // What is above may be anyone's; the home itself is the user's alone.
    guard chmod(path, 0o700) == 0 else { throw PrivateFiles.failure("protect", path) }
  }
}

/// What a command works with when its flags do not say.
package struct ClientSettings: Sendable, Equatable {
  /// Where bundles and results lie: `file:///path` or `s3://bucket/prefix`.
  package var store: String?
  /// Name of a trust profile.
  package var profile: String?
  /// Name or manifest digest of a model.
  package var model: String?
  /// Whose folder of the inbox bundles go to, where a host's users each have one; nil for none.
  package var tenant: String?

  /// Of jobs: one of ``JobPrecision/requested``.
  package var precision: String?

  package init(
    store: String? = nil, profile: String? = nil, model: String? = nil, tenant: String? = nil, precision: String? = nil
  ) {
    self.precision = precision
    self.tenant = tenant
    self.store = store
    self.profile = profile
    self.model = model
  }

  /// Reads a settings file; none gives no settings.
  package init(file: String) throws {
    guard let bytes = try PrivateFiles.readIfPresent(file, limit: 64 << 10) else {
      self.init()
      return
    }
    var fields = try YAMLFields(parsing: bytes, file: file)
    self.init(
      store: try fields.optionalText("store"), profile: try fields.optionalText("profile"),
      model: try fields.optionalText("model"), tenant: try fields.optionalText("tenant"),
      precision: try fields.optionalText("precision"))
    try fields.finish()
  }

  /// Reads a project's settings file. It comes with a folder that anyone may have written, so it chooses a model and a
  /// store, but neither whom to trust (the profile) nor whose credentials go where (`endpoint=`, `profile=`).
  ///
  /// - Throws: ``ClientError`` of kind `usage` when it says more than it may.
  init(projectFile file: String) throws {
    try self.init(file: file)
    guard profile == nil else {
      throw ClientError(
        .usage, "\(file): a project's file cannot choose the trust profile",
        remedy: "take `profile` out; use --profile, EPHEMERAL_PROFILE or `ephemeral setup`")
    }
    let options = (store ?? "").split(separator: "?", maxSplits: 1).dropFirst().first?.split(separator: "&") ?? []
    for option in options where !["region", "style"].contains(option.prefix(while: { $0 != "=" })) {
      throw ClientError(
        .usage, "\(file): a project's file gives a store no options but region= and style=",
        remedy: "take them out; use --store or EPHEMERAL_STORE")
    }
  }

  /// What `other` says where this says nothing.
  package func orElse(_ other: ClientSettings) -> ClientSettings {
    ClientSettings(
      store: store ?? other.store, profile: profile ?? other.profile, model: model ?? other.model,
      tenant: tenant ?? other.tenant, precision: precision ?? other.precision)
  }

  /// Flag, then environment, then the project's `ephemeral.yaml`, then the user's `config.yaml`.
  package static func resolve(
    flags: ClientSettings, environment: [String: String], projectDirectory: String, home: ClientHome
  ) throws -> ClientSettings {
    try layers(flags: flags, environment: environment, projectDirectory: projectDirectory, home: home)
      .reduce(ClientSettings()) { $0.orElse($1.settings) }
  }

  /// The places that settings come from, the first that says something deciding.
  package static func layers(
    flags: ClientSettings, environment: [String: String], projectDirectory: String, home: ClientHome
  ) throws -> [(place: SettingPlace, settings: ClientSettings)] {
    let variables = ClientSettings(
      store: environment["EPHEMERAL_STORE"], profile: environment["EPHEMERAL_PROFILE"],
      model: environment["EPHEMERAL_MODEL"], tenant: environment["EPHEMERAL_TENANT"],
      precision: environment["EPHEMERAL_PRECISION"])
    let project = "\(projectDirectory)/ephemeral.yaml"
    return [
      (.flag, flags), (.environment, variables), (.file(project), try ClientSettings(projectFile: project)),
      (.file(home.configPath), try ClientSettings(file: home.configPath)),
    ]
  }

  /// Writes the user's file.
  package func write(to path: String) throws {
    var text = "# Written by `ephemeral setup`. Flags and EPHEMERAL_… variables come before this file.\n"
    let settings = [
      ("store", store), ("profile", profile), ("model", model), ("tenant", tenant), ("precision", precision),
    ]
    for (name, value) in settings {
      if let value { text += "\(name): \(YAMLText.quoted(value))\n" }
    }
    try PrivateFiles.write(Array(text.utf8), to: path)
  }
}

/// Where a setting of the client comes from.
package enum SettingPlace: Sendable, Equatable {
  case flag
  case environment
  case file(String)
}

/// Text as a YAML double-quoted scalar.
enum YAMLText {
  static func quoted(_ text: String) -> String {
    let escaped = text.unicodeScalars.map { scalar -> String in
      switch scalar {
      case "\"": "\\\""
      case "\\": "\\\\"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F:
        "\\x\(Hex.encode([UInt8(scalar.value)]))"
      default: String(scalar)
      }
    }
    return "\"\(escaped.joined())\""
  }
}
