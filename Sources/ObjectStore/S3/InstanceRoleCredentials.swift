import FoundationEssentials
import SealedCrypto

/// The role of the EC2 instance, by version 2 of its metadata service (IMDSv2): a PUT for a token, then the role's name,
/// then its credentials.
///
/// Version 1, without a token, is never tried: it hands the role to whoever can make this machine send one GET request.
struct InstanceRoleCredentials: CredentialPlace {
  let name = "IMDSv2"
  private static let path = "/latest/meta-data/iam/security-credentials/"
  /// Long enough for the two requests that follow; each renewal takes a token of its own.
  private static let tokenSeconds = "300"

  private let isDisabled: Bool
  private let endpoint: String
  private let service = CredentialService()

  init(_ environment: [String: String]) {
    isDisabled = environment["AWS_EC2_METADATA_DISABLED"]?.lowercased() == "true"
    let isIPv6 = environment["AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"]?.lowercased() == "ipv6"
    var endpoint =
      environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"]
      ?? (isIPv6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254")
    while endpoint.hasSuffix("/") { endpoint.removeLast() }
    self.endpoint = endpoint
  }

  func look() throws -> CredentialFinding {
    guard !isDisabled else { return .absent("switched off by AWS_EC2_METADATA_DISABLED") }
    guard ContainerCredentials.host(endpoint) != nil, endpoint.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw error("AWS_EC2_METADATA_SERVICE_ENDPOINT is not http[s]://host…", "correct it")
    }
    let token: String
    switch service.ask(
      .put, endpoint + "/latest/api/token", [("X-aws-ec2-metadata-token-ttl-seconds", Self.tokenSeconds)])
    {
    case .body(let text) where Self.isToken(text): token = text
    case .body: throw error("what answers at \(endpoint) gives no token", "look what answers there")
    case .status(let status):
      // 403: switched off for this instance. 404, 405: something that knows version 1 alone.
      return .absent("\(endpoint) gives no session token (HTTP \(status)), and version 1 is not used")
    case .nothing(let reason):
      return .absent(
        "no answer at \(endpoint) (\(reason)); on an instance a container may be a hop too far: "
          + "aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2")
    }
    return .found(try credentials(token))
  }

  private func credentials(_ token: String) throws -> AWSCredentials {
    let headers = [("X-aws-ec2-metadata-token", token)]
    let role: String
    switch service.ask(.get, endpoint + Self.path, headers) {
    case .body(let text):
      role = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
      guard Self.isRoleName(role) else { throw error("it names no role", "attach a role to the instance") }
    case .status(404): throw error("the instance has no role", "attach an instance profile with a role to it")
    case .status(let status): throw error("HTTP \(status) for the role's name", "try again", kind: .retryable)
    case .nothing(let reason): throw error("no role's name: \(reason)", "try again", kind: .retryable)
    }
    switch service.ask(.get, endpoint + Self.path + SigV4Encoding.escape(role), headers) {
    case .body(let text): return try CredentialDocument.credentials(text, origin: "\(name), role \(role)")
    case .status(let status):
      throw error("HTTP \(status) for the credentials of \(role)", "try again", kind: .retryable)
    case .nothing(let reason): throw error("no credentials of \(role): \(reason)", "try again", kind: .retryable)
    }
  }

  private func error(_ reason: String, _ mend: String, kind: ObjectStoreError.Kind = .denied) -> ObjectStoreError {
    CredentialChain.error("\(name): \(reason)", mend, kind: kind)
  }

  private static func isToken(_ text: String) -> Bool {
    (1...1024).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
  }

  /// IAM's own rule for role names.
  private static func isRoleName(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"):
          true
        default: "+=,.@_-".utf8.contains(byte)
        }
      }
  }
}
