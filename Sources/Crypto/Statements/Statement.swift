import Crypto
import Wire

/// The kinds of signed statement (protocol §1). The label separates their domains: it is the `external_aad` of the
/// signature, so a receipt's signature never verifies as a policy's.
package enum StatementKind: String, Sendable, CaseIterable {
  case policy, model, manifest, cancel, announcement, receipt, status, head

  /// The domain label.
  package var label: [UInt8] { Array("ephemeralml/v1/\(rawValue)".utf8) }

  /// Whether the signing key is trusted only through an attestation document in the unprotected header.
  package var isAttested: Bool { self == .announcement || self == .receipt || self == .status }
}

/// The payload of one kind of statement.
package protocol StatementClaims: Sendable {
  /// Which kind it is.
  static var kind: StatementKind { get }
  /// The payload: a map with text keys, without `v`.
  var fields: [(String, CBOR?)] { get }
  /// Reads the payload; `v` has been read, and what is left over is refused by the caller.
  init(reading fields: inout CBORFields) throws
}

/// The payload of a statement that the worker's boot key signs.
package protocol AttestedClaims: StatementClaims {
  /// The boot key, which the attestation document binds.
  var key: VerifyingKey { get }
}

/// Why a statement is not accepted.
package enum StatementError: Error, Equatable, CustomStringConvertible, Sendable {
  case badSignature(StatementKind)
  case wrongSigner(StatementKind)
  case header(StatementKind, String)
  case version(StatementKind, UInt64)

  package var description: String {
    switch self {
    case .badSignature(let kind): "\(kind.rawValue): the signature does not verify"
    case .wrongSigner(let kind): "\(kind.rawValue): signed by another key than the one required"
    case .header(let kind, let reason): "\(kind.rawValue): header: \(reason)"
    case .version(let kind, let version): "\(kind.rawValue): version \(version) is not known to this program"
    }
  }
}

/// Received bytes whose form is right and whose signature nobody has checked. It exposes no claim.
package struct UnverifiedStatement<Claims: StatementClaims>: Sendable {
  /// The COSE bytes as received.
  package let bytes: [UInt8]
  /// SHA-256 of the key that the header names. A hint for choosing the key, no proof.
  package let signerDigest: ContentDigest
  /// The attestation document of an attested kind.
  package let attestation: [UInt8]?
  private let cose: COSESign1

  /// Checks the form: tag, deterministic encoding, exactly the two protected headers, nothing unexpected beside them.
  package init(_ bytes: [UInt8]) throws {
    let kind = Claims.kind
    guard bytes.count <= Limits.smallObjectBytes else {
      throw WireError.tooLarge(kind.rawValue, limit: Limits.smallObjectBytes)
    }
    let cose = try COSESign1(bytes, tagging: .required, mode: .deterministic)
    guard case .map(let header) = try CBORDecoder.decode(cose.protected), header.count == 2,
      header[0] == CBOR.Pair(.unsigned(1), .negative(7)), header[1].key == .unsigned(4),
      case .bytes(let keyID) = header[1].value, keyID.count == 32
    else { throw StatementError.header(kind, "the protected header is not exactly {1: -8, 4: SHA-256(key)}") }
    if kind.isAttested {
      guard cose.unprotected.count == 1, cose.unprotected[0].key == .text("attestation"),
        case .bytes(let document) = cose.unprotected[0].value, document.count <= Limits.attestationBytes
      else { throw StatementError.header(kind, "the unprotected header is not exactly {\"attestation\": bytes}") }
      attestation = document
    } else {
      guard cose.unprotected.isEmpty else { throw StatementError.header(kind, "the unprotected header is not empty") }
      attestation = nil
    }
    self.bytes = bytes
    self.cose = cose
    signerDigest = try ContentDigest(keyID)
  }

  /// The claims, once the signature by `key` verifies.
  package func verified(by key: VerifyingKey) throws -> Signed<Claims> {
    guard signerDigest == key.digest else { throw StatementError.wrongSigner(Claims.kind) }
    guard key.verifies(cose.signature, of: cose.signedBytes(externalAAD: Claims.kind.label)) else {
      throw StatementError.badSignature(Claims.kind)
    }
    return Signed(claims: try Self.claims(cose.payload), bytes: bytes, payload: cose.payload, signer: key)
  }

  /// The claims, once the signature by one of `keys` verifies.
  package func verified(byOneOf keys: [VerifyingKey]) throws -> Signed<Claims> {
    guard let key = keys.first(where: { candidate in candidate.digest == signerDigest }) else {
      throw StatementError.wrongSigner(Claims.kind)
    }
    return try verified(by: key)
  }

  fileprivate static func claims(_ payload: [UInt8]) throws -> Claims {
    var fields = try CBORFields(try CBORDecoder.decode(payload), in: Claims.kind.rawValue)
    let version = try fields.unsigned("v")
    guard version == 1 else { throw StatementError.version(Claims.kind, version) }
    let claims = try Claims(reading: &fields)
    try fields.finish()
    return claims
  }
}

