import Crypto
import FoundationEssentials
import SealedCrypto
import Wire

/// What KMS gives out instead of a plaintext: `"EMLK"`, version 1, the key's 16-byte UUID, a 12-byte nonce, then
/// AES-256-GCM ciphertext and tag under the key's backing material.
///
/// The additional data are the deterministic CBOR of `["devcloud/ciphertext/v1", key ARN, {context}]`, so a blob opens
/// only under its own key and with the very context that it was made with.
struct CiphertextBlob: Equatable {
  /// KMS's own limit on a CiphertextBlob.
  static let bytesMax = 6144

  private static let magic: [UInt8] = Array("EMLK".utf8) + [1]
  private static let label = "devcloud/ciphertext/v1"

  /// The id that stands in the blob; true only once ``open(with:arn:context:)`` succeeded.
  let keyID: UUID
  private let box: [UInt8]

  /// - Returns: nil for what was not made by ``seal(_:keyID:arn:material:context:)``.
  init?(_ bytes: [UInt8]) {
    let head = Self.magic.count + 16
    guard bytes.count <= Self.bytesMax, bytes.count > head + 12 + 16, bytes.starts(with: Self.magic),
      let keyID = Self.uuid(bytes[Self.magic.count..<head])
    else { return nil }
    self.keyID = keyID
    box = Array(bytes[head...])
  }

  /// Encrypts `plain`. The nonce is random: a development key sees far fewer than 2³² messages.
  static func seal(
    _ plain: UnsafeRawBufferPointer, keyID: UUID, arn: String, material: SecretBytes, context: [String: String]
  ) throws -> [UInt8] {
    let box = try AES.GCM.seal(
      plain, using: material.symmetricKey(), authenticating: additionalData(arn: arn, context: context))
    guard let combined = box.combined else { throw CryptoKitError.incorrectParameterSize }
    return magic + withUnsafeBytes(of: keyID.uuid) { Array($0) } + Array(combined)
  }

  /// - Returns: nil when the key, the context or the bytes are others.
  func open(arn: String, material: SecretBytes, context: [String: String]) throws -> SecretBytes? {
    guard let box = try? AES.GCM.SealedBox(combined: box),
      var plain = try? Array(
        AES.GCM.open(
          box, using: material.symmetricKey(), authenticating: Self.additionalData(arn: arn, context: context)))
    else { return nil }
    return try SecretBytes(copying: &plain)
  }

  private static func additionalData(arn: String, context: [String: String]) -> [UInt8] {
    CBOR.array([
      .text(label), .text(arn), .map(context.map { CBOR.Pair(.text($0.key), .text($0.value)) }),
    ]).encoded()
  }

  private static func uuid(_ bytes: ArraySlice<UInt8>) -> UUID? {
    let hex = Hex.encode(bytes)
    var text = ""
    for (index, digit) in hex.enumerated() {
      if [8, 12, 16, 20].contains(index) { text.append("-") }
      text.append(digit)
    }
    return UUID(uuidString: text)
  }
}
