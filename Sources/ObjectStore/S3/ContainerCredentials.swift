import FoundationEssentials
import SealedCrypto

/// The endpoint that ECS, EKS Pod Identity and Greengrass offer to a container, by
/// `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
struct ContainerCredentials: CredentialPlace {
  let name = "container"
  private static let ecs = "169.254.170.2"
  /// Plain HTTP shows credentials to whoever is on the way, so it is for addresses that leave no machine: these of ECS
  /// and EKS, and loopback. AWS's SDKs hold themselves to the same list.
  private static let plainHosts: Set<String> = [ecs, "169.254.170.23", "[fd00:ec2::23]", "localhost", "[::1]"]
  private static let tokenLimitBytes = 16 << 10

  private let relative: String?
  private let full: String?
  private let token: String?
  private let tokenFile: String?
  private let service = CredentialService()

  init(_ environment: [String: String]) {
    relative = environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
    full = environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    token = environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    tokenFile = environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]
  }

  func look() throws -> CredentialFinding {
    guard let url = try url() else { return .absent("AWS_CONTAINER_CREDENTIALS_*_URI is not set") }
    var headers = [("Accept", "application/json")]
    if let token = try authorization() { headers.append(("Authorization", token)) }
    let origin = "container endpoint"
    switch service.ask(.get, url, headers) {
    case .body(let text): return .found(try CredentialDocument.credentials(text, origin: origin))
    case .status(let status):
      throw CredentialChain.error(
        "\(origin): HTTP \(status)",
        [400, 401, 403].contains(status) ? "check AWS_CONTAINER_AUTHORIZATION_TOKEN(_FILE)" : "check the task's role",
        kind: .retryable)
    case .nothing(let reason):
      throw CredentialChain.error("\(origin): no answer: \(reason)", "check the task's role", kind: .retryable)
    }
  }

  /// Where to ask; nil where nothing is configured.
  func url() throws -> String? {
    if let relative {
      guard relative.hasPrefix("/"), Self.isPlain(relative) else {
        throw CredentialChain.error("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not a path", "correct it")
      }
      return "http://\(Self.ecs)\(relative)"
    }
    guard let full else { return nil }
    guard Self.isPlain(full), let host = Self.host(full) else {
      throw CredentialChain.error("AWS_CONTAINER_CREDENTIALS_FULL_URI is not http[s]://host…", "correct it")
    }
    guard full.hasPrefix("https://") || Self.plainHosts.contains(host) || Self.isLoopbackIPv4(host) else {
      throw CredentialChain.error(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI names \(host) without TLS",
        "use https, a loopback address, 169.254.170.2, 169.254.170.23 or [fd00:ec2::23]")
    }
    return full
  }

  private func authorization() throws -> String? {
    guard let tokenFile else { return try token.map { try Self.checked($0, "AWS_CONTAINER_AUTHORIZATION_TOKEN") } }
    // Read each time: EKS replaces the file.
    guard let text = try ProfileCredentials.read(tokenFile, limit: Self.tokenLimitBytes) else {
      throw CredentialChain.error("\(tokenFile) does not exist", "correct AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    }
    return try Self.checked(text.last == "\n" ? String(text.dropLast()) : text, tokenFile)
  }

  private static func checked(_ token: String, _ origin: String) throws -> String {
    guard (1...tokenLimitBytes).contains(token.utf8.count), token.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
    else {
      throw CredentialChain.error("\(origin) does not hold a token for a header", "correct it")
    }
    return token
  }

  /// Printable and without blanks: nothing that one reader of URLs takes otherwise than another.
  private static func isPlain(_ text: String) -> Bool {
    text.utf8.count <= 2048 && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\\") }
  }

  /// The host of a URL without user information, lower-case, IPv6 in its brackets.
  static func host(_ url: String) -> String? {
    guard let scheme = ["https://", "http://"].first(where: { url.hasPrefix($0) }) else { return nil }
    let authority = url.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    guard !authority.contains("@"), let first = authority.first else { return nil }
    let host = first == "[" ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
    let rest = authority.dropFirst(host.count)
    guard !host.isEmpty, rest.isEmpty || (rest.first == ":" && UInt16(rest.dropFirst()) != nil) else { return nil }
    return host.lowercased()
  }

  /// 127.0.0.0/8, written as four decimal numbers.
  private static func isLoopbackIPv4(_ host: String) -> Bool {
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127"
      && parts.allSatisfy { !$0.isEmpty && $0.count <= 3 && $0.allSatisfy(\.isWholeNumber) && UInt8($0) != nil }
  }
}
