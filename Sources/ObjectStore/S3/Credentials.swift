import FoundationEssentials
import SealedCrypto
import Synchronization

/// Where credentials come from. Asked for each request, so that a source can renew what expires.
package protocol CredentialSource: Sendable {
  /// - Throws: ``ObjectStoreError`` of kind `denied`, naming what to set.
  func credentials() throws -> AWSCredentials
}

/// Credentials that are known already.
package struct FixedCredentials: CredentialSource {
  private let value: AWSCredentials

  package init(_ value: AWSCredentials) { self.value = value }

  package func credentials() -> AWSCredentials { value }
}

/// AWS's chain, as far as it goes here: a profile that was asked for by name, the environment (`AWS_ACCESS_KEY_ID`,
/// `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`), the shared credentials file (`AWS_PROFILE`,
/// `AWS_SHARED_CREDENTIALS_FILE`). Read once, at the first request.
package final class DefaultCredentials: CredentialSource {
  private static let fileLimitBytes = 1 << 20

  private let environment: [String: String]
  private let profile: String?
  private let known = Mutex<AWSCredentials?>(nil)

  /// - Parameter profile: takes precedence over the environment's keys.
  package init(_ environment: [String: String], profile: String? = nil) {
    self.environment = environment
    self.profile = profile
  }

  package func credentials() throws -> AWSCredentials {
    try known.withLock { known in
      if let known { return known }
      let found = try find()
      known = found
      return found
    }
  }

  private func find() throws -> AWSCredentials {
    if profile == nil, let id = environment["AWS_ACCESS_KEY_ID"], !id.isEmpty {
      guard let secret = environment["AWS_SECRET_ACCESS_KEY"], !secret.isEmpty else {
        throw Self.missing("AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not", "set both")
      }
      return try Self.make(id, secret, environment["AWS_SESSION_TOKEN"])
    }
    let name = profile ?? environment["AWS_PROFILE"] ?? "default"
    let path = environment["AWS_SHARED_CREDENTIALS_FILE"] ?? (environment["HOME"] ?? "/root") + "/.aws/credentials"
    guard let file = try? Data(contentsOf: URL(filePath: path)), file.count <= Self.fileLimitBytes else {
      throw Self.missing(
        "there are no AWS credentials in the environment, and \(path) cannot be read",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write the file")
    }
    let fields = Self.profile(name, in: String(decoding: file, as: UTF8.self))
    guard let id = fields["aws_access_key_id"], let secret = fields["aws_secret_access_key"] else {
      throw Self.missing(
        "\(path) has no keys for the profile \"\(name)\"", "add them, or name another profile by AWS_PROFILE")
    }
    return try Self.make(id, secret, fields["aws_session_token"])
  }

  private static func make(_ id: String, _ secret: String, _ token: String?) throws -> AWSCredentials {
    AWSCredentials(
      accessKeyID: id, secret: try SecretBytes(copying: Array(secret.utf8)),
      sessionToken: token.flatMap { $0.isEmpty ? nil : $0 })
  }

  /// The keys of one section of an INI file; later sections of the same name add to it, as AWS's tools read it.
  static func profile(_ name: String, in text: String) -> [String: String] {
    var fields: [String: String] = [:]
    var isInside = false
    for line in text.split(whereSeparator: \.isNewline) {
      let line = trim(line)
      if line.hasPrefix("#") || line.hasPrefix(";") { continue }
      if line.hasPrefix("["), line.hasSuffix("]") {
        isInside = trim(line.dropFirst().dropLast()) == name[...]
      } else if isInside, let equals = line.firstIndex(of: "=") {
        fields[trim(line[..<equals]).lowercased()] = String(trim(line[line.index(after: equals)...]))
      }
    }
    return fields
  }

  private static func trim(_ text: Substring) -> Substring {
    let start = text.drop { $0 == " " || $0 == "\t" }
    let end = start.lastIndex { $0 != " " && $0 != "\t" }.map(start.index(after:)) ?? start.startIndex
    return start[..<end]
  }

  private static func missing(_ reason: String, _ mend: String) -> ObjectStoreError {
    ObjectStoreError(.denied, "find AWS credentials", reason, mend: mend)
  }
}
