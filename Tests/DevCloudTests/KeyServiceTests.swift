import Crypto
import CryptoExtras
import Foundation
import SealedCrypto
import TestSupport
import Testing
import Wire

@testable import DevCloud

extension Need {
  /// The `openssl` program, to read what libcrypto made by other means than our own.
  static let openssl = Need("openssl", remedy: "`apt install openssl`") {
    FileManager.default.fileExists(atPath: "/usr/bin/openssl") ? URL(filePath: "/usr/bin/openssl") : nil
  }
}

@Suite("KMS", .serialized)
struct KeyServiceTests {
  let laboratory: Laboratory
  let enclave: SecurityModule
  let key: RecipientKey

  init() throws {
    laboratory = try Laboratory()
    try laboratory.allow()
    enclave = laboratory.module()
    key = try RecipientKey()
  }

  private static let context = ["ephemeralml:use": "epoch", "ephemeralml:epoch": "1", "ephemeralml:policy-key": "00"]

  private func generate(_ recipient: Any?, context: [String: String] = context, as profile: String = "host") throws
    -> Laboratory.Reply
  {
    var members: [String: Any] = [
      "KeyId": laboratory.epochKey.arn, "KeySpec": "AES_256", "EncryptionContext": context,
    ]
    members["Recipient"] = recipient
    return try laboratory.call("GenerateDataKey", members, as: profile)
  }

  private func decrypt(
    _ blob: [UInt8], context: [String: String] = context, keyID: String? = nil, recipient: Any? = nil
  ) throws -> Laboratory.Reply {
    var members: [String: Any] = [
      "CiphertextBlob": Data(blob).base64EncodedString(), "EncryptionContext": context,
    ]
    members["KeyId"] = keyID
    members["Recipient"] = try recipient ?? key.recipient(enclave)
    return try laboratory.call("Decrypt", members, as: "host")
  }

