import SealedCrypto
import Wire

/// The user's keys on disk. Each is made once and never written over; a key file is openable by its owner alone.
///
/// `identity.txt` is an age identity file: the stock `age` (1.3 or newer) opens results with it.
package struct KeyRing: Sendable {
  /// An Ed25519 key's purpose, which is its file's name.
  package enum SigningPurpose: String, Sendable, CaseIterable {
    /// Signs job manifests and cancels.
    case submitter
    /// Signs model manifests.
    case publisher

    var verb: String { self == .submitter ? "ephemeral keys generate" : "ephemeral keys generate --publisher" }
  }

  private let directory: String

  package init(directory: String) { self.directory = directory }

  /// The age identity file.
  package var identityPath: String { "\(directory)/identity.txt" }

  /// The file of a signing key.
  package func path(_ purpose: SigningPurpose) -> String { "\(directory)/\(purpose.rawValue).key" }

  /// Whether the file of a signing key is there.
  package func has(_ purpose: SigningPurpose) -> Bool { PrivateFiles.exists(path(purpose)) }

  /// Whether there is an identity.
  package var hasIdentity: Bool { PrivateFiles.exists(identityPath) }

  /// Makes an identity.
  ///
  /// - Throws: ``ClientError`` when there is one: replacing it would lock its owner out of every result so far.
  @discardableResult
  package func generateIdentity(createdAt: String) throws -> HybridIdentity {
    let identity = try HybridIdentity.generate()
    var text = Array("# created: \(createdAt)\n# public key: \(identity.recipient.text)\n".utf8)
    var secret = identity.secretText()
    text += secret + [UInt8(ascii: "\n")]
    defer {
      SecretBytes.wipe(&text)
      SecretBytes.wipe(&secret)
    }
    try PrivateFiles.makeDirectory(directory)
    try PrivateFiles.write(text, to: identityPath, replacing: false)
    return identity
  }

  /// Makes a signing key; an existing one is refused.
  @discardableResult
  package func generate(_ purpose: SigningPurpose) throws -> SigningKey {
    let key = try SigningKey.generate()
    try PrivateFiles.makeDirectory(directory)
    try Self.write(key, to: path(purpose))
    return key
  }

  /// Writes a signing key's seed as hexadecimal; the file must not be there.
  package static func write(_ key: SigningKey, to path: String) throws {
    // Digit by digit: text in a String could not be wiped.
    var text = [UInt8](repeating: UInt8(ascii: "\n"), count: 65)
    defer { SecretBytes.wipe(&text) }
    key.withSeed { seed in
      for (index, byte) in seed.enumerated() where index < 32 {
        text[2 * index] = Self.digits[Int(byte >> 4)]
        text[2 * index + 1] = Self.digits[Int(byte & 15)]
      }
    }
    try PrivateFiles.write(text, to: path, replacing: false)
  }

  /// Reads a signing key's file.
  ///
  /// - Throws: ``ClientError`` for a public key, which has the same form and would make a key that nobody knows.
  package static func read(_ path: String) throws -> SigningKey {
    guard !path.hasSuffix(".pub") else {
      throw ClientError(.usage, "\(path) is the public half", remedy: "name the private key's file")
    }
    var bytes = try PrivateFiles.read(path, limit: 4096)
    defer { SecretBytes.wipe(&bytes) }
    while let last = bytes.last, last == 0x0A || last == 0x0D || last == 0x20 { bytes.removeLast() }
    guard var seed = Self.seed(bytes) else {
      throw ClientError(.other, "\(path) is no key file: 64 hexadecimal digits are due", remedy: "name the right file")
    }
    return try SigningKey(seed: try SecretBytes(copying: &seed))
  }

  private static let digits = Array("0123456789abcdef".utf8)

  /// 32 bytes from 64 lower-case digits, without a String of them.
  private static func seed(_ text: [UInt8]) -> [UInt8]? {
    guard text.count == 64 else { return nil }
    var seed = [UInt8](repeating: 0, count: 32)
    for (index, digit) in text.enumerated() {
      guard let value = digits.firstIndex(of: digit) else {
        SecretBytes.wipe(&seed)
        return nil
      }
      seed[index / 2] = seed[index / 2] << 4 | UInt8(value)
    }
    return seed
  }

  /// A signing key.
  package func signingKey(_ purpose: SigningPurpose) throws -> SigningKey {
    guard has(purpose) else {
      throw ClientError(
        .notFound, "there is no \(purpose.rawValue) key in \(directory)", remedy: "run `\(purpose.verb)`")
    }
    return try Self.read(path(purpose))
  }

  /// Every identity of the identity file, the first one first.
  package func identities() throws -> [HybridIdentity] {
    guard hasIdentity else {
      throw ClientError(.notFound, "there is no identity in \(directory)", remedy: "run `ephemeral keys generate`")
    }
    var bytes = try PrivateFiles.read(identityPath, limit: 1 << 20)
    defer { SecretBytes.wipe(&bytes) }
    var identities: [HybridIdentity] = []
    for (index, line) in bytes.split(separator: 0x0A).enumerated() {
      let text = String(decoding: line, as: UTF8.self)
      if text.hasPrefix("#") || text.allSatisfy(\.isWhitespace) { continue }
      do {
        identities.append(try HybridIdentity(text))
      } catch {
        throw ClientError(
          .other, "\(identityPath) line \(index + 1): not a post-quantum age identity (AGE-SECRET-KEY-PQ-1…)",
          remedy: "restore the file from your backup")
      }
    }
    guard !identities.isEmpty else {
      throw ClientError(.other, "\(identityPath) holds no identity", remedy: "restore the file from your backup")
    }
    return identities
  }

  /// What the user's results are sealed to.
  package func recipient() throws -> HybridRecipient {
    guard let first = try identities().first else {
      throw ClientError(.notFound, "no identity", remedy: "run `ephemeral keys generate`")
    }
    return first.recipient
  }
}
