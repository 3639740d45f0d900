import Testing
import Wire

@testable import SealedCrypto

@Suite struct AgeEncodingTests {
  @Test func base64HasOneFormForEveryLength() throws {
    for count in 0...200 {
      let bytes = AgeFiles.pattern(count)
      let text = AgeBase64.encode(bytes)
      #expect(text.count == (count * 4 + 2) / 3)
      #expect(AgeBase64.decode(text) == bytes)
    }
    #expect(AgeBase64.encode(Array("fooba".utf8)) == Array("Zm9vYmE".utf8))
  }

  @Test(arguments: ["Z", "Zm9vY", "Zg==", "Zm8=", "Zh", "Zm9", "Zm 9", "Zm9v\n", "Zm-_", "Zm9vé"])
  func base64RefusesEveryOtherForm(text: String) { #expect(AgeBase64.decode(text.utf8) == nil) }

  /// BIP 173's valid strings.
  @Test(arguments: [
    "A12UEL5L", "a12uel5l",
    "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
    "?1ezyfcl", "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
  ])
  func bech32ReadsWhatBIP173Allows(text: String) throws {
    let (prefix, bytes) = try Bech32.decode(text)
    #expect(Bech32.encode(prefix: prefix.lowercased(), bytes) == Array(text.lowercased().utf8))
  }

  @Test(arguments: [
    "\u{20}1nwldj5", "\u{7F}1axkwrx", "é1eym55h", "pzry9x0s0muk", "1pzry9x0s0muk", "x1b4n0q5v", "li1dgmt3",
    "A1G7SGD8", "10a06t8", "1qzzfhee", "a12UEL5L", "", "1", "a12uel5m",
    // BIP 173 allows these groups, but they are no whole bytes with zero leftovers.
    "11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqc8247j" + "q",
    "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw1",
  ])
  func bech32RefusesTheRest(text: String) { #expect(throws: AgeError.self) { try Bech32.decode(text) } }

  @Test func bech32SeesEveryChangedCharacter() throws {
    let text = Array(String(decoding: try HybridIdentity.generate().secretText(), as: UTF8.self).utf8)
    for index in text.indices {
      var altered = text
      altered[index] = altered[index] == UInt8(ascii: "Q") ? UInt8(ascii: "P") : UInt8(ascii: "Q")
      #expect(throws: AgeError.self) { try HybridIdentity(String(decoding: altered, as: UTF8.self)) }
    }
  }

  /// The identity that age.md prints; the digest is of the recipient that it prints below.
  @Test func theIdentityOfTheSpecificationIsRead() throws {
    let text = "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR"
    let identity = try HybridIdentity(text)
    #expect(identity.secretText() == Array(text.utf8))
    #expect(identity.recipient.text.count == 1959)
    #expect(identity.recipient.text.hasPrefix("age1pq1x34nzsvr0rxjsgdn8zgyhfe8j7ceq5r9rdelkjuh3y235jzxshfg87pzf5zrq"))
    #expect(identity.recipient.text.hasSuffix("9pyyzk3tlhl53k2ykx3qheyty7saeq0d3fzv49zc0k"))
  }

  @Test func keysOfOtherKindsAndCasesAreRefused() throws {
    let identity = try HybridIdentity.generate()
    let secret = String(decoding: identity.secretText(), as: UTF8.self)
    let recipient = identity.recipient.text
    for text in [
      secret.lowercased(), recipient, "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0",
    ] {
      #expect(throws: AgeError.self) { try HybridIdentity(text) }
    }
    for text in [recipient.uppercased(), secret, "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"] {
      #expect(throws: AgeError.self) { try HybridRecipient(text) }
    }
    #expect(throws: AgeError.self) { try HybridIdentity(seed: .random(count: 31)) }
  }

  @Test func aPublicKeyThatNoSenderCouldUseIsRefused() throws {
    let good = try HybridIdentity.generate().recipient.publicKey
    #expect(throws: AgeError.self) { try HybridRecipient(publicKey: Array(good.dropLast())) }
    // An ML-KEM coefficient above the modulus, and an X25519 share of low order.
    #expect(throws: AgeError.self) { try HybridRecipient(publicKey: [0xFF, 0xFF] + good.dropFirst(2)) }
    #expect(throws: AgeError.self) {
      try HybridRecipient(publicKey: good.prefix(1184) + [UInt8](repeating: 0, count: 32))
    }
  }

  @Test func bodiesWrapAt64ColumnsAndEndInAShorterLine() throws {
    for count in [0, 1, 47, 48, 49, 96, 97] {
      let text = try AgeStanza(type: "t", arguments: ["a"], body: AgeFiles.pattern(count)).encoded()
      let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropFirst().dropLast()
      #expect(lines.dropLast().allSatisfy { $0.count == 64 })
      #expect(lines.last.map { $0.count < 64 } == true)
    }
    #expect(throws: AgeError.self) { try AgeStanza(type: "t", arguments: ["a b"], body: []).encoded() }
    #expect(throws: AgeError.self) { try AgeStanza(type: "", arguments: [], body: []).encoded() }
  }

  @Test func padmeRoundsUpByLessThanTwelvePerCentAndLeaksFewSizes() throws {
    // Values from the paper's definition: exponent 6 keeps 3 bits of mantissa, exponent 20 keeps 5.
    let expected: [(UInt64, UInt64)] = [
      (0, 0), (1, 1), (2, 2), (7, 7), (8, 8), (9, 10), (100, 104), (1000, 1024), (1 << 20, 1 << 20),
      ((1 << 20) + 1, (1 << 20) + (1 << 15)), (1 << 63, 1 << 63),
    ]
    for (size, padded) in expected { #expect(try Padme.paddedSize(size) == padded, "\(size)") }
    var previous: UInt64 = 0
    for size in stride(from: UInt64(8), to: 2_000_000, by: 37) {
      let padded = try Padme.paddedSize(size)
      #expect(padded >= size && padded >= previous && (padded - size) * 100 < size * 12)
      #expect(try Padme.paddedSize(padded) == padded)
      previous = padded
    }
    #expect(throws: WireError.self) { try Padme.paddedSize(.max) }
    #expect(throws: WireError.self) { try Padme.paddedSize(.max - (1 << 56)) }
  }
}
