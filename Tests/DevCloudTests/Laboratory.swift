import Attestation
import CPlatform
import Crypto
import CryptoExtras
import Foundation
import Logging
import SealedCrypto
import Testing
import Wire

@testable import DevCloud

/// A state directory of its own, removed at the end, with what the tests ask of it.
final class Laboratory {
  let path: String
  let state: DevelopmentState

  init(_ evidenceClass: EvidenceClass = .development) throws {
    path = FileManager.default.temporaryDirectory.appending(path: "dc-\(UUID().uuidString.prefix(8))").path
    #expect(try DevelopmentState.create(at: path, now: Self.now, evidenceClass: evidenceClass))
    state = try DevelopmentState(at: path)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  static var now: Int64 { cplatform_now_ms() }
  static let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

  var epochKey: KeyRing.Key { state.keys.keys[0] }
  var modelKey: KeyRing.Key { state.keys.keys[1] }
  var authority: AttestationAuthority {
    AttestationAuthority(root: state.attestationRoot, instanceID: state.instanceID)
  }
  var verifier: AttestationVerifier {
    get throws { try state.verifier }
  }
  var service: KeyService {
    get throws {
      KeyService(keys: state.keys, callers: state.callers, verifier: try verifier, logger: Self.quiet)
    }
  }

  static let measurement = ImageMeasurement(worker: Array(repeating: 1, count: 48), files: [])

  /// The module of an enclave with these measurements.
  func module(_ measurement: ImageMeasurement = measurement) -> SecurityModule {
    SecurityModule(measurement: measurement, instance: Array(path.utf8), authority: authority)
  }

  /// Writes the policies for `measurement`.
  func allow(_ measurement: ImageMeasurement = measurement) throws {
    let registers = (Hex.encode(measurement.pcr0), Hex.encode(measurement.pcr1), Hex.encode(measurement.pcr2))
    try DevelopmentState.writePolicies(PolicyTemplates(measurements: registers), in: state.directory)
  }

  func caller(_ profile: String) throws -> Caller { try #require(state.callers.first { $0.profile == profile }) }

  /// Signs and sends one request straight to the service.
  func call(
    _ operation: String, _ members: [String: Any], as profile: String, secret: String? = nil, at now: Int64 = now,
    host: String = "kms.us-east-1.amazonaws.com"
  ) throws -> Reply {
    let body = Array(try JSONSerialization.data(withJSONObject: members))
    let caller = try caller(profile)
    let credentials = AWSCredentials(
      accessKeyID: caller.accessKeyID,
      secret: try secret.map { try SecretBytes(copying: Array($0.utf8)) } ?? caller.secret)
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "TrentService.\(operation)")]
    let signed = SigV4Signer(credentials: credentials, region: "us-east-1", service: "kms").sign(
      method: "POST", host: host, path: "/", headers: headers, payload: .body(body), at: now / 1000)
    let (status, answer) = try service.respond(
      to: KeyService.Call(
        method: "POST", target: "/", headers: headers + signed + [("host", host)], body: body, now: now))
    let json = try #require(try JSONSerialization.jsonObject(with: Data(answer)) as? [String: Any])
    return Reply(status: status, json: json)
  }

  /// What came back.
  struct Reply {
    let status: Int
    let json: [String: Any]
    var errorName: String { json["__type"] as? String ?? "ok" }
    var message: String { json["message"] as? String ?? "" }
    func bytes(_ name: String) -> [UInt8]? {
      (json[name] as? String).flatMap { Data(base64Encoded: $0) }.map { Array($0) }
    }
  }
}

/// An enclave's key for answers of KMS.
struct RecipientKey {
  let key: _RSA.Encryption.PrivateKey
  init() throws { key = try _RSA.Encryption.PrivateKey(keySize: .bits2048) }
  var spki: [UInt8] { Array(key.publicKey.derRepresentation) }

  /// A `Recipient` with a fresh document of `module`.
  func recipient(_ module: SecurityModule, at now: Int64 = Laboratory.now) throws -> [String: String] {
    [
      "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
      "AttestationDocument": Data(try module.document(publicKey: spki, at: now)).base64EncodedString(),
    ]
  }
}

extension SecurityModule {
  func ask(_ request: SecurityModuleRequest, at now: Int64 = Laboratory.now) throws -> SecurityModuleResponse {
    try SecurityModuleResponse(respond(to: request.encoded(), at: now))
  }

  func document(
    userData: [UInt8]? = nil, nonce: [UInt8]? = nil, publicKey: [UInt8]? = nil, at now: Int64 = Laboratory.now
  ) throws -> [UInt8] {
    let response = try ask(.attestation(userData: userData, nonce: nonce, publicKey: publicKey), at: now)
    guard case .attestation(let document) = response else { throw WireError.malformed("\(response)") }
    return document
  }
}

/// Runs a program to its end.
func run(_ program: String, _ arguments: [String], input: [UInt8]? = nil) throws -> (
  status: Int32, output: [UInt8], errors: String
) {
  let process = Process()
  process.executableURL = URL(filePath: program)
  process.arguments = arguments
  let scratch = FileManager.default.temporaryDirectory.appending(path: "run-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: scratch) }
  // Files, not pipes: nothing can block on a full one.
  for name in ["in", "out", "err"] {
    try Data(name == "in" ? input ?? [] : []).write(to: scratch.appending(path: name))
  }
  process.standardInput = try FileHandle(forReadingFrom: scratch.appending(path: "in"))
  process.standardOutput = try FileHandle(forWritingTo: scratch.appending(path: "out"))
  process.standardError = try FileHandle(forWritingTo: scratch.appending(path: "err"))
  try process.run()
  process.waitUntilExit()
  return (
    process.terminationStatus, Array(try Data(contentsOf: scratch.appending(path: "out"))),
    String(decoding: try Data(contentsOf: scratch.appending(path: "err")), as: UTF8.self)
  )
}
