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

  func client(wholeSeconds: Int64 = 20) throws -> KMSClient {
    var patience = KMSPatience()
    patience.whole = .seconds(wholeSeconds)
    patience.base = .milliseconds(1)
    return try KMSClient(module: module, rootsPEM: try TestKMS.pem("root.pem"), patience: patience)
  }

  static func access(_ kms: TestKMS, hybrid: Bool = true, fips: Bool = false) throws -> KMSAccess {
    KMSAccess(
      relay: .unix(kms.socket),
      credentials: LentCredentials(
        AWSCredentials(
          accessKeyID: "AKIDEXAMPLE", secret: try SecretBytes(copying: Array("very-secret".utf8)),
          sessionToken: "token")),
      requireHybridTLS: hybrid, useFIPSEndpoint: fips)
  }

  private func generate(_ kms: TestKMS, _ access: KMSAccess, wholeSeconds: Int64 = 20) throws -> KMSDataKey {
    try client(wholeSeconds: wholeSeconds).generateDataKey(
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
    #expect(throws: KMSFault.wrongCiphertext("InvalidCiphertextException")) {
      try client().decrypt(
        made.ciphertextBlob, under: try KMSKeyARN(Self.arn),
        context: .model(manifest: try ContentDigest(repeatElement(2, count: 32))), access: try Self.access(kms))
    }
  }

  @Test(
    "Each of KMS's refusals has its outward code and its advice: what the host lent is a retry, what the owner set is not",
    arguments: [
      ("ThrottlingException", UInt(400), OutwardCode.retry, WorkerAdvice.kmsBusy),
      ("LimitExceededException", 400, .retry, .kmsBusy), ("KMSInternalException", 500, .retry, .kmsBusy),
      ("DependencyTimeoutException", 503, .retry, .kmsBusy), ("Nonsense", 503, .retry, .kmsBusy),
      ("", 502, .retry, .kmsBusy), ("ExpiredTokenException", 400, .retry, .credentialsExpired),
      ("UnrecognizedClientException", 400, .retry, .credentialsInvalid),
      ("InvalidSignatureException", 400, .retry, .credentialsInvalid),
      ("AccessDeniedException", 400, .refused, .keyDenied), ("DisabledException", 409, .refused, .keyUnusable),
      ("KMSInvalidStateException", 409, .refused, .keyUnusable), ("NotFoundException", 400, .refused, .keyUnusable),
      ("InvalidCiphertextException", 400, .failed, .wrongCiphertext),
      ("IncorrectKeyException", 400, .failed, .wrongCiphertext),
      ("ValidationException", 400, .failed, .requestInvalid), ("Nonsense", 400, .failed, .requestInvalid),
    ])
  func refusals(name: String, status: UInt, code: OutwardCode, advice: WorkerAdvice) throws {
    let kms = try TestKMS()
    defer { kms.stop() }
    kms.misbehave(.error(name, status: status))
    let fault = try #require(#expect(throws: KMSFault.self) { try generate(kms, try Self.access(kms)) })
    #expect(fault.asWorkerFault.code == code)
    #expect(fault.asWorkerFault.advice == advice)
    #expect(kms.seen.count == (advice == .kmsBusy ? KMSPatience().attempts : 1), "only what passes is asked again")
  }

  @Test(
    "Throttling and lost connections are sat out, each time with a fresh key and document",
    arguments: [TestKMS.Fault.error("ThrottlingException", status: 400), .error("", status: 503), .hangUp])
  func retries(fault: TestKMS.Fault) throws {
    let kms = try TestKMS()
    defer { kms.stop() }
    kms.misbehave(fault, times: 3)
    #expect(try generate(kms, try Self.access(kms)).secret.count == 32)
    let keys = module.seen.compactMap { request -> [UInt8]? in
      guard case .attestation(nil, nil, let key) = request else { return nil }
      return key
    }
    #expect(Set(keys).count == 4)
  }

  @Test("The pause grows, has a cap, and is drawn from all of its length")
  func pauses() {
    let patience = KMSPatience()
    for attempt in 1...40 {
      let longest = min(patience.base * (1 << min(attempt - 1, 16)), patience.cap)
      let pauses = (0..<200).map { _ in patience.rest(after: attempt) }
      #expect(pauses.allSatisfy { $0 >= .zero && $0 <= longest })
      #expect(pauses.contains { $0 < longest / 2 } && pauses.contains { $0 > longest / 2 })
    }
    #expect(patience.whole < .seconds(50), "the host gives the worker up behind 60 s of silence")
  }

  @Test("Credentials that are renewed between two tries sign the second: a long job outlives its first ones")
  func renewedCredentials() throws {
    let kms = try TestKMS()
    defer { kms.stop() }
    let access = try Self.access(kms)
    _ = try generate(kms, access)
    access.credentials.renew(
      AWSCredentials(accessKeyID: "AKIDRENEWED", secret: try SecretBytes(copying: [1]), sessionToken: "renewed"))
    _ = try generate(kms, access)
    #expect(kms.seen.map { $0.headers["x-amz-security-token"] } == ["token", "renewed"])
    #expect(kms.seen.last?.headers["authorization"]?.contains("AKIDRENEWED/") == true)
  }

  @Test("A stall ends at the deadline, and a hang-up or an absent relay at once; all may be retried")
  func silence() throws {
    let kms = try TestKMS()
    defer { kms.stop() }
    for fault in [TestKMS.Fault.stall, .hangUp] {
      kms.misbehave(fault)
      let error = #expect(throws: KMSFault.self) { try generate(kms, try Self.access(kms), wholeSeconds: 1) }
      guard case .unreachable = error else { Issue.record("\(String(describing: error))"); return }
    }
    let nobody = KMSAccess(
      relay: .unix("/nonexistent/relay.sock"), credentials: try Self.access(kms).credentials, requireHybridTLS: true,
      useFIPSEndpoint: false)
    let error = #expect(throws: KMSFault.self) { try generate(kms, nobody) }
    guard case .unreachable = error else { Issue.record("\(String(describing: error))"); return }
  }

  @Test("A relay that takes the connection and says nothing, or stops within the handshake, costs the deadline alone")
  func silentRelay() throws {
    for sent in [[], [0x16, 0x03, 0x03, 0x04, 0xBA, 0x02]] as [[UInt8]] {
      let path = NSTemporaryDirectory() + "silent-\(UInt32.random(in: 0 ... .max)).sock"
      let relay = try Listener(.unix(path))
      defer { relay.close() }
      Foundation.Thread.detachNewThread {
        guard let worker = try? relay.accept() else { return }
        try? worker.write(sent)
        while let piece = try? worker.read(upTo: 1 << 16), !piece.isEmpty {}
      }
      let access = KMSAccess(
        relay: .unix(path),
        credentials: LentCredentials(
          AWSCredentials(accessKeyID: "AKIDEXAMPLE", secret: try SecretBytes(copying: [1]), sessionToken: nil)),
        requireHybridTLS: true, useFIPSEndpoint: false)
      let error = #expect(throws: KMSFault.self) {
        try client(wholeSeconds: 1).generateDataKey(
          under: try KMSKeyARN(Self.arn), context: .model(manifest: try ContentDigest(repeatElement(1, count: 32))),
          access: access)
      }
      guard case .unreachable = error else { Issue.record("\(String(describing: error))"); return }
    }
  }

  @Test("A system clock that differs from the security module's stops the request: certificates are judged by it")
  func clock() throws {
    let kms = try TestKMS()
    defer { kms.stop() }
    module.shiftClock(byMs: 3600 * 1000)
    let fault = try #require(#expect(throws: KMSFault.self) { try generate(kms, try Self.access(kms)) })
    #expect(fault.asWorkerFault.advice == .clock)
    #expect(kms.seen.isEmpty)
  }
}
