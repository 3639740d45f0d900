import Crypto
import FoundationEssentials

/// `x-amz-checksum-sha256` as S3 keeps it beside an object, and what it says of bytes that come back.
///
/// Of an object written at once it is the digest of its bytes; of a multipart upload it is the digest of its parts'
/// digests with the number of parts behind a hyphen, so it can be checked by whoever knows where the parts begin: this
/// store says so in ``partHeader``.
enum S3Checksum: Equatable {
  static let header = "x-amz-checksum-sha256"
  /// Named as AWS's own clients do: some servers keep no checksum otherwise.
  static let algorithmHeader = ("x-amz-sdk-checksum-algorithm", "SHA256")
  /// For an upload in parts.
  static let uploadHeaders = [("x-amz-checksum-algorithm", "SHA256"), ("x-amz-checksum-type", "COMPOSITE")]
  /// Asks for the checksum.
  static let modeHeader = ("x-amz-checksum-mode", "ENABLED")
  /// Metadata of objects that this store wrote in parts: how many bytes each has, but for the last.
  static let partHeader = "x-amz-meta-ephemeralml-part"
  /// S3's own most for a part.
  private static let partLimitBytes: UInt64 = 5 << 30

  case whole([UInt8])
  case composite([UInt8], partBytes: UInt64)

  /// What an answer's headers say; nil where they say nothing that can be checked.
  init?(_ headers: [String: String], bytes: UInt64) {
    guard let text = headers[Self.header], text.utf8.count <= 64 else { return nil }
    let fields = text.split(separator: "-", omittingEmptySubsequences: false)
    guard let digest = Data(base64Encoded: String(fields[0])).map(Array.init), digest.count == 32 else { return nil }
    let type = headers["x-amz-checksum-type"]
    let partBytes = headers[Self.partHeader].flatMap { UInt64($0) }
    if fields.count == 1, type == "FULL_OBJECT" || (type == nil && partBytes == nil) {
      self = .whole(digest)
      return
    }
    // Where a server leaves the number of parts out (moto does), the size says it as well.
    guard type != "FULL_OBJECT", let partBytes, (1...Self.partLimitBytes).contains(partBytes),
      fields.count == 1 || UInt64(fields[1]) == (bytes + partBytes - 1) / partBytes
    else { return nil }
    self = .composite(digest, partBytes: partBytes)
  }

  /// As it stands in headers.
  static func text(_ digest: [UInt8]) -> String { Data(digest).base64EncodedString() }

  /// As S3 gives it for an upload in parts.
  static func compositeText(_ parts: [[UInt8]]) -> String {
    text(Array(SHA256.hash(data: parts.joined().map { $0 }))) + "-\(parts.count)"
  }
}

/// Computes the checksum of an object that passes by, from its first byte to its last.
struct S3ChecksumMeter {
  private let expected: S3Checksum
  private var hash = SHA256()
  private var parts = SHA256()
  private var inPart: UInt64 = 0

  init(_ expected: S3Checksum) { self.expected = expected }

  mutating func update(_ bytes: [UInt8]) {
    guard case .composite(_, let partBytes) = expected else { return hash.update(data: bytes) }
    var rest = bytes[...]
    while !rest.isEmpty {
      if inPart == partBytes { endPart() }
      let piece = rest.prefix(Int(clamping: partBytes - inPart))
      hash.update(data: piece)
      inPart += UInt64(piece.count)
      rest = rest.dropFirst(piece.count)
    }
  }

  /// Whether the bytes that passed are the object's.
  mutating func isRight() -> Bool {
    switch expected {
    case .whole(let digest): return Array(hash.finalize()) == digest
    case .composite(let digest, _):
      if inPart > 0 { endPart() }
      return Array(parts.finalize()) == digest
    }
  }

  private mutating func endPart() {
    parts.update(data: Array(hash.finalize()))
    hash = SHA256()
    inPart = 0
  }
}
