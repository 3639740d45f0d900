import Testing
import Wire

@testable import SealedCrypto

@Suite struct AgeRoundTripTests {
  private let identity: HybridIdentity
  private let other: HybridIdentity

  init() throws {
    identity = try .generate()
    other = try .generate()
  }

  @Test(arguments: [0, 1, 15, 65535, 65536, 65537, 131_071, 131_072, 131_073, 300_000])
  func whatIsSealedOpens(size: Int) throws {
    let plaintext = AgeFiles.pattern(size)
    let file = try AgeFiles.seal(plaintext, to: [identity.recipient])
    #expect(try AgeFiles.open(file, [identity]) == plaintext)
    let header = try AgeHeader(startOf: file)
    #expect(UInt64(file.count - header.encoded.count) == AgeFormat.payloadBytes(plaintext: UInt64(size)))
  }

  @Test func thePiecesOfWritingAndReadingDoNotMatter() throws {
    let plaintext = AgeFiles.pattern(200_000)
    for piece in [1000, 65535, 65536, 65537, 131_072, 200_000] {
      let sink = MemorySink()
      let encryptor = try AgeEncryptor(recipients: [identity.recipient], to: sink)
      for start in stride(from: 0, to: plaintext.count, by: piece) {
        try encryptor.write(Array(plaintext[start..<min(plaintext.count, start + piece)]))
        try encryptor.write([])
      }
      try encryptor.finish()
      #expect(encryptor.sealedBytes == UInt64(sink.bytes.count))
      let source = AgeDribblingSource(sink.bytes, largestPiece: 5000)
      let decryptor = try AgeDecryptor(identities: [identity], from: source)
      var opened: [UInt8] = []
      while case let bytes = try decryptor.read(upTo: piece), !bytes.isEmpty { opened += bytes }
      #expect(opened == plaintext)
      #expect(source.wasReadToEnd)
      #expect(decryptor.openedBytes == UInt64(plaintext.count))
      #expect(try decryptor.read(upTo: 1).isEmpty)
    }
  }

  @Test func everyRecipientOpensAndNobodyElse() throws {
    let file = try AgeFiles.seal([1, 2, 3], to: [identity.recipient, other.recipient])
    #expect(try AgeFiles.open(file, [identity]) == [1, 2, 3])
    #expect(try AgeFiles.open(file, [other]) == [1, 2, 3])
    let stranger = try HybridIdentity.generate()
    #expect(try AgeFiles.refusal(of: file, [stranger]) == .noMatch)
    #expect(try AgeFiles.open(file, [stranger, other]) == [1, 2, 3])
    #expect(try AgeFiles.refusal(of: file, []) == .noMatch)
  }

  @Test func twoFilesOfOneTextShareNothingAfterTheVersionLine() throws {
    let first = try AgeFiles.seal([UInt8](repeating: 0, count: 64), to: [identity.recipient])
    let second = try AgeFiles.seal([UInt8](repeating: 0, count: 64), to: [identity.recipient])
    #expect(first.count == second.count)
    #expect(first.suffix(96) != second.suffix(96))
    #expect(try AgeHeader(startOf: first).stanzas != AgeHeader(startOf: second).stanzas)
  }

  @Test func theEncryptorRefusesMisuse() throws {
    #expect(throws: AgeError(.sealing, "no recipients")) { try AgeEncryptor(recipients: [], to: MemorySink()) }
    let many = [any AgeRecipient](repeating: identity.recipient, count: 21)
    #expect(throws: AgeError.self) { try AgeEncryptor(recipients: many, to: MemorySink()) }
    let encryptor = try AgeEncryptor(recipients: Array(many.dropLast()), to: MemorySink())
    try encryptor.finish()
    #expect(throws: AgeError.self) { try encryptor.write([1]) }
    #expect(throws: AgeError.self) { try encryptor.finish() }
  }

  @Test func anEncryptorWhoseSinkFailedStaysFailed() throws {
    let encryptor = try AgeEncryptor(recipients: [identity.recipient], to: MemorySink(limit: 70_000))
    #expect(throws: WireError.self) { try encryptor.write(AgeFiles.pattern(200_000)) }
    #expect(throws: AgeError.self) { try encryptor.write([1]) }
    #expect(throws: AgeError.self) { try encryptor.finish() }
  }

  @Test func theErrorOfASourceIsPassedOn() throws {
    struct Broken: Error {}
    final class BrokenSource: ByteSource {
      func read(upTo count: Int) throws -> [UInt8] { throw Broken() }
    }
    #expect(throws: Broken.self) { try AgeDecryptor(identities: [], from: BrokenSource()) }
  }
}
