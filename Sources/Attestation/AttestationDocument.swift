import SealedCrypto
import Wire

/// A document whose form and bounds are right (facts: the AWS Nitro attestation process) and whose signature nobody has
/// checked. Internal: outside of this module there are only unverified bytes and verified attestations.
struct AttestationDocument: Sendable {
  /// By which algorithm the protected header says that the document is signed.
  enum Form: Sendable {
    /// ES384: AWS's, and devcloud's.
    case signed
    /// QEMU's -1, which is assigned to nothing: nobody signed.
    case unsigned
  }

  let form: Form
  /// The message as received; its signature covers the bytes as received.
  let cose: COSESign1
  let fields: DocumentFields
  let digest: String
  /// DER of the leaf certificate.
  let certificate: [UInt8]
  /// DER of the issuers, root first.
  let bundle: [[UInt8]]

  /// Year 9999, so that a time is always a date.
  private static let latestMs: UInt64 = 253_402_300_799_999

  init(_ bytes: [UInt8]) throws(AttestationRefusal) {
    guard bytes.count <= Limits.attestationBytes else {
      throw AttestationRefusal(.malformed, "document", "larger than \(Limits.attestationBytes) bytes")
    }
    cose = try AttestationRefusal.wrapping(.malformed, "document") {
      try COSESign1(bytes, tagging: .optional, mode: .lenient)
    }
    form = try Self.form(cose)
    let payload = cose.payload
    let item = try AttestationRefusal.wrapping(.malformed, "payload") {
      try CBORDecoder.decode(payload, mode: .lenient)
    }
    guard case .map(let pairs) = item else { throw AttestationRefusal(.malformed, "payload", "not a map") }
    let keys = pairs.map(\.key)
    // NitroTPM documents chain to the same root and say nothing of an enclave.
    guard !keys.contains(.text("nitrotpm_pcrs")) else {
      throw AttestationRefusal(.nitroTPM, "payload", "a NitroTPM document, which speaks of an instance, not an enclave")
    }
    var fields = try AttestationRefusal.wrapping(.malformed, "payload") { try CBORFields(item, in: "payload") }
    func read<Value>(_ name: String, _ body: (inout CBORFields) throws -> Value) throws(AttestationRefusal) -> Value {
      try AttestationRefusal.wrapping(.field, name) { try body(&fields) }
    }
    let moduleID = try read("module_id") { try $0.text("module_id", limit: 1024) }
    digest = try read("digest") { try $0.text("digest", limit: 16) }
    let timeMs = try read("timestamp") { try $0.unsigned("timestamp", limit: Self.latestMs) }
    guard timeMs > 0 else { throw AttestationRefusal(.timestamp, "timestamp", "is zero") }
    guard keys.contains(.text("pcrs")) else { throw AttestationRefusal(.missingPCR, "pcrs", "is missing") }
    let pcrs = try Self.registers(try read("pcrs") { try $0.item("pcrs") })
    certificate = try read("certificate") { try $0.bytes("certificate", limit: 1024) }
    bundle = try read("cabundle") { fields in
      try fields.array("cabundle", limit: Limits.certificates) { item in
        guard case .bytes(let der) = item, (1...1024).contains(der.count) else {
          throw WireError.malformed("a certificate is not a byte string of 1 to 1024 bytes")
        }
        return der
      }
    }
    self.fields = DocumentFields(
      moduleID: moduleID, timeMs: timeMs, pcrs: pcrs,
      publicKey: try read("public_key") { try $0.optionalBytes("public_key", limit: 1024) },
      userData: try read("user_data") { try $0.optionalBytes("user_data", limit: 512) },
      nonce: try read("nonce") { try $0.optionalBytes("nonce", limit: 512) })
    try AttestationRefusal.wrapping(.field, "payload") { try fields.finish() }
    guard !moduleID.isEmpty else { throw AttestationRefusal(.field, "module_id", "is empty") }
    guard !certificate.isEmpty else { throw AttestationRefusal(.field, "certificate", "is empty") }
    guard !bundle.isEmpty else { throw AttestationRefusal(.field, "cabundle", "is empty") }
  }

  /// Protected exactly {1: -35} (ES384) or QEMU's {1: -1}, unprotected empty.
  private static func form(_ cose: COSESign1) throws(AttestationRefusal) -> Form {
    let item = try AttestationRefusal.wrapping(.malformed, "protected header") {
      try CBORDecoder.decode(cose.protected, mode: .lenient)
    }
    let form: Form
    switch item {
    case .map([CBOR.Pair(.unsigned(1), .negative(34))]): form = .signed
    case .map([CBOR.Pair(.unsigned(1), .negative(0))]): form = .unsigned
    default: throw AttestationRefusal(.algorithm, "protected header", "not exactly {1: -35}, which is ES384")
    }
    guard cose.unprotected.isEmpty else {
      throw AttestationRefusal(.header, "unprotected header", "is not empty")
    }
    guard form == .unsigned || cose.signature.count == 96 else {
      throw AttestationRefusal(.signature, "signature", "\(cose.signature.count) bytes, an ES384 signature has 96")
    }
    return form
  }

  private static func registers(_ item: CBOR) throws(AttestationRefusal) -> [Int: [UInt8]] {
    guard case .map(let pairs) = item, (1...32).contains(pairs.count) else {
      throw AttestationRefusal(.field, "pcrs", "not a map of 1 to 32 entries")
    }
    var registers: [Int: [UInt8]] = [:]
    for pair in pairs {
      guard case .unsigned(let index) = pair.key, index < 32 else {
        throw AttestationRefusal(.field, "pcrs", "an index that is not 0 to 31")
      }
      guard case .bytes(let value) = pair.value, value.count == 48 else {
        throw AttestationRefusal(.field, "PCR\(index)", "not 48 bytes, as SHA-384 has")
      }
      registers[Int(index)] = value
    }
    return registers
  }
}

/// What a document says. It is proven only where it comes out of a ``VerifiedAttestation``.
package struct DocumentFields: Sendable {
  package let moduleID: String
  /// Milliseconds since 1970, by the hypervisor's clock.
  package let timeMs: UInt64
  /// Locked registers by index, 48 bytes each.
  package let pcrs: [Int: [UInt8]]
  /// RSA SPKI in documents for KMS.
  package let publicKey: [UInt8]?
  package let userData: [UInt8]?
  package let nonce: [UInt8]?
}
