import Crypto
import Wire

// `items.cbor` is a CBOR sequence (RFC 8742): one `ItemsHead`, one `ItemRecord` for each item in input order, one
// `ItemsTrailer`. It is sealed like the results; with it the recipient recomputes the receipt's Merkle root, and can
// disclose one item without opening its siblings to guessing.

/// How one item ended.
package enum ItemStatus: UInt64, Sendable {
  case ok = 0
  case failed = 1
}

/// The first element: the job's salt and a copy of its manifest.
package struct ItemsHead: Sendable, Equatable {
  /// The manifest's salt, 32 bytes.
  package let salt: [UInt8]
  /// The manifest's COSE bytes.
  package let manifest: [UInt8]

  package init(salt: [UInt8], manifest: [UInt8]) {
    self.salt = salt
    self.manifest = manifest
  }

  package func encoded() -> [UInt8] {
    CBOR.object([("v", .unsigned(1)), ("salt", .bytes(salt)), ("manifest", .bytes(manifest))]).encoded()
  }

  /// - Throws: ``WireError`` when `item` is no head.
  package init(_ item: CBOR) throws {
    var fields = try CBORFields(item, in: "items head")
    guard try fields.unsigned("v") == 1 else { throw WireError.malformed("items head: unknown version") }
    salt = try fields.bytes("salt", count: 32)
    manifest = try fields.bytes("manifest")
    try fields.finish()
  }
}

/// One item: what its Merkle leaf binds, and what it cost.
package struct ItemRecord: Sendable, Equatable {
  /// Position in the input, from 0.
  package let index: UInt64
  package let status: ItemStatus
  /// SHA-256 of the input line without its newline.
  package let input: ContentDigest
  /// SHA-256 of the output or error line without its newline.
  package let output: ContentDigest
  /// Tokens that were computed.
  package let tokens: UInt64
  /// The input was longer than the model's maximum.
  package let truncated: Bool

  package init(
    index: UInt64, status: ItemStatus, input: ContentDigest, output: ContentDigest, tokens: UInt64, truncated: Bool
  ) {
    self.index = index
    self.status = status
    self.input = input
    self.output = output
    self.tokens = tokens
    self.truncated = truncated
  }

  package func encoded() -> [UInt8] {
    CBOR.object([
      ("index", .unsigned(index)), ("status", .unsigned(status.rawValue)), ("input", .bytes(input.bytes)),
      ("output", .bytes(output.bytes)), ("tokens", .unsigned(tokens)), ("truncated", .bool(truncated)),
    ]).encoded()
  }

  /// - Throws: ``WireError`` when `item` is no record.
  package init(_ item: CBOR) throws {
    var fields = try CBORFields(item, in: "item")
    index = try fields.unsigned("index", limit: UInt64(Limits.itemsPerJob))
    guard let status = ItemStatus(rawValue: try fields.unsigned("status")) else {
      throw WireError.malformed("item: unknown status")
    }
    self.status = status
    input = try fields.digest("input")
    output = try fields.digest("output")
    tokens = try fields.unsigned("tokens")
    truncated = try fields.bool("truncated")
    try fields.finish()
  }

  /// HMAC-SHA-256(manifest salt, u64 big-endian index): opening one item's leaf says nothing of its siblings'.
  package static func salt(manifestSalt: [UInt8], index: UInt64) -> [UInt8] {
    let message = (0..<8).map { UInt8(truncatingIfNeeded: index >> UInt64(56 - 8 * $0)) }
    return Array(HMAC<SHA256>.authenticationCode(for: message, using: SymmetricKey(data: manifestSalt)))
  }

  /// The Merkle leaf (protocol §6): deterministic CBOR [index, count, salt, SHA-256(input), SHA-256(output), status],
  /// where `count` is the number of items that the manifest declares.
  package func leaf(count: UInt64, manifestSalt: [UInt8]) -> [UInt8] {
    CBOR.array([
      .unsigned(index), .unsigned(count), .bytes(Self.salt(manifestSalt: manifestSalt, index: index)),
      .bytes(input.bytes), .bytes(output.bytes), .unsigned(status.rawValue),
    ]).encoded()
  }
}

