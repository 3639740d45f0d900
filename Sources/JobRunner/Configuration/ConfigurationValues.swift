import Foundation

/// Every key's value and who set it: flag before environment before file before default.
struct ConfigurationValues: Sendable {
  /// A value as text.
  struct Value: Sendable, Equatable {
    let text: String
    let origin: ConfigurationOrigin
  }

  let keys: [ConfigurationKey]
  /// By key; a key without a value is not here.
  private(set) var values: [String: Value] = [:]
  private(set) var workers: [WorkerSettings] = []
  private(set) var workersOrigin = ConfigurationOrigin.fallback

  /// - Parameters:
  ///   - flags: each key's flag as it was given, by the key's name.
  ///   - workers: `--worker`, each time it was given.
  ///   - settings: `--set NAME=VALUE`, each time; they come before flags of their own.
  ///   - file: nil where none is named.
  /// - Throws: ``ConfigurationError`` for a key that is not known and a value that it cannot have.
  init(
    _ keys: [ConfigurationKey] = DaemonConfiguration.keys, flags: [String: String] = [:], workers: [String] = [],
    settings: [String] = [], environment: [String: String] = [:], file: ConfigurationFile? = nil
  ) throws {
    self.keys = keys
    let settings = try Self.assignments(settings, keys)
    for key in keys {
      if case .workers = key.kind {
        try takeWorkers(key, flags: workers, set: settings[key.name], environment[key.variable], file)
        continue
      }
      guard let value = Self.first(key, flags: flags, settings: settings, environment: environment, file: file) else {
        continue
      }
      if let reason = key.refusal(of: value.text) { throw ConfigurationError(key.name, at: value.origin, reason) }
      values[key.name] = value
    }
  }

  private static func first(
    _ key: ConfigurationKey, flags: [String: String], settings: [String: String], environment: [String: String],
    file: ConfigurationFile?
  ) -> Value? {
    if let text = settings[key.name] { return Value(text: text, origin: .flag("--set \(key.name)")) }
    if let text = flags[key.name] { return Value(text: text, origin: .flag(key.flag ?? "--set \(key.name)")) }
    // As for AWS's tools, an empty variable is an unset one.
    if let text = environment[key.variable], !text.isEmpty {
      return Value(text: text, origin: .environment(key.variable))
    }
    if let file, let (text, line) = file.values[key.name] {
      return Value(text: text, origin: .file(file.path, line: line))
    }
    return key.fallback.map { Value(text: $0, origin: .fallback) }
  }

  private static func assignments(_ settings: [String], _ keys: [ConfigurationKey]) throws -> [String: String] {
    var found: [String: String] = [:]
    for setting in settings {
      let parts = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2, keys.contains(where: { $0.name == parts[0] }) else {
        throw ConfigurationError(
          "--set takes KEY=VALUE, with a key of docs/operations/configuration.md, not \(setting)")
      }
      found[parts[0]] = parts[1]
    }
    return found
  }

  /// One list replaces another: the workers of two places are never mixed.
  private mutating func takeWorkers(
    _ key: ConfigurationKey, flags: [String], set: String?, _ variable: String?, _ file: ConfigurationFile?
  ) throws {
    let texts: [String]
    if !flags.isEmpty {
      (texts, workersOrigin) = (flags, .flag(key.flag ?? "--worker"))
    } else if let set {
      (texts, workersOrigin) = (Self.words(set), .flag("--set \(key.name)"))
    } else if let variable, !variable.isEmpty {
      (texts, workersOrigin) = (Self.words(variable), .environment(key.variable))
    } else if let file, let (list, line) = file.workers {
      (workers, workersOrigin) = (list, .file(file.path, line: line))
      return try WorkerSettings.check(workers, at: workersOrigin)
    } else {
      return
    }
    do {
      workers = try texts.enumerated().map { try WorkerSettings($0.element, number: $0.offset + 1) }
    } catch let error as ConfigurationError {
      throw ConfigurationError(key.name, at: workersOrigin, "\(error)")
    }
    try WorkerSettings.check(workers, at: workersOrigin)
  }

  private static func words(_ text: String) -> [String] {
    text.split(whereSeparator: { $0 == " " || $0 == "," || $0 == "\n" || $0 == "\t" }).map(String.init)
  }
}

// MARK: Typed reads

extension ConfigurationValues {
  /// The value, or nil where nobody set it and it has no default.
  func text(_ key: ConfigurationKey) -> String? { values[key.name]?.text }

  func origin(_ key: ConfigurationKey) -> ConfigurationOrigin {
    if case .workers = key.kind { return workersOrigin }
    return values[key.name]?.origin ?? .fallback
  }

  /// - Throws: ``ConfigurationError`` that names the three places.
  func required(_ key: ConfigurationKey) throws -> String {
    if let text = text(key) { return text }
    throw ConfigurationError(
      "`\(key.name)` is not set: give \(key.flag ?? "--set \(key.name)="), set \(key.variable), or name it in the "
        + "configuration file (--config)")
  }

  /// A number of seconds; in its range, which was checked when it was read.
  func number(_ key: ConfigurationKey) -> Double { text(key).flatMap(Double.init) ?? 0 }

  /// A number of hours or days, each of so many seconds, checked likewise; nil for `never`.
  func age(_ key: ConfigurationKey, ofSeconds unit: Double) -> Duration? {
    text(key).flatMap(Double.init).map { .seconds($0 * unit) }
  }

  /// True or false, checked likewise.
  func flag(_ key: ConfigurationKey) -> Bool { text(key) == "true" }

  /// A path, made absolute; nil where it is not set.
  func path(_ key: ConfigurationKey) -> String? { text(key).map(StateFolder.absolute) }

  /// The value as `body` reads it; nil where it is not set.
  ///
  /// - Throws: ``ConfigurationError`` that names who set what `body` refuses.
  func parsed<Result>(_ key: ConfigurationKey, _ body: (String) throws -> Result) throws -> Result? {
    guard let value = values[key.name] else { return nil }
    do { return try body(value.text) } catch { throw ConfigurationError(key.name, at: value.origin, "\(error)") }
  }
}
