import Testing
import Wire

@testable import SealedCrypto

struct KMSMessagesTests {
  static let arn = "arn:aws:kms:us-east-1:111122223333:key/12345678-1234-1234-1234-123456789012"

  @Test("The server's name comes from the key ARN's region and partition")
  func serverNames() throws {
    #expect(try KMSKeyARN(Self.arn).serverName(fips: false) == "kms.us-east-1.amazonaws.com")
    #expect(try KMSKeyARN(Self.arn).serverName(fips: true) == "kms-fips.us-east-1.amazonaws.com")
    let china = Self.arn.replacing("arn:aws:", with: "arn:aws-cn:").replacing("us-east-1", with: "cn-north-1")
    #expect(try KMSKeyARN(china).serverName(fips: false) == "kms.cn-north-1.amazonaws.com.cn")
  }

  @Test(
    "An alias, a bare id, another service or a region that is no label is refused",
    arguments: [
      "alias/x", "12345678-1234-1234-1234-123456789012", "arn:aws:kms:us-east-1:111122223333:alias/x",
      "arn:aws:s3:us-east-1:111122223333:key/1", "arn:aws:kms:evil.example:111122223333:key/1",
      "arn:aws:kms::111122223333:key/1", "arn:other:kms:us-east-1:111122223333:key/1", "",
    ])
  func refusedARNs(text: String) {
    #expect(throws: WireError.self) { try KMSKeyARN(text) }
  }

  @Test("A request has AWS's field names and base64 bytes")
  func requestForm() throws {
    let body = try KMSRequest.decrypt(
      [1, 2, 3], key: try KMSKeyARN(Self.arn),
      context: .model(manifest: try ContentDigest(repeatElement(0xAB, count: 32))),
      recipient: KMSRecipient(attestationDocument: [9])
    ).encoded()
    let digest = String(repeating: "ab", count: 32)
    #expect(
      String(decoding: body, as: UTF8.self)
        == #"{"CiphertextBlob":"AQID","EncryptionContext":{"ephemeralml:manifest":"\#(digest)","ephemeralml:use":"model"},"#
        + #""KeyId":"\#(Self.arn)","Recipient":{"AttestationDocument":"CQ==","KeyEncryptionAlgorithm":"RSAES_OAEP_SHA_256"}}"#
    )
  }

  @Test("The contexts of two epochs, two policy keys and two models differ")
  func contexts() throws {
    let keys = try (1...2).map { _ in try SigningKey.generate().verifyingKey }
    let digests = try (1...2).map { try ContentDigest(repeatElement(UInt8($0), count: 32)) }
    let contexts: [KMSEncryptionContext] =
      keys.flatMap { [.epoch(1, policyKey: $0), .epoch(2, policyKey: $0)] } + digests.map { .model(manifest: $0) }
    #expect(Set(contexts.map(\.pairs)).count == 6)
  }

  @Test(
    "KMS's refusals are read by name, with or without a prefix",
    arguments: [
      (#"{"__type":"AccessDeniedException","message":"x"}"#, "AccessDeniedException"),
      (#"{"__type":"com.amazonaws.kms#ThrottlingException"}"#, "ThrottlingException"),
      (#"{"__type":"NotFoundException:http://x"}"#, "NotFoundException"),
    ])
  func errorNames(body: String, name: String) {
    #expect(KMSErrorName(json: Array(body.utf8))?.name == name)
  }

  @Test(
    "Each refusal has its meaning, and with it whose move it is",
    arguments: [
      ("ThrottlingException", "", KMSErrorName.Meaning.busy), ("LimitExceededException", "", .busy),
      ("KMSInternalException", "", .busy), ("DependencyTimeoutException", "", .busy),
      ("KeyUnavailableException", "", .busy), ("ExpiredTokenException", "", .credentialsExpired),
      ("UnrecognizedClientException", "", .credentialsInvalid),
      ("InvalidSignatureException", "The request signature we calculated does not match", .credentialsInvalid),
      ("InvalidSignatureException", "Signature expired: 20260301T000000Z is now earlier than", .clockSkew),
      ("InvalidSignatureException", "Signature not yet current: 20260301T000000Z", .clockSkew),
      ("AccessDeniedException", "", .denied), ("DisabledException", "", .keyUnusable),
      ("KMSInvalidStateException", "", .keyUnusable), ("NotFoundException", "", .keyUnusable),
      ("InvalidCiphertextException", "", .wrongCiphertext), ("IncorrectKeyException", "", .wrongCiphertext),
      ("ValidationException", "", .invalid), ("SomethingNewException", "", .other),
    ])
  func meanings(name: String, message: String, meaning: KMSErrorName.Meaning) throws {
    for field in ["message", "Message"] {
      let error = try #require(KMSErrorName(json: Array(#"{"__type":"\#(name)","\#(field)":"\#(message)"}"#.utf8)))
      #expect(error.meaning == meaning)
    }
    let transient: Set<KMSErrorName.Meaning> = [.busy, .credentialsExpired, .credentialsInvalid, .clockSkew]
    let error = try #require(KMSErrorName(json: Array(#"{"__type":"\#(name)","message":"\#(message)"}"#.utf8)))
    #expect(error.isTransient == transient.contains(meaning))
    #expect(error.isDenial == (meaning == .denied))
  }

  @Test("What is not JSON, or is nested to the sky, is refused", arguments: ["", "[]", "{", #"{"KeyId":1}"#])
  func malformedReplies(text: String) {
    #expect(throws: WireError.self) { try KMSResponse(json: Array(text.utf8)) }
    let deep = [UInt8](repeating: UInt8(ascii: "["), count: 60_000)
    #expect(throws: WireError.self) { try KMSResponse(json: deep) }
  }
}
