import Inference

/// An AWS KMS key policy, read strictly. What IAM's grammar has is understood; anything else makes the policy unusable,
/// since a part that is passed over may be the one that lets everybody in.
package struct KeyPolicyDocument: Sendable {
  /// Why a text is no key policy.
  package struct Malformed: Error, Equatable, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
  }

  enum Effect: String { case allow = "Allow", deny = "Deny" }

  /// One principal.
  struct Principal: Hashable, Sendable {
    enum Kind: String { case aws = "AWS", service = "Service", federated = "Federated", canonical = "CanonicalUser" }
    let kind: Kind
    let name: String

    /// The account when this is an account itself, as its number or as `arn:aws:iam::ACCOUNT:root`. An Allow for an
    /// account hands the decision to the IAM policies of that account.
    var wholeAccount: String? {
      guard kind == .aws else { return nil }
      if name.utf8.count == 12, name.utf8.allSatisfy({ (0x30...0x39).contains($0) }) { return name }
      return name.hasSuffix(":root") ? account : nil
    }

    /// The account that an ARN names.
    var account: String? {
      let parts = name.split(separator: ":", omittingEmptySubsequences: false)
      return parts.count > 5 && parts[0] == "arn" ? String(parts[4]) : wholeAccountNumber
    }

    private var wholeAccountNumber: String? {
      name.utf8.count == 12 && name.utf8.allSatisfy { (0x30...0x39).contains($0) } ? name : nil
    }
  }

  /// Whom a statement is about.
  enum Principals: Equatable, Sendable {
    /// `"*"`, or `{"AWS": "*"}`, of which only the first surely means services too.
    case everyone(services: Bool)
    case listed([Principal])
    /// NotPrincipal.
    case allBut([Principal])
  }

  /// One statement.
  struct Statement: Sendable {
    let number: Int
    let sid: String?
    let effect: Effect
    let principals: Principals
    let actions: [String]
    /// Whether `actions` are those that are left out (NotAction).
    let isNotAction: Bool
    let resources: [String]
    let isNotResource: Bool
    let conditions: [KeyPolicyCondition]

    /// For people: the Sid, or the place in the list.
    var label: String { sid.map { "statement \($0)" } ?? "statement \(number + 1)" }
  }

  private static let limits = JSONLimits(bytes: 256 << 10, depth: 16, values: 20_000)

  let statements: [Statement]

  /// - Throws: ``Malformed``.
  package init(json: [UInt8]) throws {
    let root: JSONValue
    do {
      root = try JSONValue(parsing: json, limits: Self.limits)
    } catch {
      throw Malformed("not JSON: \(error)")
    }
    guard let document = root.object else { throw Malformed("not a JSON object but \(root.kind)") }
    try Self.refuseOthers(in: document, than: ["Version", "Id", "Statement"], place: "the policy")
    guard ["2012-10-17", "2008-10-17"].contains(document["Version"]?.string) else {
      throw Malformed("Version is neither 2012-10-17 nor 2008-10-17")
    }
    guard let content = document["Statement"] else { throw Malformed("the policy has no Statement") }
    let items = content.array ?? [content]
    guard !items.isEmpty else { throw Malformed("the policy has no statements") }
    statements = try items.enumerated().map { try Self.statement($0.element, number: $0.offset) }
  }

  private static func refuseOthers(in object: JSONObject, than known: Set<String>, place: String) throws {
    if let unknown = object.members.first(where: { !known.contains($0.name) }) {
      throw Malformed("\(place): there is no element \(unknown.name.prefix(64))")
    }
  }

  private static func statement(_ item: JSONValue, number: Int) throws -> Statement {
    let place = "statement \(number + 1)"
    guard let fields = item.object else { throw Malformed("\(place) is not an object") }
    try refuseOthers(
      in: fields,
      than: [
        "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition",
      ], place: place)
    if let sid = fields["Sid"], sid.string == nil { throw Malformed("\(place): Sid is not text") }
    guard let effect = fields["Effect"]?.string.flatMap(Effect.init(rawValue:)) else {
      throw Malformed("\(place): Effect is neither Allow nor Deny")
    }
    let (actions, isNotAction) = try either("Action", fields, place: place)
    let (resources, isNotResource) = try either("Resource", fields, place: place)
    return Statement(
      number: number, sid: fields["Sid"]?.string, effect: effect,
      principals: try principals(fields, place: place), actions: actions, isNotAction: isNotAction,
      resources: resources, isNotResource: isNotResource,
      conditions: try conditions(fields["Condition"], place: place))
  }

  /// An element or its `Not` form, of which a statement has exactly one.
  private static func either(_ name: String, _ fields: JSONObject, place: String) throws -> ([String], isNot: Bool) {
    switch (fields[name], fields["Not\(name)"]) {
    case (let value?, nil): (try texts(value, "\(place), \(name)"), false)
    case (nil, let value?): (try texts(value, "\(place), Not\(name)"), true)
    default: throw Malformed("\(place) must have either \(name) or Not\(name)")
    }
  }

  private static func texts(_ value: JSONValue, _ place: String) throws -> [String] {
    let texts = (value.array ?? [value]).map { $0.string }
    guard !texts.isEmpty, !texts.contains(nil) else { throw Malformed("\(place) is neither text nor a list of texts") }
    return texts.compactMap { $0 }
  }

  private static func principals(_ fields: JSONObject, place: String) throws -> Principals {
    switch (fields["Principal"], fields["NotPrincipal"]) {
    case (let value?, nil):
      if value.string == "*" { return .everyone(services: true) }
      let list = try principalList(value, place: "\(place), Principal")
      return list.contains(Principal(kind: .aws, name: "*")) ? .everyone(services: false) : .listed(list)
    case (nil, let value?): return .allBut(try principalList(value, place: "\(place), NotPrincipal"))
    default: throw Malformed("\(place) must have either Principal or NotPrincipal")
    }
  }

  private static func principalList(_ value: JSONValue, place: String) throws -> [Principal] {
    if value.string == "*" { return [Principal(kind: .aws, name: "*")] }
    guard let kinds = value.object, !kinds.members.isEmpty else { throw Malformed("\(place) names nobody") }
    return try kinds.members.flatMap { member in
      guard let kind = Principal.Kind(rawValue: member.name) else {
        throw Malformed("\(place): there is no kind of principal \(member.name.prefix(64))")
      }
      return try texts(member.value, place).map { name in
        guard name == "*" || !name.contains("*") else {
          throw Malformed("\(place): a principal is whole or \"*\", no pattern")
        }
        return Principal(kind: kind, name: name)
      }
    }
  }

  private static func conditions(_ value: JSONValue?, place: String) throws -> [KeyPolicyCondition] {
    guard let value else { return [] }
    guard let operators = value.object else { throw Malformed("\(place): Condition is not an object") }
    return try operators.members.flatMap { member in
      guard let keys = member.value.object, !keys.members.isEmpty else {
        throw Malformed("\(place): \(member.name.prefix(64)) is not an object of condition keys")
      }
      // Condition keys have no case, and what two spellings of one would mean is not documented.
      guard Set(keys.members.map(\.name.asciiLowercased)).count == keys.members.count else {
        throw Malformed("\(place): \(member.name.prefix(64)) has a condition key twice, in different case")
      }
      return try keys.members.map { entry in
        let values = try (entry.value.array ?? [entry.value]).map { value -> String in
          switch value {
          case .string(let text), .number(let text): return text
          case .bool(let truth): return truth ? "true" : "false"
          case .null, .array, .object:
            throw Malformed("\(place): the condition on \(entry.name.prefix(64)) has a value that is no text")
          }
        }
        return try KeyPolicyCondition(operatorName: member.name, key: entry.name, values: values, place: place)
      }
    }
  }
}
