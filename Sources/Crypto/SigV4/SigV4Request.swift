import Crypto
import Wire

/// What is signed of a request: AWS Signature Version 4, "canonical request". Signer and verifier build the very same
/// value, so they cannot drift apart.
struct SigV4Request {
  /// HTTP method, upper case.
  let method: String
  /// The path before any escaping, beginning with `/`.
  let path: String
  /// Names and values before any escaping, in any order.
  let query: [(String, String)]
  /// The headers that are signed, `host` among them; names in any case.
  let headers: [(String, String)]
  /// Lower-case hexadecimal SHA-256 of the body, or `UNSIGNED-PAYLOAD`.
  let payload: String

  /// Lower-case names in byte order, joined by semicolons.
  var signedHeaders: String { sortedHeaders.map(\.name).joined(separator: ";") }

  /// The canonical request of `service`. S3 signs the path as it is on the wire; every other service escapes the
  /// normalised, already escaped path once more.
  func canonical(service: String) -> String {
    let canonicalPath =
      service == "s3"
      ? SigV4Encoding.wirePath(path)
      : SigV4Encoding.escape(SigV4Encoding.normalized(SigV4Encoding.wirePath(path)), keepSlash: true)
    var lines = [method, canonicalPath, SigV4Encoding.wireQuery(query)]
    lines += sortedHeaders.map { $0.name + ":" + $0.value }
    lines += ["", signedHeaders, payload]
    return lines.joined(separator: "\n")
  }

  /// Same-named headers become one, values in their order, joined by commas, runs of blanks made one.
  private var sortedHeaders: [(name: String, value: String)] {
    var values: [String: [String]] = [:]
    for (name, value) in headers {
      let trimmed = value.split(whereSeparator: { " \t\r\n".contains($0) }).joined(separator: " ")
      values[name.lowercased(), default: []].append(trimmed)
    }
    return values.map { ($0.key, $0.value.joined(separator: ",")) }
      .sorted { Array($0.name.utf8).lexicographicallyPrecedes(Array($1.name.utf8)) }
  }
}

/// Date, region and service that a signing key is good for.
struct SigV4Scope: Equatable {
  static let algorithm = "AWS4-HMAC-SHA256"
  static let terminator = "aws4_request"

  /// `YYYYMMDD`.
  let day: String
  let region: String
  let service: String

  var text: String { "\(day)/\(region)/\(service)/\(Self.terminator)" }

  /// The signature of `request`, as 32 bytes.
  func signature(_ request: SigV4Request, timestamp: String, secret: SecretBytes) -> [UInt8] {
    let digest = SHA256.hash(data: Array(request.canonical(service: service).utf8))
    let toSign = [Self.algorithm, timestamp, text, Hex.encode(Array(digest))].joined(separator: "\n")
    var key = secret.withUnsafeBytes { bytes in
      // swift-crypto copies the key into its own zeroed-on-free storage; this array is the one short-lived copy.
      var prefixed = Array("AWS4".utf8) + Array(bytes)
      defer { prefixed.withUnsafeMutableBytes { for index in $0.indices { $0[index] = 0 } } }
      return SymmetricKey(data: prefixed)
    }
    for part in [day, region, service, Self.terminator] { key = SymmetricKey(data: Self.mac(part, key)) }
    return Array(Self.mac(toSign, key))
  }

  private static func mac(_ text: String, _ key: SymmetricKey) -> HMAC<SHA256>.MAC {
    HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key)
  }
}
