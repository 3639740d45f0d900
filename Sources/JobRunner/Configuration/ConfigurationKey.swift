/// One key of the daemon's configuration: its name in the file, in the environment and on the command line, and what may
/// stand there.
struct ConfigurationKey: Sendable {
  /// What a value may be. Every value is checked when it is read, whoever set it.
  enum Kind: Sendable {
    case text
    /// A number of seconds.
    case seconds(ClosedRange<Double>)
    /// A number of hours or days, as the key's name says, or `never`.
    case age
    /// `true` or `false`.
    case flag
    /// One of these words.
    case word([String])
    /// The list of workers, which has a form of its own in the file.
    case workers
  }

  /// In the file, in snake case; units last.
  let name: String
  /// On the command line, where there is one; `--set NAME=VALUE` sets any key.
  let flag: String?
  let kind: Kind
  /// What stands where nobody sets it; nil for a key without a value then.
  let fallback: String?
  /// What it means: one line, as docs/operations/configuration.md has it.
  let summary: String
  /// SIGHUP takes a new value over.
  let isReloadable: Bool
  /// Its value is never shown.
  let isSecret: Bool
  private let ownVariable: String?

  init(
    _ name: String, flag: String? = nil, variable: String? = nil, kind: Kind = .text, default fallback: String? = nil,
    reloadable: Bool = false, secret: Bool = false, _ summary: String
  ) {
    self.name = name
    self.flag = flag
    self.kind = kind
    self.fallback = fallback
    self.summary = summary
    isReloadable = reloadable
    isSecret = secret
    ownVariable = variable
  }

  /// In the environment.
  var variable: String { ownVariable ?? "EPHEMERAL_" + name.uppercased() }

  /// Why `text` cannot be this key's value; nil when it can.
  func refusal(of text: String) -> String? {
    switch kind {
    case .text, .workers: return text.isEmpty ? "is empty" : nil
    case .seconds(let range):
      guard let value = Double(text), range.contains(value) else {
        return "takes \(Self.plain(range.lowerBound)) to \(Self.plain(range.upperBound)) seconds"
      }
    case .age:
      guard text == "never" || Double(text).map((0...100_000).contains) == true else {
        return "takes 0 to 100000, or never"
      }
    case .flag: return text == "true" || text == "false" ? nil : "takes true or false"
    case .word(let words): return words.contains(text) ? nil : "takes one of: \(words.joined(separator: ", "))"
    }
    return nil
  }

  private static func plain(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
  }
}

/// Who set a value.
enum ConfigurationOrigin: Sendable, Equatable, CustomStringConvertible {
  case flag(String)
  case environment(String)
  /// A file, and the line where the key stands.
  case file(String, line: Int)
  case fallback

  /// One word, for programs.
  var word: String {
    switch self {
    case .flag: "flag"
    case .environment: "environment"
    case .file: "file"
    case .fallback: "default"
    }
  }

  var description: String {
    switch self {
    case .flag(let name): "flag \(name)"
    case .environment(let name): "environment \(name)"
    case .file(let path, let line): "\(path):\(line)"
    case .fallback: "default"
    }
  }
}

/// A configuration that cannot be used; its words name who set what, and what would be right.
struct ConfigurationError: Error, Equatable, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
  init(_ key: String, at origin: ConfigurationOrigin, _ reason: String) {
    description = "\(origin): `\(key)` \(reason)"
  }
}
