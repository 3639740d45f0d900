import Testing
import Wire

@testable import SealedCrypto

/// What a host does to a file on its way.
@Suite struct AgeHostileFileTests {
  private let identity: HybridIdentity
  private let kmsIdentity: KMSStanzaIdentity
  private let kmsRecipient: KMSStanzaRecipient
  private static let arn = "arn:aws:kms:us-east-1:111122223333:key/mrk-0123"

  init() throws {
    identity = try .generate()
    let dataKey = try SecretBytes.random(count: 32)
    kmsRecipient = try KMSStanzaRecipient(keyARN: Self.arn, ciphertextBlob: [1, 2, 3, 4, 5], dataKey: dataKey)
    kmsIdentity = KMSStanzaIdentity(expectedKeyARN: Self.arn) { _ in dataKey }
  }

  @Test func everyFlippedByteOfABundleIsRefused() throws {
    let file = try AgeFiles.seal(AgeFiles.pattern(100), to: [identity.recipient])
    for offset in file.indices {
      var altered = file
      altered[offset] ^= 1 << UInt8(offset % 8)
      #expect(try AgeFiles.refusal(of: altered, [identity]) != nil, "offset \(offset)")
    }
  }

  @Test func everyFlippedBitOfASeedFileIsRefused() throws {
    let file = try AgeFiles.seal(AgeFiles.pattern(100), to: [kmsRecipient])
    for offset in file.indices {
      for bit in 0..<8 {
        var altered = file
        altered[offset] ^= 1 << UInt8(bit)
        #expect(try AgeFiles.refusal(of: altered, [kmsIdentity]) != nil, "offset \(offset), bit \(bit)")
      }
    }
  }

  @Test func everyTruncationOfASmallFileIsRefused() throws {
    let file = try AgeFiles.seal(AgeFiles.pattern(100), to: [kmsRecipient])
    for count in file.indices {
      #expect(try AgeFiles.refusal(of: Array(file[..<count]), [kmsIdentity]) != nil, "\(count) bytes")
    }
  }

  @Test(arguments: [196_608, 200_000])
  func truncationAtAndAroundEveryChunkBorderIsAPayloadFailure(size: Int) throws {
    let file = try AgeFiles.seal(AgeFiles.pattern(size), to: [identity.recipient])
    let payload = try AgeHeader(startOf: file).encoded.count + AgeFormat.nonceBytes
    for border in stride(from: payload, to: file.count, by: AgeFormat.chunkBytes + AgeFormat.tagBytes) {
      for count in [border, border + 1, border + 15, border + 16, border + 17] where count < file.count {
        #expect(try AgeFiles.refusal(of: Array(file[..<count]), [identity]) == .payload, "\(count - payload) bytes")
      }
    }
    #expect(try AgeFiles.refusal(of: file.dropLast(), [identity]) == .payload)
  }

  @Test(arguments: [100, 65536, 131_072, 200_000])
  func trailingBytesAreAPayloadFailure(size: Int) throws {
    let file = try AgeFiles.seal(AgeFiles.pattern(size), to: [identity.recipient])
    for trailer in [[0], [UInt8](repeating: 0, count: 16), file, Array(file.suffix(100))] {
      #expect(try AgeFiles.refusal(of: file + trailer, [identity]) == .payload)
    }
  }

  @Test func chunksSwappedRepeatedOrRemovedAreAPayloadFailure() throws {
    let file = try AgeFiles.seal(AgeFiles.pattern(200_000), to: [identity.recipient])
    let start = try AgeHeader(startOf: file).encoded.count + AgeFormat.nonceBytes
    let sealed = AgeFormat.chunkBytes + AgeFormat.tagBytes
    let head = Array(file[..<start])
    let chunks = stride(from: start, to: file.count, by: sealed).map { Array(file[$0..<min($0 + sealed, file.count)]) }
    try #require(chunks.count == 4)
    for order in [[1, 0, 2, 3], [0, 0, 1, 2, 3], [0, 2, 3], [1, 2, 3], [3], [0, 1, 2], [0, 1, 2, 3, 3], []] {
      #expect(try AgeFiles.refusal(of: head + order.flatMap { chunks[$0] }, [identity]) == .payload, "\(order)")
    }
    #expect(try AgeFiles.refusal(of: head + chunks.flatMap { $0 }, [identity]) == nil)
  }

