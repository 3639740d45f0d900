/// Reads a map with text keys field by field and refuses what is left over, so that unknown keys are refused by form.
package struct CBORFields {
  private var fields: [String: CBOR] = [:]
  private let place: String

  /// - Parameter place: what is being read, for errors.
  /// - Throws: ``WireError/malformed(_:)`` unless `item` is a map whose keys are all text.
  package init(_ item: CBOR, in place: String) throws {
    guard case .map(let pairs) = item else { throw WireError.malformed("\(place): not a map") }
    self.place = place
    for pair in pairs {
      guard case .text(let key) = pair.key else { throw WireError.malformed("\(place): a key that is not text") }
      guard fields.updateValue(pair.value, forKey: key) == nil else {
        throw WireError.malformed("\(place): duplicate key \(CBORFields.shown(key))")
      }
    }
  }

  private static func shown(_ key: String) -> String {
    String(key.unicodeScalars.prefix(40).map { $0.isASCII && $0.value >= 32 ? Character($0) : "?" })
  }

  private func wrong(_ key: String, _ expected: String) -> WireError {
    .malformed("\(place): \(key) is not \(expected)")
  }

  /// Any value; throws when the key is absent.
  package mutating func item(_ key: String) throws -> CBOR {
    guard let value = fields.removeValue(forKey: key) else { throw WireError.malformed("\(place): \(key) is missing") }
    return value
  }

  /// A value that may be absent or null.
  package mutating func optional(_ key: String) -> CBOR? {
    guard let value = fields.removeValue(forKey: key), value != .null else { return nil }
    return value
  }

  /// A text string of at most `limit` UTF-8 bytes.
  package mutating func text(_ key: String, limit: Int = 4096) throws -> String {
    guard case .text(let value) = try item(key), value.utf8.count <= limit else {
      throw wrong(key, "text of at most \(limit) bytes")
    }
    return value
  }

  /// A text string that may be absent.
  package mutating func optionalText(_ key: String, limit: Int = 4096) throws -> String? {
    guard let item = optional(key) else { return nil }
    guard case .text(let value) = item, value.utf8.count <= limit else {
      throw wrong(key, "text of at most \(limit) bytes")
    }
    return value
  }

  /// A byte string of at most `limit` bytes, or of exactly `count`.
  package mutating func bytes(_ key: String, count: Int? = nil, limit: Int = Limits.smallObjectBytes) throws -> [UInt8]
  {
    guard case .bytes(let value) = try item(key) else { throw wrong(key, "a byte string") }
    if let count, value.count != count { throw wrong(key, "\(count) bytes") }
    guard value.count <= limit else { throw wrong(key, "at most \(limit) bytes") }
    return value
  }

  /// A byte string that may be absent.
  package mutating func optionalBytes(_ key: String, count: Int? = nil, limit: Int = Limits.smallObjectBytes) throws
    -> [UInt8]?
  {
    guard let value = optional(key) else { return nil }
    guard case .bytes(let found) = value, found.count <= limit, count == nil || count == found.count else {
      throw wrong(key, "a byte string of the right length")
    }
    return found
  }

  /// A SHA-256 digest.
  package mutating func digest(_ key: String) throws -> ContentDigest { try ContentDigest(try bytes(key, count: 32)) }

  /// A SHA-256 digest that may be absent.
  package mutating func optionalDigest(_ key: String) throws -> ContentDigest? {
    try optionalBytes(key, count: 32).map { try ContentDigest($0) }
  }

  /// An unsigned number of at most `limit`.
  package mutating func unsigned(_ key: String, limit: UInt64 = UInt64(Int64.max)) throws -> UInt64 {
    guard case .unsigned(let value) = try item(key), value <= limit else {
      throw wrong(key, "a number of at most \(limit)")
    }
    return value
  }

  /// An unsigned number that may be absent.
  package mutating func optionalUnsigned(_ key: String, limit: UInt64 = UInt64(Int64.max)) throws -> UInt64? {
    guard let item = optional(key) else { return nil }
    guard case .unsigned(let value) = item, value <= limit else { throw wrong(key, "a number of at most \(limit)") }
    return value
  }

  /// True or false.
  package mutating func bool(_ key: String) throws -> Bool {
    guard case .bool(let value) = try item(key) else { throw wrong(key, "true or false") }
    return value
  }

  /// An array of at most `limit` elements, each read by `read`.
  package mutating func array<Element>(
    _ key: String, limit: Int = Limits.cborElements, _ read: (CBOR) throws -> Element
  ) throws -> [Element] {
    guard case .array(let items) = try item(key), items.count <= limit else {
      throw wrong(key, "an array of at most \(limit)")
    }
    return try items.map(read)
  }

  /// An array that may be absent.
  package mutating func optionalArray<Element>(
    _ key: String, limit: Int = Limits.cborElements, _ read: (CBOR) throws -> Element
  ) throws -> [Element]? {
    guard let value = optional(key) else { return nil }
    guard case .array(let items) = value, items.count <= limit else { throw wrong(key, "an array of at most \(limit)") }
    return try items.map(read)
  }

  /// An array of text strings.
  package mutating func texts(_ key: String, limit: Int = 1024) throws -> [String] {
    let place = self.place
    return try array(key, limit: limit) { item in
      guard case .text(let text) = item, text.utf8.count <= 4096 else {
        throw WireError.malformed("\(place): \(key) holds what is not text")
      }
      return text
    }
  }

  /// An array of byte strings, each of exactly `count` bytes where that is given.
  package mutating func byteStrings(_ key: String, count: Int? = nil, limit: Int = 1024) throws -> [[UInt8]] {
    let place = self.place
    return try array(key, limit: limit) { item in
      guard case .bytes(let bytes) = item, count == nil || bytes.count == count else {
        throw WireError.malformed("\(place): \(key) holds what is not a byte string of the right length")
      }
      return bytes
    }
  }

  /// - Throws: ``WireError/malformed(_:)`` naming a key that nobody read.
  package func finish() throws {
    guard let key = fields.keys.sorted().first else { return }
    throw WireError.malformed("\(place): unknown key \(CBORFields.shown(key))")
  }
}
