import Foundation
import NIOSSL
import Testing

@testable import EnclaveWorker
@testable import SealedCrypto
@testable import Wire

/// The way to KMS against a host that relays to whatever it likes.
@Suite(.serialized)
struct KMSClientTests {
  static let arn = "arn:aws:kms:us-east-1:111122223333:key/12345678-1234-1234-1234-123456789012"
  let module = ScriptedModule()

  func client(deadlineMilliseconds: Int64 = 10_000) throws -> KMSClient {
    try KMSClient(module: module, rootsPEM: try TestKMS.pem("root.pem"), deadlineMilliseconds: deadlineMilliseconds)
  }

  static func access(_ kms: TestKMS, hybrid: Bool = true, fips: Bool = false) throws -> KMSAccess {
    KMSAccess(
      relay: .unix(kms.socket),
      credentials: AWSCredentials(
        accessKeyID: "AKIDEXAMPLE", secret: try SecretBytes(copying: Array("very-secret".utf8)), sessionToken: "token"),
      requireHybridTLS: hybrid, useFIPSEndpoint: fips)
  }

  private func generate(_ kms: TestKMS, _ access: KMSAccess, deadline: Int64 = 10_000) throws -> KMSDataKey {
    try client(deadlineMilliseconds: deadline).generateDataKey(
      under: try KMSKeyARN(Self.arn), context: .model(manifest: try ContentDigest(repeatElement(1, count: 32))),
      access: access)
  }

  @Test("A data key that was generated is the one that Decrypt gives back, over X25519MLKEM768 alone")
  func roundTrip() throws {
    let kms = try TestKMS(.init(curves: [.x25519_MLKEM768]))
    defer { kms.stop() }
    let made = try generate(kms, try Self.access(kms))
    let opened = try client().decrypt(
      made.ciphertextBlob, under: try KMSKeyARN(Self.arn),
      context: .model(manifest: try ContentDigest(repeatElement(1, count: 32))), access: try Self.access(kms))
    #expect(opened == made.secret)
    #expect(kms.seen.map(\.target) == ["TrentService.GenerateDataKey", "TrentService.Decrypt"])
    let headers = try #require(kms.seen.first?.headers)
    #expect(headers["host"] == "kms.us-east-1.amazonaws.com")
    #expect(headers["x-amz-security-token"] == "token")
    #expect(headers["authorization"]?.contains("AKIDEXAMPLE/") == true)
    #expect(headers["authorization"]?.contains("/us-east-1/kms/aws4_request") == true)
  }

  @Test("Each request has a fresh key, and its document carries that key and nothing else")
  func documents() throws {
    let kms = try TestKMS()
    defer { kms.stop() }
    for _ in 0..<2 { _ = try generate(kms, try Self.access(kms)) }
    let keys = module.seen.compactMap { request -> [UInt8]? in
      guard case .attestation(nil, nil, let key) = request else { return nil }
      return key
    }
    #expect(keys.count == 2)
    #expect(Set(keys).count == 2)
  }

  @Test(
    "Whoever cannot prove to be KMS is refused before a byte of the request leaves: a relay cannot put in its own key",
    arguments: ["wrong-root", "wrong-name", "expired"])
  func wrongCertificate(name: String) throws {
    let kms = try TestKMS(.init(certificate: name))
    defer { kms.stop() }
    let error = #expect(throws: KMSFault.self) { try generate(kms, try Self.access(kms)) }
    guard case .notKMS = error else { Issue.record("\(String(describing: error))"); return }
    #expect(kms.seen.isEmpty)
  }