  @Test func nothingOfAChunkComesOutBeforeItsTagVerified() throws {
    let plaintext = AgeFiles.pattern(150_000)
    var file = try AgeFiles.seal(plaintext, to: [identity.recipient])
    let start = try AgeHeader(startOf: file).encoded.count + AgeFormat.nonceBytes
    file[start + AgeFormat.chunkBytes + AgeFormat.tagBytes + AgeFormat.chunkBytes] ^= 1  // the second chunk's tag
    let decryptor = try AgeDecryptor(identities: [identity], from: MemorySource(file))
    var opened: [UInt8] = []
    #expect(throws: AgeError(.payload, "altered, or the file was extended after it", at: "chunk 2")) {
      while case let bytes = try decryptor.read(upTo: 1000), !bytes.isEmpty { opened += bytes }
    }
    #expect(opened == Array(plaintext[..<AgeFormat.chunkBytes]))
  }

  @Test func aHeaderWithoutAnEndCostsItsLimitAndNoMore() throws {
    final class EndlessSource: ByteSource {
      var given = 0
      func read(upTo count: Int) -> [UInt8] {
        defer { given += count }
        return given == 0 ? Array("age-encryption.org/v1\n-> x".utf8) : [UInt8](repeating: 0x61, count: count)
      }
    }
    let source = EndlessSource()
    #expect(throws: AgeError(.header, "over the limit of 65536 bytes", at: "stanza 1")) {
      try AgeDecryptor(identities: [], from: source)
    }
    #expect(source.given <= 4 * AgeFormat.headerBytes)
  }

  @Test func noGarbledHeaderDoesMoreThanBeRefused() throws {
    let files = try [
      AgeFiles.seal([], to: [identity.recipient]), AgeFiles.seal([], to: [kmsRecipient, kmsRecipient]),
    ]
    var state: UInt64 = 20_261_122
    func random(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    let fragments = ["\n", " ", "-> ", "---", "--- ", "=", "\r\n", "age-encryption.org/v2\n", "\0", "é"].map {
      Array($0.utf8)
    }
    for round in 0..<4000 {
      var file = files[round % files.count]
      for _ in 0...random(3) {
        let start = random(file.count)
        let end = min(file.count, start + random(80))
        switch random(3) {
        case 0: file.removeSubrange(start..<end)
        case 1: file.insert(contentsOf: file[start..<end], at: random(file.count))
        default: file.replaceSubrange(start..<end, with: fragments[random(fragments.count)])
        }
        if file.isEmpty { file = [0] }
      }
      guard !files.contains(file) else { continue }
      #expect(try AgeFiles.refusal(of: file, [identity, kmsIdentity]) != nil)
    }
  }

  @Test func kmsIsAskedOnlyForTheExpectedKeyAndAWellFormedStanza() throws {
    struct Asked: Error {}
    let vector = try #require(AgeVector.ownVectors.first { $0.name == "kms" })
    let strict = KMSStanzaIdentity(expectedKeyARN: Self.arn) { _ in throw Asked() }
    #expect(try AgeFiles.refusal(of: vector.file, [strict]) == .noMatch)
    let arn = try #require(vector.values("key arn").first)
    let asked = KMSStanzaIdentity(expectedKeyARN: arn) { _ in throw Asked() }
    #expect(throws: Asked.self, "a key service's error must pass unchanged") { try AgeFiles.open(vector.file, [asked]) }
    for vector in AgeVector.ownVectors
    where vector.expectation == "header failure" && vector.name != "kms_long_file_key" {
      #expect(try AgeFiles.refusal(of: vector.file, [asked]) == .header, "\(vector.name)")
    }
  }
}