/// The last element: totals, and why a job failed, which leaves the enclave nowhere else.
package struct ItemsTrailer: Sendable, Equatable {
  package let items: UInt64
  package let failedItems: UInt64
  package let tokens: UInt64
  /// What was wrong with the job as a whole, and what to do; nil when nothing was. At most ``faultBytes``.
  package let fault: String?

  /// The longest fault that a writer keeps, in bytes of UTF-8.
  package static let faultBytes = 2000
  /// What a trailer is counted as when the file is padded: any trailer with its fault and its numbers fits.
  package static let roomBytes: UInt64 = 4096

  /// - Parameter fault: cut to ``faultBytes`` between two characters.
  package init(items: UInt64, failedItems: UInt64, tokens: UInt64, fault: String?) {
    self.items = items
    self.failedItems = failedItems
    self.tokens = tokens
    self.fault = fault.map { Self.cut($0) }
  }

  package func encoded(padding: Int? = nil) -> [UInt8] {
    CBOR.object([
      ("end", .bool(true)), ("items", .unsigned(items)), ("failed_items", .unsigned(failedItems)),
      ("tokens", .unsigned(tokens)), ("fault", fault.map { .text($0) }),
      ("pad", padding.map { .bytes([UInt8](repeating: 0, count: $0)) }),
    ]).encoded()
  }

  /// The trailer with the padding that brings the file to a Padmé size. That size is counted from a trailer of
  /// ``roomBytes``, so neither the presence nor the length of a fault, nor the width of a number, changes it.
  ///
  /// - Parameter size: bytes of the file before the trailer.
  /// - Throws: ``WireError`` where a size leaves its type.
  package func encoded(after size: UInt64) throws -> [UInt8] {
    let bare = UInt64(encoded().count)
    var total = try Padme.paddedSize(size + max(Self.roomBytes, bare + 16))
    while true {
      let room = total - size - bare
      // `pad` with its head; a byte string's head is 1, 2, 3 or 5 bytes, so a few lengths cannot be made.
      for head in [3, 5] as [UInt64] where room >= 4 + head {
        let trailer = encoded(padding: Int(room - 4 - head))
        if UInt64(trailer.count) == total - size { return trailer }
      }
      total = try Padme.paddedSize(total + 1)
    }
  }

  private static func cut(_ text: String) -> String {
    guard text.utf8.count > faultBytes else { return text }
    var end = text.startIndex
    while let next = text.unicodeScalars.index(end, offsetBy: 1, limitedBy: text.endIndex),
      text.utf8.distance(from: text.startIndex, to: next) <= faultBytes
    { end = next }
    return String(text.unicodeScalars[..<end])
  }

  /// - Throws: ``WireError`` when `item` is no trailer.
  package init(_ item: CBOR) throws {
    var fields = try CBORFields(item, in: "items trailer")
    guard try fields.bool("end") else { throw WireError.malformed("items trailer: end") }
    items = try fields.unsigned("items", limit: UInt64(Limits.itemsPerJob))
    failedItems = try fields.unsigned("failed_items", limit: items)
    tokens = try fields.unsigned("tokens")
    fault = try fields.optionalText("fault", limit: 8192)
    _ = try fields.optionalBytes("pad", limit: Self.padBytes)
    try fields.finish()
  }

  /// The longest padding that is read; that of ``Limits/itemsPerJob`` items is below it (a test holds that).
  package static let padBytes = 8 << 20

  /// Whether `item` is a trailer and not a record.
  package static func isTrailer(_ item: CBOR) -> Bool {
    guard case .map(let pairs) = item else { return false }
    return pairs.contains { $0.key == .text("end") }
  }
}

/// Reads `items.cbor` element by element with bounded memory.
package final class ItemsReader {
  private let source: ByteSource
  private var buffer: ArraySlice<UInt8> = []
  private var atEnd = false
  /// No element is larger: the head holds a manifest, the trailer the padding.
  private static let elementBytes = max(Limits.smallObjectBytes, ItemsTrailer.padBytes) + (16 << 10)

  /// Reads from the opened (decrypted) file.
  package init(_ source: ByteSource) { self.source = source }

  /// The next element; nil at the end of the sequence.
  package func next() throws -> CBOR? {
    while true {
      if !buffer.isEmpty {
        do {
          let (item, used) = try CBORDecoder.decodeFirst(buffer)
          buffer = buffer.dropFirst(used)
          return item
        } catch WireError.truncated(let what) where !atEnd {
          guard buffer.count < Self.elementBytes else { throw WireError.tooLarge(what, limit: Self.elementBytes) }
        }
      }
      if atEnd {
        guard buffer.isEmpty else { throw WireError.truncated("items.cbor") }
        return nil
      }
      let piece = try source.read(upTo: Limits.chunkBytes)
      if piece.isEmpty { atEnd = true } else { buffer = ArraySlice(Array(buffer) + piece) }
    }
  }
}
