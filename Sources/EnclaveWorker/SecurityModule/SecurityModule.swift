import SealedCrypto
import Wire

/// The Nitro Security Module: the enclave's only witness, its only clock, and a source of entropy.
///
/// An implementation moves bytes; what they mean is the same for all of them.
protocol SecurityModule: Sendable {
  /// One request, one response, both in the CBOR of the NSM API.
  ///
  /// - Throws: ``SecurityModuleError``.
  func exchange(_ request: [UInt8]) throws -> [UInt8]
}

/// Why the module gave no answer. Nothing is decided without it, so the caller's outward code is `retry`.
enum SecurityModuleError: Error, Equatable, CustomStringConvertible {
  /// The device or socket failed; the reason names neither request nor response.
  case unavailable(String)
  /// The module's own error, by its name in the NSM API.
  case refused(String)
  /// The response is not what the NSM API says.
  case malformed(String)

  var description: String {
    switch self {
    case .unavailable(let reason): "security module: \(reason)"
    case .refused(let name): "security module: refused with \(name)"
    case .malformed(let reason): "security module: \(reason)"
    }
  }
}

extension SecurityModule {
  /// An attestation document over what this program itself made. No caller passes the host's bytes as `userData` or
  /// `publicKey` (protocol §1): a worker that attests what it is handed is a signing oracle.
  func attest(userData: [UInt8]? = nil, publicKey: [UInt8]? = nil) throws -> [UInt8] {
    let request = SecurityModuleRequest.attestation(userData: userData, nonce: nil, publicKey: publicKey)
    guard case .attestation(let document) = try perform(request) else {
      throw SecurityModuleError.malformed("no document")
    }
    return document
  }

  /// 1 to 256 random bytes.
  func random() throws -> [UInt8] {
    guard case .random(let bytes) = try perform(.getRandom), !bytes.isEmpty else {
      throw SecurityModuleError.malformed("no random bytes")
    }
    return bytes
  }

  /// One register and whether it can still change.
  func describe(register: UInt64) throws -> (isLocked: Bool, value: [UInt8]) {
    guard case .describePCR(let isLocked, let value) = try perform(.describePCR(register)), value.count == 48 else {
      throw SecurityModuleError.malformed("no register")
    }
    return (isLocked, value)
  }

  /// Sets a register to SHA-384(old ‖ data) and returns its new value.
  func extend(register: UInt64, with data: [UInt8]) throws -> [UInt8] {
    guard case .extendPCR(let value) = try perform(.extendPCR(register, data: data)) else {
      throw SecurityModuleError.malformed("no register")
    }
    return value
  }

  /// Fixes a register for the rest of the boot; from then on it stands in every document.
  func lock(register: UInt64) throws {
    guard case .lockPCR = try perform(.lockPCR(register)) else { throw SecurityModuleError.malformed("no lock") }
  }

  /// The hypervisor's clock in milliseconds since 1970: the timestamp of a document made for this and thrown away.
  func milliseconds() throws -> UInt64 { try Self.timestamp(of: try attest()) }

  /// The `timestamp` of a document that this module has just made. The document comes over no untrusted path, so its
  /// signature is the reader's business, not the maker's.
  static func timestamp(of document: [UInt8]) throws -> UInt64 {
    do {
      let cose = try COSESign1(document, tagging: .optional, mode: .lenient)
      var fields = try CBORFields(try CBORDecoder.decode(cose.payload, mode: .lenient), in: "attestation document")
      let timestamp = try fields.unsigned("timestamp")
      guard timestamp > 0 else { throw WireError.malformed("attestation document: timestamp") }
      return timestamp
    } catch {
      throw SecurityModuleError.malformed("\(error)")
    }
  }

  private func perform(_ request: SecurityModuleRequest) throws -> SecurityModuleResponse {
    let bytes = try exchange(request.encoded())
    let response: SecurityModuleResponse
    do { response = try SecurityModuleResponse(bytes) } catch { throw SecurityModuleError.malformed("\(error)") }
    if case .error(let name) = response { throw SecurityModuleError.refused(name) }
    return response
  }
}
