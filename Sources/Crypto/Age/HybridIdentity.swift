import Crypto
import FoundationEssentials

/// A post-quantum identity, `AGE-SECRET-KEY-PQ-1…`: the 32-byte seed of an X-Wing key pair, in guarded memory.
///
/// The expanded private key is swift-crypto's, is made for each opening (about 0.1 ms) and lives for that call; so does
/// the copy of the seed that the call takes.
package struct HybridIdentity: AgeIdentity, Sendable {
  /// Bytes of ``seed``.
  package static let seedBytes = 32
  private static let prefix = "AGE-SECRET-KEY-PQ-"

  /// The X-Wing seed (draft-connolly-cfrg-xwing-kem §5.2).
  package let seed: SecretBytes
  /// The public half.
  package let recipient: HybridRecipient

  /// - Throws: ``AgeError`` of kind `key` unless `seed` has 32 bytes.
  package init(seed: SecretBytes) throws {
    guard seed.count == Self.seedBytes else {
      throw AgeError(.key, "a seed of \(seed.count) bytes instead of \(Self.seedBytes)", at: "hybrid identity")
    }
    self.seed = seed
    recipient = try HybridRecipient(publicKey: Array(Self.privateKey(seed).publicKey.rawRepresentation))
  }

  /// A fresh identity.
  package static func generate() throws -> HybridIdentity { try HybridIdentity(seed: .random(count: seedBytes)) }

  /// Reads `AGE-SECRET-KEY-PQ-1…`, upper case as age writes it.
  ///
  /// - Throws: ``AgeError`` of kind `key`, which quotes nothing of the text.
  package init(_ text: String) throws {
    var (prefix, bytes) = try Bech32.decode(text)
    defer { SecretBytes.wipe(&bytes) }
    guard prefix == Self.prefix else {
      throw AgeError(.key, "does not begin with \(Self.prefix)1", at: "hybrid identity")
    }
    guard bytes.count == Self.seedBytes else { throw AgeError(.key, "wrong length", at: "hybrid identity") }
    try self.init(seed: SecretBytes(copying: &bytes))
  }

  /// `AGE-SECRET-KEY-PQ-1…` as ASCII, for the identity file and nothing else; wipe it once written
  /// (``SecretBytes/wipe(_:)``).
  package func secretText() -> [UInt8] {
    var bytes = seed.withUnsafeBytes { Array($0) }
    defer { SecretBytes.wipe(&bytes) }
    var text = Bech32.encode(prefix: Self.prefix.lowercased(), bytes)
    for index in text.indices where 0x61...0x7A ~= text[index] { text[index] -= 0x20 }
    return text
  }

  package func unwrap(_ stanzas: [AgeStanza]) throws -> AgeUnwrapping {
    var candidates: [(encapsulatedKey: Data, body: [UInt8], place: String)] = []
    for (index, stanza) in stanzas.enumerated() where stanza.type == HybridStanza.type {
      let place = "stanza \(index + 1) (\(HybridStanza.type))"
      candidates.append((try Self.encapsulatedKey(stanza, place), stanza.body, place))
    }
    guard !candidates.isEmpty else { return .notForMe("no stanza of type \(HybridStanza.type)") }
    let key = try Self.privateKey(seed)
    for candidate in candidates {
      if let fileKey = try Self.open(candidate.body, key, candidate.encapsulatedKey, candidate.place) {
        return .fileKey(fileKey)
      }
    }
    return .notForMe("none of \(candidates.count) \(HybridStanza.type) stanzas opens under this identity")
  }

  /// The checks that age.md demands before a decryption; the body's length among them against partitioning oracles.
  private static func encapsulatedKey(_ stanza: AgeStanza, _ place: String) throws -> Data {
    guard let argument = stanza.arguments.first, stanza.arguments.count == 1 else {
      throw AgeError(.header, "\(stanza.arguments.count) arguments after the type instead of 1", at: place)
    }
    guard let key = AgeBase64.decode(argument.utf8) else {
      throw AgeError(.header, "the encapsulated key is not canonical base64", at: place)
    }
    guard key.count == HybridStanza.encapsulatedKeyBytes else {
      throw AgeError(.header, "an encapsulated key of \(key.count) bytes", at: place)
    }
    guard stanza.body.count == AgeFormat.wrappedFileKeyBytes else {
      throw AgeError(.header, "a body of \(stanza.body.count) bytes instead of 32", at: place)
    }
    return Data(key)
  }

  /// The file key, or nil where the body does not authenticate: the stanza is another recipient's.
  ///
  /// X-Wing's decapsulation fails only for an X25519 share of low order, which no honest sender makes.
  private static func open(
    _ body: [UInt8], _ key: XWingMLKEM768X25519.PrivateKey, _ encapsulatedKey: Data, _ place: String
  ) throws -> SecretBytes? {
    var recipient: HPKE.Recipient
    do {
      recipient = try HPKE.Recipient(
        privateKey: key, ciphersuite: HybridStanza.ciphersuite, info: HybridStanza.info,
        encapsulatedKey: encapsulatedKey)
    } catch {
      throw AgeError(.header, "the encapsulated key has an X25519 share of low order", at: place)
    }
    guard var opened = try? recipient.open(body) else { return nil }
    defer { opened.resetBytes(in: 0..<opened.count) }
    return try SecretBytes(copying: opened)
  }

  private static func privateKey(_ seed: SecretBytes) throws -> XWingMLKEM768X25519.PrivateKey {
    do {
      return try seed.withUnsafeBytes {
        try XWingMLKEM768X25519.PrivateKey(seedRepresentation: Data($0), publicKey: nil)
      }
    } catch {
      throw AgeError(.key, "not an X-Wing seed", at: "hybrid identity")
    }
  }
}
