import SealedCrypto
import Wire

/// Someone who may sign requests: a role of the development account and its access key.
struct Caller: Sendable {
  /// `host`, `publisher` or `owner`.
  let profile: String
  let accessKeyID: String
  let secret: SecretBytes

  /// The role's ARN: what key policies name.
  var arn: String { PolicyTemplates.role(profile) }

  /// Text of a new AWS profile file with fresh credentials.
  static func newCredentials(_ profiles: [String]) throws -> String {
    let capitals = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    let signs = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
    func random(_ alphabet: [Character], _ count: Int) -> String {
      var generator = SystemRandomNumberGenerator()
      return String((0..<count).compactMap { _ in alphabet.randomElement(using: &generator) })
    }
    return profiles.map { profile in
      """
      # DEVELOPMENT: \(PolicyTemplates.role(profile)) of devcloud
      [\(profile)]
      aws_access_key_id = AKIA\(random(capitals, 16))
      aws_secret_access_key = \(random(signs, 40))

      """
    }.joined(separator: "\n")
  }

  /// Reads what ``newCredentials(_:)`` wrote.
  ///
  /// - Throws: ``StateError/malformed(_:_:)``.
  static func read(_ text: String, file: String) throws -> [Caller] {
    var sections: [(profile: String, values: [String: String])] = []
    for line in text.split(whereSeparator: \.isNewline) {
      let line = line.drop { $0 == " " }
      if line.isEmpty || line.hasPrefix("#") { continue }
      if line.hasPrefix("["), let end = line.firstIndex(of: "]") {
        sections.append((String(line[line.index(after: line.startIndex)..<end]), [:]))
        continue
      }
      let halves = line.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " } }
      guard halves.count == 2, let last = sections.indices.last else {
        throw StateError.malformed(file, "a line that is neither [profile] nor name = value")
      }
      sections[last].values[halves[0]] = halves[1]
    }
    let callers = try sections.map { section in
      guard let id = section.values["aws_access_key_id"], let secret = section.values["aws_secret_access_key"] else {
        throw StateError.malformed(file, "profile \(section.profile) has no complete access key")
      }
      return Caller(profile: section.profile, accessKeyID: id, secret: try SecretBytes(copying: Array(secret.utf8)))
    }
    guard Set(callers.map(\.accessKeyID)).count == callers.count else {
      throw StateError.malformed(file, "two profiles with one access key id")
    }
    return callers
  }
}
