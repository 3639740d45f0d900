/// The small files of a model folder, by their names relative to it. They stand in clear beside the manifest.
package struct ModelFiles: Sendable {
  /// Bytes of one clear file at most: a multilingual tokenizer.json with room to spare.
  package static let clearFileLimit = 32 << 20

  private let contents: [String: [UInt8]]

  /// Takes files that the caller has already checked against the manifest's digests.
  package init(_ contents: [String: [UInt8]]) { self.contents = contents }

  /// The bytes of a file, or nil when the model has none of that name.
  package subscript(name: String) -> [UInt8]? { contents[name] }

  /// The names, sorted.
  package var names: [String] { contents.keys.sorted() }

  /// A JSON file whose top is an object; nil when the model has none of that name.
  func settings(_ name: String) throws(ModelError) -> SettingsReader? {
    guard let bytes = contents[name] else { return nil }
    guard case .object(let object) = try json(name, bytes) else { throw ModelError(name, "not a JSON object") }
    return SettingsReader(file: name, object: object)
  }

  /// A JSON file; nil when the model has none of that name.
  func json(_ name: String) throws(ModelError) -> JSONValue? {
    guard let bytes = contents[name] else { return nil }
    return try json(name, bytes)
  }

  private func json(_ name: String, _ bytes: [UInt8]) throws(ModelError) -> JSONValue {
    do {
      return try JSONValue(parsing: bytes, limits: JSONLimits(bytes: Self.clearFileLimit, values: 2_000_000))
    } catch {
      throw ModelError(name, error.description)
    }
  }
}

/// Reads typed members of one JSON object and names file and member in every refusal. A member that is null counts as
/// absent, as in Hugging Face's files.
struct SettingsReader {
  let file: String
  let object: JSONObject
  /// Names of the objects around this one, for errors.
  var path = ""

  private func member(_ name: String) -> JSONValue? {
    let value = object[name]
    return value == .null ? nil : value
  }

  func failure(_ name: String, _ reason: String) -> ModelError { ModelError(file, "`\(path)\(name)` \(reason)") }

  /// True when the member is there and not null.
  func has(_ name: String) -> Bool { member(name) != nil }

  func integer(_ name: String, in range: ClosedRange<Int>, default fallback: Int? = nil) throws(ModelError) -> Int {
    guard let value = member(name) else {
      if let fallback { return fallback }
      throw failure(name, "is missing")
    }
    guard let integer = value.integer, range.contains(integer) else {
      throw failure(name, "must be an integer from \(range.lowerBound) to \(range.upperBound)")
    }
    return integer
  }

  func number(_ name: String, in range: ClosedRange<Double>, default fallback: Double) throws(ModelError) -> Double {
    guard let value = member(name) else { return fallback }
    guard let number = value.double, range.contains(number) else {
      throw failure(name, "must be a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  func bool(_ name: String, default fallback: Bool) throws(ModelError) -> Bool {
    guard let value = member(name) else { return fallback }
    guard let bool = value.bool else { throw failure(name, "must be true or false") }
    return bool
  }

  func string(_ name: String, default fallback: String? = nil) throws(ModelError) -> String {
    guard let value = member(name) else {
      if let fallback { return fallback }
      throw failure(name, "is missing")
    }
    guard let string = value.string else { throw failure(name, "must be a string") }
    return string
  }

  func array(_ name: String) throws(ModelError) -> [JSONValue] {
    guard let array = member(name)?.array else { throw failure(name, "must be an array") }
    return array
  }

  /// An array of strings, such as the names of `architectures`.
  func strings(_ name: String, default fallback: [String]) throws(ModelError) -> [String] {
    guard has(name) else { return fallback }
    let array = try array(name)
    let strings = array.compactMap(\.string)
    guard strings.count == array.count else { throw failure(name, "must hold strings") }
    return strings
  }

  /// The members of an array of objects.
  func objects(_ name: String) throws(ModelError) -> [SettingsReader] {
    try array(name).map { (item) throws(ModelError) in
      guard let object = item.object else { throw failure(name, "must hold objects") }
      return SettingsReader(file: file, object: object, path: "\(path)\(name).")
    }
  }

  func settings(_ name: String) throws(ModelError) -> SettingsReader {
    guard let object = member(name)?.object else { throw failure(name, "must be an object") }
    return SettingsReader(file: file, object: object, path: "\(path)\(name).")
  }

  /// Refuses any other value than the one that this implementation computes.
  func require(_ name: String, _ wanted: String, default fallback: String? = nil) throws(ModelError) {
    let value = try string(name, default: fallback)
    guard value == wanted else { throw failure(name, "is `\(value.prefix(40))`; only `\(wanted)` is supported") }
  }
}
