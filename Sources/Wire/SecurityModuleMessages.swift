/// Requests to a Nitro Security Module: the CBOR that `/dev/nsm` takes, and that `devcloud` takes on its socket.
///
/// Source: the NSM API (aws-nitro-enclaves-nsm-api) and linux/drivers/misc/nsm.c, whose forms these are.
package enum SecurityModuleRequest: Equatable, Sendable {
  case attestation(userData: [UInt8]?, nonce: [UInt8]?, publicKey: [UInt8]?)
  case describeNSM
  case describePCR(UInt64)
  case extendPCR(UInt64, data: [UInt8])
  case lockPCR(UInt64)
  case lockPCRs(UInt64)
  case getRandom

  /// Largest request the driver takes.
  package static let requestBytes = 0x1000
  /// Size of the driver's response buffer.
  package static let responseBytes = 0x3000

  package func encoded() -> [UInt8] {
    func nullable(_ bytes: [UInt8]?) -> CBOR { bytes.map { .bytes($0) } ?? .null }
    let item: CBOR =
      switch self {
      case .attestation(let userData, let nonce, let publicKey):
        .object([
          (
            "Attestation",
            .object([
              ("user_data", nullable(userData)), ("nonce", nullable(nonce)), ("public_key", nullable(publicKey)),
            ])
          )
        ])
      case .describeNSM: .text("DescribeNSM")
      case .describePCR(let index): .object([("DescribePCR", .object([("index", .unsigned(index))]))])
      case .extendPCR(let index, let data):
        .object([("ExtendPCR", .object([("index", .unsigned(index)), ("data", .bytes(data))]))])
      case .lockPCR(let index): .object([("LockPCR", .object([("index", .unsigned(index))]))])
      case .lockPCRs(let range): .object([("LockPCRs", .object([("range", .unsigned(range))]))])
      case .getRandom: .text("GetRandom")
      }
    return item.encoded()
  }

  /// - Throws: ``WireError`` when `bytes` are no request.
  package init(_ bytes: [UInt8]) throws {
    guard bytes.count <= Self.requestBytes else { throw WireError.tooLarge("NSM request", limit: Self.requestBytes) }
    let (name, body) = try securityModuleParts(try CBORDecoder.decode(bytes, mode: .lenient), "NSM request")
    guard let body else {
      switch name {
      case "GetRandom": self = .getRandom
      case "DescribeNSM": self = .describeNSM
      default: throw WireError.malformed("NSM request: unknown")
      }
      return
    }
    var fields = try CBORFields(body, in: "NSM request")
    switch name {
    case "Attestation":
      self = .attestation(
        userData: try fields.optionalBytes("user_data", limit: 512),
        nonce: try fields.optionalBytes("nonce", limit: 512),
        publicKey: try fields.optionalBytes("public_key", limit: 1024))
    case "DescribePCR": self = .describePCR(try fields.unsigned("index", limit: 0xFFFF))
    case "ExtendPCR":
      self = .extendPCR(try fields.unsigned("index", limit: 0xFFFF), data: try fields.bytes("data", limit: 512))
    case "LockPCR": self = .lockPCR(try fields.unsigned("index", limit: 0xFFFF))
    case "LockPCRs": self = .lockPCRs(try fields.unsigned("range", limit: 0xFFFF))
    default: throw WireError.malformed("NSM request: unknown")
    }
    try fields.finish()
  }
}

/// The module's answers.
package enum SecurityModuleResponse: Equatable, Sendable {
  case attestation(document: [UInt8])
  case describePCR(lock: Bool, data: [UInt8])
  case extendPCR(data: [UInt8])
  case lockPCR
  case lockPCRs
  case random([UInt8])
  case describeNSM(moduleID: String, maxPCRs: UInt64, lockedPCRs: [UInt64], digest: String)
  /// An error by its name, such as `ReadOnlyIndex` or `InvalidArgument`.
  case error(String)

  package func encoded() -> [UInt8] {
    let item: CBOR =
      switch self {
      case .attestation(let document): .object([("Attestation", .object([("document", .bytes(document))]))])
      case .describePCR(let lock, let data):
        .object([("DescribePCR", .object([("lock", .bool(lock)), ("data", .bytes(data))]))])
      case .extendPCR(let data): .object([("ExtendPCR", .object([("data", .bytes(data))]))])
      case .lockPCR: .text("LockPCR")
      case .lockPCRs: .text("LockPCRs")
      case .random(let bytes): .object([("GetRandom", .object([("random", .bytes(bytes))]))])
      case .describeNSM(let moduleID, let maxPCRs, let locked, let digest):
        .object([
          (
            "DescribeNSM",
            .object([
              ("version_major", .unsigned(1)), ("version_minor", .unsigned(0)), ("version_patch", .unsigned(0)),
              ("module_id", .text(moduleID)), ("max_pcrs", .unsigned(maxPCRs)),
              ("locked_pcrs", .array(locked.map { .unsigned($0) })), ("digest", .text(digest)),
            ])
          )
        ])
      case .error(let name): .object([("Error", .text(name))])
      }
    return item.encoded()
  }

  /// - Throws: ``WireError`` when `bytes` are no response.
  package init(_ bytes: [UInt8]) throws {
    guard bytes.count <= SecurityModuleRequest.responseBytes + Limits.attestationBytes else {
      throw WireError.tooLarge("NSM response", limit: SecurityModuleRequest.responseBytes)
    }
    let (name, body) = try securityModuleParts(try CBORDecoder.decode(bytes, mode: .lenient), "NSM response")
    guard let body else {
      switch name {
      case "LockPCR": self = .lockPCR
      case "LockPCRs": self = .lockPCRs
      default: throw WireError.malformed("NSM response: unknown")
      }
      return
    }
    if name == "Error" {
      guard case .text(let reason) = body else { throw WireError.malformed("NSM response: an error without a name") }
      self = .error(String(reason.prefix(64)))
      return
    }
    // Modules may add keys, so what is left over is no error here: nothing of it is used.
    var fields = try CBORFields(body, in: "NSM response")
    switch name {
    case "Attestation": self = .attestation(document: try fields.bytes("document", limit: Limits.attestationBytes))
    case "DescribePCR":
      self = .describePCR(lock: try fields.bool("lock"), data: try fields.bytes("data", limit: 64))
    case "ExtendPCR": self = .extendPCR(data: try fields.bytes("data", limit: 64))
    case "GetRandom": self = .random(try fields.bytes("random", limit: 4096))
    case "DescribeNSM":
      self = .describeNSM(
        moduleID: try fields.text("module_id", limit: 256), maxPCRs: try fields.unsigned("max_pcrs"),
        lockedPCRs: try fields.array("locked_pcrs", limit: 64) { item in
          guard case .unsigned(let index) = item else { throw WireError.malformed("NSM response: locked_pcrs") }
          return index
        }, digest: try fields.text("digest", limit: 16))
    default: throw WireError.malformed("NSM response: unknown")
    }
  }
}

/// The name of a request or response, and its body: either a bare text, or a map of one pair.
private func securityModuleParts(_ item: CBOR, _ place: String) throws -> (String, CBOR?) {
  switch item {
  case .text(let name): return (name, nil)
  case .map(let pairs):
    guard pairs.count == 1, case .text(let name) = pairs[0].key else { break }
    return (name, pairs[0].value)
  default: break
  }
  throw WireError.malformed("\(place): neither a name nor a map of one name")
}