extension UnverifiedStatement where Claims: AttestedClaims {
  /// Checks the signature by the key that the payload itself names.
  ///
  /// That proves only that one key made the whole. Whether an enclave holds that key is what the attestation document
  /// says, and only `Attestation` turns the result into a proof.
  package func signedByItsOwnKey() throws -> Unattested<Claims> {
    let claims = try Self.claims(cose.payload)
    guard let attestation else { throw StatementError.header(Claims.kind, "no attestation document") }
    return Unattested(signed: try verified(by: claims.key), document: attestation)
  }
}

/// A statement whose signature verified under a key that the caller named.
package struct Signed<Claims: StatementClaims>: Sendable {
  /// What it says.
  package let claims: Claims
  /// The COSE bytes.
  package let bytes: [UInt8]
  /// The signed payload.
  package let payload: [UInt8]
  /// Who signed.
  package let signer: VerifyingKey
  /// SHA-256 of the COSE bytes: the statement's name.
  package var digest: ContentDigest { SHA256.digest(of: bytes) }

  fileprivate init(claims: Claims, bytes: [UInt8], payload: [UInt8], signer: VerifyingKey) {
    self.claims = claims
    self.bytes = bytes
    self.payload = payload
    self.signer = signer
  }

  /// Signs claims.
  ///
  /// - Parameter attest: for an attested kind, obtains the document whose `user_data` is the given 32 bytes.
  package static func sign(
    _ claims: Claims, with key: SigningKey, attest: (([UInt8]) throws -> [UInt8])? = nil
  ) throws -> Signed<Claims> {
    let kind = Claims.kind
    let payload = CBOR.object([("v", .unsigned(1))] + claims.fields).encoded()
    let signer = key.verifyingKey
    let protected = CBOR.map([
      CBOR.Pair(.unsigned(1), .negative(7)), CBOR.Pair(.unsigned(4), .bytes(signer.digest.bytes)),
    ]).encoded()
    var unprotected: [CBOR.Pair] = []
    if kind.isAttested {
      guard let attest else { throw StatementError.header(kind, "an attested kind needs a security module") }
      let document = try attest(statementBinding(kind, payload: payload))
      unprotected = [CBOR.Pair(.text("attestation"), .bytes(document))]
    }
    let message = COSESign1.signedBytes(protected: protected, externalAAD: kind.label, payload: payload)
    let cose = COSESign1(
      protected: protected, unprotected: unprotected, payload: payload, signature: try key.sign(message))
    return Signed(claims: claims, bytes: cose.encoded(), payload: payload, signer: signer)
  }
}

/// An attested kind of statement whose signature holds and whose document nobody has verified.
package struct Unattested<Claims: AttestedClaims>: Sendable {
  /// What the key that it names says.
  package let signed: Signed<Claims>
  /// The attestation document.
  package let document: [UInt8]
  /// The `user_data` that a genuine document carries.
  package var binding: [UInt8] { statementBinding(Claims.kind, payload: signed.payload) }
}

/// SHA-256(label ‖ 0x00 ‖ payload): what the attestation document of a statement carries as `user_data` (protocol §1).
package func statementBinding(_ kind: StatementKind, payload: [UInt8]) -> [UInt8] {
  SHA256.digest(of: kind.label + [0] + payload).bytes
}
