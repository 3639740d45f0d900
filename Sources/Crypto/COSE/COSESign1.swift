import Wire

/// A COSE_Sign1 message (RFC 9052 §4.2), taken apart but not verified.
package struct COSESign1: Sendable {
  /// Whether tag 18 must stand before the array. Ours always carry it; real attestation documents do not.
  package enum Tagging: Sendable {
    case required
    case optional
  }

  /// The protected header's bytes as received: they are signed, never re-encoded.
  package let protected: [UInt8]
  /// The unprotected header.
  package let unprotected: [CBOR.Pair]
  /// The payload's bytes as received.
  package let payload: [UInt8]
  /// The signature's bytes: 64 for Ed25519, 96 for ES384.
  package let signature: [UInt8]

  package init(protected: [UInt8], unprotected: [CBOR.Pair], payload: [UInt8], signature: [UInt8]) {
    self.protected = protected
    self.unprotected = unprotected
    self.payload = payload
    self.signature = signature
  }

  /// - Throws: ``WireError`` with the reason and the place.
  package init(_ bytes: [UInt8], tagging: Tagging, mode: CBORDecoder.Mode) throws {
    var item = try CBORDecoder.decode(bytes, mode: mode)
    if case .tagged(18, let inner) = item {
      item = inner
    } else if tagging == .required {
      throw WireError.malformed("COSE_Sign1: tag 18 is missing")
    }
    guard case .array(let parts) = item, parts.count == 4,
      case .bytes(let protected) = parts[0], case .map(let unprotected) = parts[1],
      case .bytes(let payload) = parts[2], case .bytes(let signature) = parts[3]
    else { throw WireError.malformed("COSE_Sign1: not an array of header, header, payload and signature") }
    self.init(protected: protected, unprotected: unprotected, payload: payload, signature: signature)
  }

  /// The tagged encoding.
  package func encoded() -> [UInt8] {
    CBOR.tagged(18, .array([.bytes(protected), .map(unprotected), .bytes(payload), .bytes(signature)])).encoded()
  }

  /// The bytes that are signed: Sig_structure with the context "Signature1" (RFC 9052 §4.4).
  package static func signedBytes(protected: [UInt8], externalAAD: [UInt8], payload: [UInt8]) -> [UInt8] {
    CBOR.array([.text("Signature1"), .bytes(protected), .bytes(externalAAD), .bytes(payload)]).encoded()
  }

  /// The bytes that this message's signature covers.
  package func signedBytes(externalAAD: [UInt8]) -> [UInt8] {
    Self.signedBytes(protected: protected, externalAAD: externalAAD, payload: payload)
  }
}
