import Crypto
import Testing
import Wire

@testable import SealedCrypto

/// An identity that knows the file key: the entrance for files whose recipients the product does not have.
struct AgeFileKeyIdentity: AgeIdentity {
  let fileKey: [UInt8]

  func unwrap(_ stanzas: [AgeStanza]) throws -> AgeUnwrapping { .fileKey(try SecretBytes(copying: fileKey)) }
}

/// age's X25519 identity, for the public vectors alone: the product neither makes nor opens such stanzas.
struct AgeX25519Identity: AgeIdentity {
  private let key: Curve25519.KeyAgreement.PrivateKey

  init(_ text: String) throws {
    let (prefix, bytes) = try Bech32.decode(text)
    guard prefix == "AGE-SECRET-KEY-" else { throw AgeError(.key, "not an X25519 identity") }
    key = try Curve25519.KeyAgreement.PrivateKey(rawRepresentation: bytes)
  }

  func unwrap(_ stanzas: [AgeStanza]) throws -> AgeUnwrapping {
    let own = stanzas.filter { $0.type == "X25519" }
    let shares = try own.map { stanza in
      guard stanza.arguments.count == 1, let share = AgeBase64.decode(stanza.arguments[0].utf8), share.count == 32,
        stanza.body.count == 32
      else { throw AgeError(.header, "malformed X25519 stanza") }
      return share
    }
    for (stanza, share) in zip(own, shares) {
      guard
        let secret = try? key.sharedSecretFromKeyAgreement(
          with: Curve25519.KeyAgreement.PublicKey(rawRepresentation: share)),
        !secret.withUnsafeBytes({ $0.allSatisfy { $0 == 0 } })
      else { throw AgeError(.header, "an X25519 share of low order") }
      let wrapKey = secret.hkdfDerivedSymmetricKey(
        using: SHA256.self, salt: share + Array(key.publicKey.rawRepresentation),
        sharedInfo: Array("age-encryption.org/v1/X25519".utf8), outputByteCount: 32)
      let box = try ChaChaPoly.SealedBox(combined: [UInt8](repeating: 0, count: 12) + stanza.body)
      if let fileKey = try? ChaChaPoly.open(box, using: wrapKey) {
        return .fileKey(try SecretBytes(copying: fileKey))
      }
    }
    return .notForMe("no X25519 stanza opens")
  }
}

/// A source that gives its bytes in pieces of pseudo-random size, as a network does.
final class AgeDribblingSource: ByteSource {
  private var rest: ArraySlice<UInt8>
  private var state: UInt64
  private let largestPiece: Int
  /// Whether the reader has seen the end.
  private(set) var wasReadToEnd = false

  init(_ bytes: [UInt8], largestPiece: Int, seed: UInt64 = 1) {
    rest = bytes[...]
    self.largestPiece = largestPiece
    state = seed
  }

  func read(upTo count: Int) -> [UInt8] {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    let piece = rest.prefix(min(count, 1 + Int(state >> 33) % largestPiece))
    rest = rest.dropFirst(piece.count)
    if piece.isEmpty { wasReadToEnd = true }
    return Array(piece)
  }
}

enum AgeFiles {
  /// Bytes that repeat nowhere near a chunk's length.
  static func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 9) } }

  /// Seals `plaintext` as the product does.
  static func seal(_ plaintext: [UInt8], to recipients: [any AgeRecipient]) throws -> [UInt8] {
    let sink = MemorySink(limit: 64 << 20)
    let encryptor = try AgeEncryptor(recipients: recipients, to: sink)
    try encryptor.write(plaintext)
    try encryptor.finish()
    return sink.bytes
  }

  /// Opens `file` whole.
  static func open(
    _ file: [UInt8], _ identities: [any AgeIdentity], role: ContainerRole? = nil
  ) throws -> [UInt8] {
    try AgeDecryptor(identities: identities, from: MemorySource(file), role: role)
      .readAll(limit: 64 << 20, "opened file")
  }

  /// The kind of the error that opening `file` ends in, or nil where it opens.
  static func refusal(
    of file: [UInt8], _ identities: [any AgeIdentity], role: ContainerRole? = nil
  ) throws -> AgeError.Kind? {
    do {
      _ = try open(file, identities, role: role)
      return nil
    } catch let error as AgeError {
      return error.kind
    }
  }
}
