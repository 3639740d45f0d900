import Crypto
import Wire

/// Makes attestation documents byte for byte in the form of real ones: untagged COSE_Sign1, ES384, empty unprotected
/// header, a payload map of indefinite length in the module's own order of keys, null for what is absent.
struct AttestationDocumentWriter {
  let moduleID: String
  /// Milliseconds since 1970, by the hypervisor's clock.
  let timestamp: UInt64
  let pcrs: [(index: Int, value: [UInt8])]
  let userData: [UInt8]?
  let nonce: [UInt8]?
  let publicKey: [UInt8]?

  /// `{1: -35}`: ES384.
  private static let protected: [UInt8] = [0xA1, 0x01, 0x38, 0x22]

  /// The signed document.
  func document(signedBy leaf: AttestationAuthority.Leaf) throws -> [UInt8] {
    let payload = self.payload(leaf)
    let signed = CBOR.array([.text("Signature1"), .bytes(Self.protected), .bytes([]), .bytes(payload)]).encoded()
    let signature = try leaf.key.signature(for: signed)
    return CBOR.array([
      .bytes(Self.protected), .map([]), .bytes(payload), .bytes(Array(signature.rawRepresentation)),
    ]).encoded()
  }

  private func payload(_ leaf: AttestationAuthority.Leaf) -> [UInt8] {
    func nullable(_ bytes: [UInt8]?) -> CBOR { bytes.map { .bytes($0) } ?? .null }
    let fields: [(String, CBOR)] = [
      ("module_id", .text(moduleID)),
      ("digest", .text("SHA384")),
      ("timestamp", .unsigned(timestamp)),
      ("pcrs", .map(pcrs.map { CBOR.Pair(.unsigned(UInt64($0.index)), .bytes($0.value)) })),
      ("certificate", .bytes(leaf.certificate)),
      ("cabundle", .array(leaf.bundle.map { .bytes($0) })),
      ("public_key", nullable(publicKey)),
      ("user_data", nullable(userData)),
      ("nonce", nullable(nonce)),
    ]
    // Major type 5 with indefinite length, and the break: the encoder of Wire makes definite maps only.
    return [0xBF] + fields.flatMap { CBOR.text($0.0).encoded() + $0.1.encoded() } + [0xFF]
  }
}