  @Test("releases a data key to an attested recipient, and the same key again")
  func release() throws {
    let made = try generate(key.recipient(enclave))
    #expect(made.errorName == "ok", "\(made.message)")
    #expect(made.json["Plaintext"] == nil)
    #expect(made.json["KeyId"] as? String == laboratory.epochKey.arn)
    let first = try openEnvelope(#require(made.bytes("CiphertextForRecipient")))
    let again = try decrypt(#require(made.bytes("CiphertextBlob")))
    #expect(again.errorName == "ok", "\(again.message)")
    #expect(again.json["Plaintext"] == nil)
    let second = try openEnvelope(#require(again.bytes("CiphertextForRecipient")))
    #expect(first.count == 32)
    #expect(first == second)
  }

  @Test("obeys a key policy that demands one policy in PCR16: no other, none, no unlocked one")
  func pinnedPolicy() throws {
    let policy = Array(SHA256.hash(data: [1, 2, 3]))
    let value = Hex.encode(Array(SHA384.hash(data: PCRBank.zero + policy)))
    let measured = Laboratory.measurement
    let image = (Hex.encode(measured.pcr0), Hex.encode(measured.pcr1), Hex.encode(measured.pcr2))
    try DevelopmentState.writePolicies(
      PolicyTemplates(images: [image], pinnedPolicy: value), in: laboratory.state.directory)
    #expect(try generate(key.recipient(enclave)).errorName == "AccessDeniedException", "nothing is pinned")
    #expect(try enclave.ask(.extendPCR(16, data: policy)) != .error("ReadOnlyIndex"))
    #expect(
      try generate(key.recipient(enclave)).errorName == "AccessDeniedException", "not locked, so not in documents")
    #expect(try enclave.ask(.lockPCR(16)) == .lockPCR)
    #expect(try generate(key.recipient(enclave)).errorName == "ok")
    let other = laboratory.module()
    _ = try other.ask(.extendPCR(16, data: Array(SHA256.hash(data: [4]))))
    _ = try other.ask(.lockPCR(16))
    #expect(try generate(key.recipient(other)).errorName == "AccessDeniedException")
  }

  @Test("seals to a recipient in BER that openssl reads, of indefinite length", .enabled(if: Need.openssl.isMet))
  func envelope() throws {
    let openssl = try Need.openssl.require().path
    let reply = try generate(key.recipient(enclave))
    let envelope = try #require(reply.bytes("CiphertextForRecipient"))
    let tree = try run(openssl, ["asn1parse", "-inform", "DER"], input: envelope)
    let text = String(decoding: tree.output, as: UTF8.self)
    #expect(tree.status == 0, "\(tree.errors)")
    #expect(text.contains("0:d=0  hl=2 l=inf  cons: SEQUENCE"))
    for part in ["pkcs7-envelopedData", "rsaesOaep", "mgf1", "sha256", "aes-256-cbc"] { #expect(text.contains(part)) }
    #expect(envelope.contains(sequence: Array(SHA256.hash(data: key.spki))))
    let keyFile = laboratory.path + "/recipient.pem"
    try Data(key.key.pemRepresentation.utf8).write(to: URL(filePath: keyFile))
    let opened = try run(openssl, ["cms", "-decrypt", "-inform", "DER", "-binary", "-inkey", keyFile], input: envelope)
    #expect(opened.status == 0, "\(opened.errors)")
    #expect(opened.output == (try openEnvelope(envelope)))
  }

  @Test("refuses without a recipient, to another image, and to another role")
  func measurements() throws {
    #expect(try generate(nil).errorName == "AccessDeniedException")
    let other = ImageMeasurement(worker: Array(repeating: 2, count: 48), files: [])
    let rebuilt = SecurityModule(measurement: other, instance: [1], authority: laboratory.authority)
    #expect(try generate(key.recipient(rebuilt)).errorName == "AccessDeniedException")
    #expect(try generate(key.recipient(enclave), as: "publisher").errorName == "AccessDeniedException")
    try laboratory.allow(other)
    #expect(try generate(key.recipient(enclave)).errorName == "AccessDeniedException")
    #expect(try generate(key.recipient(rebuilt)).errorName == "ok")
  }

  @Test("opens a ciphertext only with the context and the key that made it")
  func bindings() throws {
    let blob = try #require(try generate(key.recipient(enclave)).bytes("CiphertextBlob"))
    var other = Self.context
    other["ephemeralml:epoch"] = "2"
    #expect(try decrypt(blob, context: other).errorName == "InvalidCiphertextException")
    #expect(try decrypt(blob, keyID: laboratory.modelKey.arn).errorName == "IncorrectKeyException")
    #expect(try decrypt(blob, keyID: laboratory.epochKey.arn).errorName == "ok")
    #expect(try decrypt(blob, keyID: "alias/epoch").errorName == "NotFoundException")
    #expect(try decrypt(Array(blob.dropLast())).errorName == "InvalidCiphertextException")
    for offset in stride(from: 0, to: blob.count, by: 7) {
      var broken = blob
      broken[offset] ^= 1
      #expect(try decrypt(broken).errorName == "InvalidCiphertextException")
    }
  }

  @Test("refuses documents that are broken, old, of another root, or for another algorithm")
  func documents() throws {
    var recipient = try key.recipient(enclave)
    recipient["KeyEncryptionAlgorithm"] = "RSAES_OAEP_SHA_1"
    #expect(try generate(recipient).errorName == "ValidationException")
    var document = try enclave.document(publicKey: key.spki)
    document[document.count - 5] ^= 1
    recipient = ["KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"]
    #expect(try generate(recipient).errorName == "ValidationException")
    recipient["AttestationDocument"] = Data(document).base64EncodedString()
    #expect(try generate(recipient).errorName == "ValidationException")
    let old = try key.recipient(enclave, at: Laboratory.now - 6 * 60_000)
    #expect(try generate(old).errorName == "ValidationException")
    let foreign = try Laboratory()
    #expect(try generate(key.recipient(foreign.module())).errorName == "ValidationException")
  }

  @Test("takes an RSA SubjectPublicKeyInfo of 2048 bits alone as the recipient's key")
  func publicKeys() throws {
    let large = try _RSA.Encryption.PrivateKey(keySize: .bits3072)
    let bad: [[UInt8]?] = [
      nil, Array(key.key.publicKey.pkcs1DERRepresentation), Array(large.publicKey.derRepresentation),
      Array(P256.Signing.PrivateKey().publicKey.derRepresentation), key.spki + [0], Array(key.spki.dropLast()), [0x30],
    ]
    for spki in bad {
      let recipient = [
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        "AttestationDocument": Data(try enclave.document(publicKey: spki)).base64EncodedString(),
      ]
      let reply = try generate(recipient)
      #expect(reply.errorName == "ValidationException")
      #expect(reply.message.hasPrefix("Invalid public key"))
    }
  }

  @Test("lets the publisher wrap a model key that the enclave alone opens")
  func modelKey() throws {
    let context = ["ephemeralml:use": "model", "ephemeralml:manifest": "ab"]
    let made = try laboratory.call(
      "GenerateDataKey", ["KeyId": laboratory.modelKey.arn, "NumberOfBytes": 32, "EncryptionContext": context],
      as: "publisher")
    let plain = try #require(made.bytes("Plaintext"))
    let blob = try #require(made.bytes("CiphertextBlob"))
    let refused = try laboratory.call(
      "Decrypt", ["CiphertextBlob": Data(blob).base64EncodedString(), "EncryptionContext": context], as: "publisher")
    #expect(refused.errorName == "AccessDeniedException")
    let opened = try decrypt(blob, context: context)
    #expect(try openEnvelope(#require(opened.bytes("CiphertextForRecipient"))) == plain)

    let encrypt: [String: Any] = [
      "KeyId": laboratory.modelKey.arn, "Plaintext": Data(plain).base64EncodedString(), "EncryptionContext": context,
    ]
    let encrypted = try laboratory.call("Encrypt", encrypt, as: "publisher")
    let again = try decrypt(#require(encrypted.bytes("CiphertextBlob")), context: context)
    #expect(try openEnvelope(#require(again.bytes("CiphertextForRecipient"))) == plain)
    var epoch = encrypt
    epoch["KeyId"] = laboratory.epochKey.arn
    for profile in DevelopmentState.profiles {
      #expect(try laboratory.call("Encrypt", epoch, as: profile).errorName == "AccessDeniedException")
    }
  }

  @Test("checks signatures before anything else")
  func signatures() throws {
    let members: [String: Any] = ["KeyId": laboratory.epochKey.arn]
    func name(_ reply: Laboratory.Reply) -> String { reply.errorName }
    #expect(try name(laboratory.call("DescribeKey", members, as: "owner")) == "ok")
    #expect(
      try name(laboratory.call("DescribeKey", members, as: "owner", secret: "wrong")) == "InvalidSignatureException")
    let (status, body) = try laboratory.service.respond(
      to: KeyService.Call(
        method: "POST", target: "/", headers: [("host", "x"), ("x-amz-target", "TrentService.DescribeKey")],
        body: Array("{}".utf8), now: Laboratory.now))
    #expect(status == 400)
    #expect(String(decoding: body, as: UTF8.self).contains("MissingAuthenticationTokenException"))
    #expect(try name(laboratory.call("Nothing", members, as: "owner")) == "UnknownOperationException")
  }

  @Test("refuses requests that are out of form")
  func form() throws {
    let arn = laboratory.modelKey.arn
    let cases: [(String, [String: Any], String)] = [
      ("GenerateDataKey", ["KeyId": arn], "ValidationException"),
      ("GenerateDataKey", ["KeyId": arn, "NumberOfBytes": 1025], "ValidationException"),
      ("GenerateDataKey", ["KeyId": arn, "NumberOfBytes": 0], "ValidationException"),
      ("GenerateDataKey", ["KeyId": arn, "NumberOfBytes": 32, "KeySpec": "AES_256"], "ValidationException"),
      ("GenerateDataKey", ["KeySpec": "AES_256"], "ValidationException"),
      ("GenerateDataKey", ["KeyId": 5], "SerializationException"),
      (
        "GenerateDataKey", ["KeyId": arn, "KeySpec": "AES_256", "EncryptionContext": ["a": 1]], "SerializationException"
      ),
      (
        "GenerateDataKey", ["KeyId": arn, "KeySpec": "AES_256", "EncryptionContext": ["a": "", "A": ""]],
        "ValidationException"
      ),
      ("GenerateDataKey", ["KeyId": arn, "KeySpec": "AES_256", "DryRun": true], "DryRunOperationException"),
      ("Encrypt", ["KeyId": arn], "ValidationException"),
      ("Encrypt", ["KeyId": arn, "Plaintext": "!"], "SerializationException"),
      ("Encrypt", ["KeyId": arn + "0", "Plaintext": "AA=="], "NotFoundException"),
      ("Decrypt", [:], "InvalidCiphertextException"),
    ]
    for (operation, members, name) in cases {
      #expect(try laboratory.call(operation, members, as: "publisher").errorName == name, "\(operation) \(members)")
    }
  }

  @Test("obeys an edited policy and key record from the next request on, and stops at one that it cannot read")
  func edits() throws {
    let recipient = try key.recipient(enclave)
    #expect(try generate(recipient).errorName == "ok")
    var record = try laboratory.epochKey.record()
    record.enabled = false
    let file = "keys/epoch-key/key.json"
    try laboratory.state.directory.write(file, Array(try JSONEncoder().encode(record)), access: .everyone)
    #expect(try generate(recipient).errorName == "DisabledException")
    try laboratory.state.directory.write("keys/epoch-key/policy.json", Array("{".utf8), access: .everyone)
    let reply = try generate(recipient)
    #expect(reply.errorName == "KMSInternalException")
    #expect(reply.status == 500)
  }

  /// Opens an envelope by its fixed tail rather than by an ASN.1 reader: the RSA block is the one OCTET STRING of 256
  /// bytes, the IV stands after the cipher's name, and the content follows in OCTET STRINGs.
  private func openEnvelope(_ envelope: [UInt8]) throws -> [UInt8] {
    let block = try #require(envelope.firstIndex(ofSequence: [0x04, 0x82, 0x01, 0x00])) + 4
    let aes: [UInt8] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2A, 0x04, 0x10]
    let iv = try #require(envelope.firstIndex(ofSequence: aes)) + aes.count
    var at = iv + 16
    #expect(envelope[at..<at + 2] == [0xA0, 0x80])
    at += 2
    var content: [UInt8] = []
    while envelope[at] == 0x04 {
      let count = Int(envelope[at + 1])
      content += envelope[(at + 2)..<(at + 2 + count)]
      at += 2 + count
    }
    let contentKey = try key.key.decrypt(Data(envelope[block..<block + 256]), padding: .PKCS1_OAEP_SHA256)
    return Array(
      try AES._CBC.decrypt(
        content, using: SymmetricKey(data: contentKey), iv: AES._CBC.IV(ivBytes: envelope[iv..<iv + 16])))
  }
}

extension [UInt8] {
  fileprivate func firstIndex(ofSequence other: [UInt8]) -> Int? {
    guard count >= other.count else { return nil }
    return (0...(count - other.count)).first { self[$0..<$0 + other.count].elementsEqual(other) }
  }

  fileprivate func contains(sequence other: [UInt8]) -> Bool { firstIndex(ofSequence: other) != nil }
}
