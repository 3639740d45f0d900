import Crypto
import FoundationEssentials

/// The stanza `mlkem768x25519` of age.md: HPKE base mode with X-Wing (KEM 0x647a), HKDF-SHA-256, ChaCha20-Poly1305.
enum HybridStanza {
  static let type = "mlkem768x25519"
  /// HPKE's `info`, which separates this use of a key from any other.
  static let info = Data("age-encryption.org/mlkem768x25519".utf8)
  static let ciphersuite = HPKE.Ciphersuite(kem: .XWingMLKEM768X25519, kdf: .HKDF_SHA256, aead: .chaChaPoly)
  static let encapsulatedKeyBytes = 1120
}

/// A post-quantum recipient, `age1pq1…`: an X-Wing public key. Results and bundles are sealed to these alone.
package struct HybridRecipient: AgeRecipient, Hashable, Sendable {
  /// Bytes of ``publicKey``: an ML-KEM-768 encapsulation key (1184), then an X25519 key (32).
  package static let publicKeyBytes = 1216
  private static let prefix = "age1pq"

  /// The raw public key, ``publicKeyBytes`` long.
  package let publicKey: [UInt8]

  /// Checks that `publicKey` is one to which a key can be encapsulated (its ML-KEM part is canonical, its X25519 part
  /// is not of low order), so that sealing to it later cannot fail half way.
  ///
  /// - Throws: ``AgeError`` of kind `key`.
  package init(publicKey: [UInt8]) throws {
    guard publicKey.count == Self.publicKeyBytes else {
      throw AgeError(.key, "\(publicKey.count) bytes instead of \(Self.publicKeyBytes)", at: "hybrid recipient")
    }
    do {
      _ = try XWingMLKEM768X25519.PublicKey(rawRepresentation: publicKey).encapsulate()
    } catch {
      throw AgeError(.key, "not a usable X-Wing public key", at: "hybrid recipient")
    }
    self.publicKey = publicKey
  }

  /// Reads `age1pq1…`, lower case as age writes it.
  ///
  /// - Throws: ``AgeError`` of kind `key`.
  package init(_ text: String) throws {
    let (prefix, bytes) = try Bech32.decode(text)
    guard prefix == Self.prefix else { throw AgeError(.key, "does not begin with age1pq1", at: "hybrid recipient") }
    try self.init(publicKey: bytes)
  }

  /// `age1pq1…`, 1,959 characters.
  package var text: String { String(decoding: Bech32.encode(prefix: Self.prefix, publicKey), as: UTF8.self) }

  package func wrap(_ fileKey: SecretBytes) throws -> AgeStanza {
    do {
      let key = try XWingMLKEM768X25519.PublicKey(rawRepresentation: publicKey)
      var sender = try HPKE.Sender(recipientKey: key, ciphersuite: HybridStanza.ciphersuite, info: HybridStanza.info)
      let body = try fileKey.withUnsafeBytes { try sender.seal($0) }
      let encapsulated = AgeBase64.encode(sender.encapsulatedKey)
      return AgeStanza(
        type: HybridStanza.type, arguments: [String(decoding: encapsulated, as: UTF8.self)], body: Array(body))
    } catch is CryptoKitError {
      throw AgeError(.key, "not a usable X-Wing public key", at: "hybrid recipient")
    }
  }
}

extension HybridRecipient: CustomStringConvertible {
  /// The head of ``text``: enough to tell recipients apart in a message.
  package var description: String { "\(text.prefix(24))…" }
}
