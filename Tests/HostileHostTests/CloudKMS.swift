import Client
import Crypto
import Foundation
import SealedCrypto
import TestSupport
import Wire

/// KMS as somebody outside an enclave uses it: requests signed by our signer, carried by the curl program over
/// `devcloud`'s Unix socket, TLS checked against its root.
struct CloudKMS: DataKeyService {
  private let theatre: Theatre
  private let credentials: AWSCredentials
  private static let curl = URL(filePath: "/usr/bin/curl")
  private static let server = "kms.us-east-1.amazonaws.com"

  /// - Parameter profile: whose credentials: `host`, `publisher` or `owner`.
  init(_ theatre: Theatre, profile: String) throws {
    let found = try theatre.credentials(profile)
    self.theatre = theatre
    credentials = AWSCredentials(
      accessKeyID: found.accessKey, secret: try SecretBytes(copying: Array(found.secret.utf8)), sessionToken: nil)
  }

  /// The answer's body, whatever KMS says.
  func call(_ action: KMSAction, _ body: [UInt8]) throws -> [UInt8] {
    let headers = [("Content-Type", KMSAction.contentType), ("X-Amz-Target", action.target)]
    let signed = SigV4Signer(credentials: credentials, region: "us-east-1", service: "kms").sign(
      method: "POST", host: Self.server, path: "/", headers: headers, payload: .body(body),
      at: Int64(Date().timeIntervalSince1970))
    let file = "request-\(UUID().uuidString).json"
    try Data(body).write(to: URL(filePath: theatre.path(file)))
    var arguments = [
      "--silent", "--show-error", "--max-time", "20", "--unix-socket", theatre.kms, "--cacert",
      "\(theatre.cloudState)/kms-roots.pem", "--data-binary", "@\(theatre.path(file))",
    ]
    for (name, value) in headers + signed { arguments += ["--header", "\(name): \(value)"] }
    return Array(try theatre.succeed(Self.curl, arguments + ["https://\(Self.server)/"]).utf8)
  }

  func generateDataKey(_ key: KMSKeyARN, context: KMSEncryptionContext) throws -> GeneratedDataKey {
    let answer = try call(.generateDataKey, KMSRequest.generateDataKey(key, context: context, recipient: nil).encoded())
    let response = try KMSResponse(json: answer)
    guard let plaintext = response.plaintext, let blob = response.ciphertextBlob else {
      throw TheatreError("KMS: \(String(decoding: answer, as: UTF8.self))")
    }
    return GeneratedDataKey(plaintext: try SecretBytes(copying: Array(plaintext)), ciphertextBlob: Array(blob))
  }
}
