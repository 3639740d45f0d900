import Yams

/// Reads a YAML mapping field by field, refuses what is left over, and names file and line in every refusal.
struct YAMLFields {
  private var fields: [String: Node] = [:]
  private let place: String
  private let line: Int?

  /// The mapping that a whole file is; an empty file is an empty mapping.
  ///
  /// - Throws: ``ClientError`` of kind `usage`.
  init(parsing bytes: [UInt8], file: String) throws {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw ClientError(.usage, "\(file) is not UTF-8", remedy: "save it as UTF-8")
    }
    let node: Node?
    do {
      node = try Yams.compose(yaml: text)
    } catch {
      throw ClientError(.usage, "\(file) is not YAML: \(error)", remedy: "mend the file")
    }
    try self.init(node ?? Node.mapping(Node.Mapping([])), in: file)
  }

  init(_ node: Node, in place: String) throws {
    self.place = place
    line = node.mark?.line
    guard case .mapping(let mapping) = node else {
      throw Self.failure(place, line, "must be a mapping of keys to values")
    }
    for (key, value) in mapping {
      guard let name = key.string else { throw Self.failure(place, key.mark?.line, "a key is not text") }
      guard fields.updateValue(value, forKey: name) == nil else {
        throw Self.failure(place, key.mark?.line, "`\(name)` stands twice")
      }
    }
  }

  private static func failure(_ place: String, _ line: Int?, _ reason: String) -> ClientError {
    let at = line.map { " line \($0)" } ?? ""
    return ClientError(.usage, "\(place)\(at): \(reason)", remedy: "mend the file")
  }

  /// A refusal at a field.
  func failure(_ key: String, _ reason: String) -> ClientError {
    Self.failure(place, fields[key]?.mark?.line ?? line, "`\(key)` \(reason)")
  }

  /// Whether the key is there.
  func has(_ key: String) -> Bool { fields[key] != nil }

  /// A text that may be absent.
  mutating func optionalText(_ key: String) throws -> String? {
    guard let node = fields[key] else { return nil }
    guard case .scalar(let scalar) = node else { throw failure(key, "must be text") }
    fields[key] = nil
    return scalar.string
  }

  /// A text that must be there.
  mutating func text(_ key: String) throws -> String {
    guard let text = try optionalText(key), !text.isEmpty else { throw failure(key, "is missing") }
    return text
  }

  /// An unsigned number, or the default where it is absent.
  mutating func unsigned(_ key: String, default fallback: UInt64? = nil) throws -> UInt64 {
    let missing = failure(key, "must be a whole number")
    guard let text = try optionalText(key) else {
      guard let fallback else { throw failure(key, "is missing") }
      return fallback
    }
    guard let value = UInt64(text) else { throw missing }
    return value
  }

  /// True or false, or the default where it is absent.
  mutating func bool(_ key: String, default fallback: Bool) throws -> Bool {
    let wrong = failure(key, "must be true or false")
    switch try optionalText(key) {
    case nil: return fallback
    case "true": return true
    case "false": return false
    default: throw wrong
    }
  }

  /// Texts, or the default where they are absent.
  mutating func texts(_ key: String, default fallback: [String]? = nil) throws -> [String] {
    let wrong = failure(key, "must be a list of texts")
    guard let nodes = try optionalList(key) else {
      guard let fallback else { throw failure(key, "is missing") }
      return fallback
    }
    return try nodes.map { node in
      guard case .scalar(let scalar) = node else { throw wrong }
      return scalar.string
    }
  }

  /// Mappings; none where the key is absent.
  mutating func mappings(_ key: String) throws -> [YAMLFields] {
    let name = "\(place): \(key)"
    return try (try optionalList(key) ?? []).map { try YAMLFields($0, in: name) }
  }

  private mutating func optionalList(_ key: String) throws -> [Node]? {
    guard let node = fields[key] else { return nil }
    guard case .sequence(let sequence) = node else { throw failure(key, "must be a list") }
    fields[key] = nil
    return Array(sequence)
  }

  /// - Throws: ``ClientError`` of kind `usage` naming every key that is not among `known`.
  func refuseOthers(than known: Set<String>) throws {
    let others = fields.keys.filter { !known.contains($0) }.sorted()
    guard let first = others.first else { return }
    guard others.count > 1 else { throw failure(first, "is not known here") }
    throw failure(first, "and \(others.dropFirst().map { "`\($0)`" }.joined(separator: ", ")) are not known here")
  }

  /// - Throws: ``ClientError`` of kind `usage` naming a key that this program does not know.
  func finish() throws {
    guard let key = fields.keys.sorted().first else { return }
    throw failure(key, "is not known here")
  }
}
