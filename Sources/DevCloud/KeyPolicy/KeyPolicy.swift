import FoundationEssentials

/// A KMS key policy, read strictly: an element that is not understood makes the whole policy unusable, since ignoring a
/// condition or a principal would widen it.
struct KeyPolicy: Sendable {
  /// Why a policy cannot be used.
  struct Malformed: Error, Equatable, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }

  /// What a statement does when it applies.
  enum Effect: String {
    case allow = "Allow"
    case deny = "Deny"
  }

  /// One statement.
  struct Statement: Sendable {
    let sid: String
    let effect: Effect
    /// ARNs, account numbers or `*`.
    let principals: [String]
    /// Patterns without case, such as `kms:Decrypt` or `kms:*`.
    let actions: [String]
    /// Patterns; in a key policy `*` is the key itself.
    let resources: [String]
    let conditions: [PolicyCondition]
  }

  let statements: [Statement]

  /// - Throws: ``Malformed``.
  init(json: [UInt8]) throws {
    guard let root = try? JSONDecoder().decode(JSONValue.self, from: Data(json)), case .object(let document) = root
    else { throw Malformed("is not a JSON object") }
    try Self.refuseOthers(in: document, than: ["Version", "Id", "Statement"], place: "policy")
    guard document["Version"] == .text("2012-10-17") else { throw Malformed("Version is not 2012-10-17") }
    switch document["Statement"] {
    case .array(let items):
      statements = try items.enumerated().map { try Self.statement($0.element, number: $0.offset) }
    case .some(let single): statements = [try Self.statement(single, number: 0)]
    case nil: throw Malformed("has no Statement")
    }
  }

  private static func refuseOthers(in object: [String: JSONValue], than known: Set<String>, place: String) throws {
    if let unknown = object.keys.filter({ !known.contains($0) }).min() {
      throw Malformed("\(place): the element \(unknown) is not supported")
    }
  }

  private static func statement(_ item: JSONValue, number: Int) throws -> Statement {
    guard case .object(let fields) = item else { throw Malformed("statement \(number) is not an object") }
    let sid = fields["Sid"]?.texts?.first ?? "#\(number)"
    let place = "statement \(sid)"
    try refuseOthers(
      in: fields, than: ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"], place: place)
    guard let effect = fields["Effect"]?.texts?.first.flatMap(Effect.init(rawValue:)) else {
      throw Malformed("\(place): Effect is neither Allow nor Deny")
    }
    guard let actions = fields["Action"]?.texts, !actions.isEmpty else { throw Malformed("\(place): no Action") }
    guard let resources = fields["Resource"]?.texts, !resources.isEmpty else {
      throw Malformed("\(place): no Resource")
    }
    return Statement(
      sid: sid, effect: effect, principals: try principals(fields["Principal"], place: place), actions: actions,
      resources: resources, conditions: try conditions(fields["Condition"], place: place))
  }

  private static func principals(_ item: JSONValue?, place: String) throws -> [String] {
    if item == .text("*") { return ["*"] }
    guard case .object(let kinds) = item else { throw Malformed("\(place): no Principal") }
    try refuseOthers(in: kinds, than: ["AWS"], place: "\(place), Principal")
    guard let principals = kinds["AWS"]?.texts, !principals.isEmpty else { throw Malformed("\(place): no Principal") }
    guard principals.allSatisfy({ $0 == "*" || !$0.contains("*") }) else {
      throw Malformed("\(place): a principal is whole or \"*\"")
    }
    return principals
  }

  private static func conditions(_ item: JSONValue?, place: String) throws -> [PolicyCondition] {
    guard let item else { return [] }
    guard case .object(let operators) = item else { throw Malformed("\(place): Condition is not an object") }
    return try operators.flatMap { name, keys in
      guard case .object(let keys) = keys, !keys.isEmpty else {
        throw Malformed("\(place): \(name) is not an object of condition keys")
      }
      return try keys.map { key, values in
        guard let values = values.texts else { throw Malformed("\(place): \(key) has no text values") }
        return try PolicyCondition(operatorName: name, key: key, values: values)
      }
    }
  }
}