  @Test(
    "The server's name is the ARN's and the policy's: a certificate of the standard name is not the FIPS endpoint's")
  func fipsName() throws {
    let kms = try TestKMS()
    defer { kms.stop() }
    #expect(throws: KMSFault.notKMS("its certificate is for another name")) {
      try generate(kms, try Self.access(kms, fips: true))
    }
  }

  @Test("TLS below 1.3 is refused")
  func oldTLS() throws {
    let kms = try TestKMS(.init(maximumTLS: .tlsv12))
    defer { kms.stop() }
    #expect(throws: KMSFault.notKMS("TLS handshake")) { try generate(kms, try Self.access(kms)) }
  }

  @Test("A key exchange without ML-KEM is refused unless the policy allows it")
  func classicalExchange() throws {
    let kms = try TestKMS(.init(curves: [.x25519]))
    defer { kms.stop() }
    #expect(throws: KMSFault.notKMS("TLS handshake")) { try generate(kms, try Self.access(kms)) }
    #expect(try generate(kms, try Self.access(kms, hybrid: false)).secret.count == 32)
  }

  @Test(
    "A reply that is not what was asked for is refused",
    arguments: [
      TestKMS.Fault.wrongKeyID, .plaintextPresent, .noEnvelope, .otherEnvelope, .shortKey, .oversized, .notJSON,
    ])
  func badReplies(fault: TestKMS.Fault) throws {
    let kms = try TestKMS()
    defer { kms.stop() }
    kms.misbehave(fault)
    let error = #expect(throws: KMSFault.self) { try generate(kms, try Self.access(kms)) }
    guard case .badReply = error else { Issue.record("\(String(describing: error))"); return }
  }

  @Test("A wrong encryption context is KMS's refusal")
  func wrongContext() throws {
    let kms = try TestKMS()
    defer { kms.stop() }
    let made = try generate(kms, try Self.access(kms))
    #expect(throws: KMSFault.rejected("InvalidCiphertextException")) {
      try client().decrypt(
        made.ciphertextBlob, under: try KMSKeyARN(Self.arn),
        context: .model(manifest: try ContentDigest(repeatElement(2, count: 32))), access: try Self.access(kms))
    }
  }

  @Test(
    "KMS's refusals fall into what may be retried, what is denied, and the rest",
    arguments: [
      ("ThrottlingException", UInt(400), KMSFault.retryable("ThrottlingException")),
      ("ExpiredTokenException", 400, .retryable("ExpiredTokenException")),
      ("KMSInternalException", 500, .retryable("KMSInternalException")),
      ("AccessDeniedException", 400, .denied("AccessDeniedException")),
      ("DisabledException", 409, .rejected("DisabledException")), ("Nonsense", 503, .retryable("HTTP status 503")),
    ])
  func refusals(name: String, status: UInt, fault: KMSFault) throws {
    let kms = try TestKMS()
    defer { kms.stop() }
    kms.misbehave(.error(name, status: status))
    #expect(throws: fault) { try generate(kms, try Self.access(kms)) }
  }

  @Test("A stall ends at the deadline, and a hang-up or an absent relay at once; all may be retried")
  func silence() throws {
    let kms = try TestKMS()
    defer { kms.stop() }
    for fault in [TestKMS.Fault.stall, .hangUp] {
      kms.misbehave(fault)
      let error = #expect(throws: KMSFault.self) { try generate(kms, try Self.access(kms), deadline: 1000) }
      guard case .retryable = error else { Issue.record("\(String(describing: error))"); return }
    }
    let nobody = KMSAccess(
      relay: .unix("/nonexistent/relay.sock"), credentials: try Self.access(kms).credentials, requireHybridTLS: true,
      useFIPSEndpoint: false)
    let error = #expect(throws: KMSFault.self) { try generate(kms, nobody) }
    guard case .retryable = error else { Issue.record("\(String(describing: error))"); return }
  }

  @Test("A system clock that differs from the security module's stops the request: certificates are judged by it")
  func clock() throws {
    let kms = try TestKMS()
    defer { kms.stop() }
    module.shiftClock(byMs: 3600 * 1000)
    #expect(throws: KMSFault.self) { try generate(kms, try Self.access(kms)) }
    #expect(kms.seen.isEmpty)
  }
}
