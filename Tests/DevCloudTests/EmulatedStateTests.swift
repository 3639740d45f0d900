import Foundation
import Testing
import Wire

@testable import Attestation
@testable import DevCloud

/// A state of the emulated class takes documents that nobody signed, and no others; key policies hold as ever.
@Suite("An emulated state", .serialized)
struct EmulatedStateTests {
  private let key: RecipientKey
  private let registers = Laboratory.measurement

  init() throws { key = try RecipientKey() }

  /// The document that QEMU's security module would write.
  private func document(_ registers: ImageMeasurement, at now: Int64 = Laboratory.now) -> [UInt8] {
    let zeros = [UInt8](repeating: 0, count: 64)
    let pcrs = [registers.pcr0, registers.pcr1, registers.pcr2].enumerated().map { index, value in
      CBOR.Pair(.unsigned(UInt64(index)), .bytes(value))
    }
    let fields: [(String, CBOR)] = [
      ("module_id", .text("i-234-enc5678")), ("digest", .text("SHA384")),
      ("timestamp", .unsigned(UInt64(now / 1000 * 1000))), ("pcrs", .map(pcrs)), ("certificate", .bytes(zeros)),
      ("cabundle", .array([.bytes(zeros)])), ("public_key", .bytes(key.spki)), ("user_data", .null), ("nonce", .null),
    ]
    let payload = CBOR.map(fields.map { CBOR.Pair(.text($0.0), $0.1) }).encoded()
    return CBOR.array([.bytes([0xA1, 0x01, 0x20]), .map([]), .bytes(payload), .bytes(zeros)]).encoded()
  }

  private func generate(_ laboratory: Laboratory, _ document: [UInt8]) throws -> String {
    let recipient = [
      "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": Data(document).base64EncodedString(),
    ]
    return try laboratory.call(
      "GenerateDataKey",
      [
        "KeyId": laboratory.epochKey.arn, "KeySpec": "AES_256", "Recipient": recipient,
        "EncryptionContext": ["ephemeralml:use": "epoch", "ephemeralml:epoch": "1", "ephemeralml:policy-key": "00"],
      ], as: "host"
    ).errorName
  }

  @Test("releases a key to the allowed measurements of an unsigned document, and to no others")
  func measurements() throws {
    let laboratory = try Laboratory(.emulated)
    try laboratory.allow(registers)
    #expect(try generate(laboratory, document(registers)) == "ok")
    let other = ImageMeasurement(worker: Array(repeating: 2, count: 48), files: [])
    #expect(try generate(laboratory, document(other)) == "AccessDeniedException")
  }

  @Test("refuses an unsigned document that is old, altered, or in debug mode")
  func validity() throws {
    let laboratory = try Laboratory(.emulated)
    try laboratory.allow(registers)
    #expect(try generate(laboratory, document(registers, at: Laboratory.now - 6 * 60_000)) == "ValidationException")
    #expect(try generate(laboratory, document(registers) + [0]) == "ValidationException")
    #expect(try generate(laboratory, document(registers).dropLast() + [1]) == "ValidationException")
  }

  @Test("refuses the documents of a development hypervisor, and a development state refuses unsigned ones")
  func otherClass() throws {
    let emulated = try Laboratory(.emulated)
    try emulated.allow(registers)
    #expect(try generate(emulated, emulated.module().document(publicKey: key.spki)) == "ValidationException")
    let development = try Laboratory()
    try development.allow(registers)
    #expect(try generate(development, document(registers)) == "ValidationException")
    #expect(try generate(development, development.module().document(publicKey: key.spki)) == "ok")
  }

  @Test("says so at every command, and survives a restart")
  func notices() throws {
    let laboratory = try Laboratory(.emulated)
    let again = try DevelopmentState(at: laboratory.path)
    #expect(again.evidenceClass == .emulated)
    #expect(again.notices.last?.hasPrefix("EMULATED") == true)
    #expect(try Laboratory().state.notices == [developmentNotice])
    try laboratory.state.directory.write("evidence-class", Array("production\n".utf8), access: .everyone)
    #expect(throws: StateError.self) { try DevelopmentState(at: laboratory.path) }
  }
}
