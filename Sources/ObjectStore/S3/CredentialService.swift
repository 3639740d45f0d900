import FoundationEssentials
import Glibc
import SealedCrypto

/// An HTTP service that hands out credentials: the container's endpoint or the instance's metadata service.
///
/// Whatever answers there is bounded in size and time, and its words go into errors printable and short.
struct CredentialService: Sendable {
  /// How one request ended.
  enum Answer {
    case body(String)
    /// An HTTP status that is not 200.
    case status(Int)
    case nothing(String)
  }

  private static let bodyLimitBytes = 64 << 10
  private static let attempts = 3
  private static let pauseMicroseconds: useconds_t = 200_000
  private let transport = CurlTransport(
    timeouts: HTTPTimeouts(connectSeconds: 1, stalledSeconds: 2, wholeSeconds: 3))

  /// One request; one that failed on the server's side is repeated twice.
  func ask(_ method: HTTPRequest.Method, _ url: String, _ headers: [(String, String)] = []) -> Answer {
    var attempt = 1
    while true {
      let answer = askOnce(method, url, headers)
      switch answer {
      case .status(let status) where attempt < Self.attempts && (status == 429 || status >= 500):
        usleep(Self.pauseMicroseconds)
        attempt += 1
      default: return answer
      }
    }
  }

  private func askOnce(_ method: HTTPRequest.Method, _ url: String, _ headers: [(String, String)]) -> Answer {
    do {
      let response = try transport.perform(
        HTTPRequest(method: method, url: url, headers: headers, body: [], responseLimit: Self.bodyLimitBytes))
      guard response.status == 200 else { return .status(response.status) }
      return .body(String(decoding: response.body, as: UTF8.self))
    } catch {
      return .nothing(error.kind == .tooLarge ? "an answer over \(Self.bodyLimitBytes) bytes" : error.reason)
    }
  }
}

/// The JSON object in which both services hand out credentials.
struct CredentialDocument: Decodable {
  /// `Success`, where there is one.
  private let code: String?
  private let message: String?
  private let accessKeyID: String?
  private let secretAccessKey: String?
  private let token: String?
  /// ISO 8601, UTC.
  private let expiration: String?

  private enum CodingKeys: String, CodingKey {
    case code = "Code"
    case message = "Message"
    case accessKeyID = "AccessKeyId"
    case secretAccessKey = "SecretAccessKey"
    case token = "Token"
    case expiration = "Expiration"
  }

  /// Reads and checks the whole answer.
  ///
  /// - Parameter origin: for people.
  /// - Throws: ``ObjectStoreError``; nothing of the answer but its own error message stands in it.
  static func credentials(_ text: String, origin: String) throws -> AWSCredentials {
    func error(_ reason: String) -> ObjectStoreError {
      CredentialChain.error("\(origin): \(reason)", "look what answers there", kind: .retryable)
    }
    guard let document = try? JSONDecoder().decode(CredentialDocument.self, from: Data(text.utf8)) else {
      throw error("its answer is not the JSON object that was expected")
    }
    if let code = document.code, code != "Success" {
      throw error("it answers \(shown(code)): \(shown(document.message ?? ""))")
    }
    guard let id = document.accessKeyID, let secret = document.secretAccessKey, let token = document.token,
      let expiration = document.expiration
    else { throw error("its answer lacks AccessKeyId, SecretAccessKey, Token or Expiration") }
    guard let end = SigV4Date.seconds(HTTPDate.compactISO(expiration)) else {
      throw error("its Expiration is not a time in UTC")
    }
    return try AWSCredentials(id: id, secret: secret, token: token, expiration: end, origin: origin)
  }

  private static func shown(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.prefix(100).filter { (0x20...0x7E).contains($0.value) }))
  }
}
