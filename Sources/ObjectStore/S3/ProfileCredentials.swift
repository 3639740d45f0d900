import FoundationEssentials
import Glibc
import SealedCrypto

/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
struct EnvironmentCredentials: CredentialPlace {
  let name = "environment"
  private let environment: [String: String]

  init(_ environment: [String: String]) { self.environment = environment }

  func look() throws -> CredentialFinding {
    switch (environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]) {
    case (let id?, let secret?):
      return .found(
        try AWSCredentials(id: id, secret: secret, token: environment["AWS_SESSION_TOKEN"], origin: "the environment"))
    case (nil, nil): return .absent("AWS_ACCESS_KEY_ID is not set")
    case (let id, _):
      let (set, unset) = id == nil ? ("SECRET_ACCESS_KEY", "ACCESS_KEY_ID") : ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
      throw CredentialChain.error("environment: AWS_\(set) is set, AWS_\(unset) is not", "set both, or neither")
    }
  }
}

/// Keys of a profile in AWS's shared files: `AWS_SHARED_CREDENTIALS_FILE` (`~/.aws/credentials`) before
/// `AWS_CONFIG_FILE` (`~/.aws/config`).
struct ProfileCredentials: CredentialPlace {
  private static let fileLimitBytes = 1 << 20
  /// What else a profile may name credentials by, and none of which is done here.
  private static let unsupported = [
    "credential_process", "sso_session", "sso_start_url", "role_arn", "web_identity_token_file", "login_session",
  ]

  let name: String
  private let profile: String
  /// Somebody named it, so that nothing else will do.
  private let isNamed: Bool
  private let credentialsFile: String?
  private let configFile: String?

  /// - Parameter name: nil takes `AWS_PROFILE`, or `default`.
  init(_ environment: [String: String], name: String?) {
    isNamed = name != nil || environment["AWS_PROFILE"] != nil
    profile = name ?? environment["AWS_PROFILE"] ?? "default"
    self.name = "profile \(profile)"
    let home = environment["HOME"].map { $0 + "/.aws/" }
    credentialsFile = environment["AWS_SHARED_CREDENTIALS_FILE"] ?? home.map { $0 + "credentials" }
    configFile = environment["AWS_CONFIG_FILE"] ?? home.map { $0 + "config" }
  }

  func look() throws -> CredentialFinding {
    let files = [credentialsFile, configFile].compactMap { $0 }.joined(separator: " or ")
    guard !files.isEmpty else { return .absent("no HOME, and so no files") }
    let inCredentials = try credentialsFile.flatMap { try keys(in: $0) { $0 == profile } }
    let inConfig = try configFile.flatMap {
      try keys(in: $0) { $0 == "profile \(profile)" || (profile == "default" && $0 == profile) }
    }
    let fields = (inConfig ?? [:]).merging(inCredentials ?? [:]) { $1 }
    if let other = Self.unsupported.first(where: { fields[$0] != nil }) {
      throw CredentialChain.error(
        "\(name): it names its credentials by \(other), which is not supported here",
        "take a profile with keys, or export the keys: aws configure export-credentials --format env")
    }
    guard let id = fields["aws_access_key_id"] else {
      let reason = inCredentials == nil && inConfig == nil ? "not in" : "has no aws_access_key_id in"
      guard !isNamed else {
        throw CredentialChain.error("\(name): \(reason) \(files)", "add it, or name another profile by AWS_PROFILE")
      }
      return .absent("\(reason) \(files)")
    }
    guard let secret = fields["aws_secret_access_key"] else {
      throw CredentialChain.error("\(name): it has an aws_access_key_id and no aws_secret_access_key", "add it")
    }
    let token = fields["aws_session_token"].flatMap { $0.isEmpty ? nil : $0 }
    return .found(try AWSCredentials(id: id, secret: secret, token: token, origin: name))
  }

  /// The keys of a section; nil where there is no such file or section.
  private func keys(in path: String, _ isSection: (Substring) -> Bool) throws -> [String: String]? {
    guard let text = try Self.read(path) else { return nil }
    return Self.section(isSection, in: text)
  }

  /// The text of a small file; nil where there is none.
  static func read(_ path: String, limit: Int = fileLimitBytes) throws -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw CredentialChain.error("\(path): \(String(cString: strerror(errno)))", "let this user read it")
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16 << 10)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw CredentialChain.error("\(path): \(String(cString: strerror(errno)))", "let this user read it")
      }
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes += buffer[..<count]
      guard bytes.count <= limit else {
        throw CredentialChain.error("\(path): over \(limit) bytes", "look what stands in it")
      }
    }
  }

  /// The keys of one section of an INI file; later sections of the same name add to it, as AWS's tools read it.
  private static func section(_ isSection: (Substring) -> Bool, in text: String) -> [String: String]? {
    var fields: [String: String]?
    var isInside = false
    for line in text.split(whereSeparator: \.isNewline) {
      let line = trim(line)
      if line.hasPrefix("#") || line.hasPrefix(";") { continue }
      if line.hasPrefix("["), line.hasSuffix("]") {
        isInside = isSection(trim(line.dropFirst().dropLast()))
        if isInside { fields = fields ?? [:] }
      } else if isInside, let equals = line.firstIndex(of: "=") {
        fields?[trim(line[..<equals]).lowercased()] = String(trim(line[line.index(after: equals)...]))
      }
    }
    return fields
  }

  private static func trim(_ text: Substring) -> Substring {
    let start = text.drop { $0 == " " || $0 == "\t" }
    let end = start.lastIndex { $0 != " " && $0 != "\t" }.map(start.index(after:)) ?? start.startIndex
    return start[..<end]
  }
}
