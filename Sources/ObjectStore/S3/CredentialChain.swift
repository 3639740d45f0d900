import FoundationEssentials
import SealedCrypto

/// One place where credentials may be.
protocol CredentialPlace: Sendable {
  /// For people, in the list of what was found where.
  var name: String { get }
  /// - Throws: ``ObjectStoreError`` where the place was meant to be used, and what is there is of no use: going on would
  ///   silently act as somebody else.
  func look() throws -> CredentialFinding
}

/// What a place had.
enum CredentialFinding {
  case found(AWSCredentials)
  /// Nothing, and in which way, for people.
  case absent(String)
}

/// Places in their order; the first that has credentials is taken.
struct CredentialChain: Sendable {
  static let action = "find AWS credentials"
  private let places: [any CredentialPlace]

  init(_ places: [any CredentialPlace]) { self.places = places }

  /// - Throws: ``ObjectStoreError`` that says what each place had.
  func find() throws -> AWSCredentials {
    var reasons: [String] = []
    for place in places {
      switch try place.look() {
      case .found(let credentials): return credentials
      case .absent(let reason): reasons.append("\(place.name): \(reason)")
      }
    }
    throw Self.error(reasons.joined(separator: "; "), "set one of them up (docs/operations/credentials.md)")
  }

  static func error(
    _ reason: String, _ mend: String, kind: ObjectStoreError.Kind = .denied
  ) -> ObjectStoreError {
    ObjectStoreError(kind, action, reason, mend: mend, by: .you)
  }
}

extension AWSCredentials {
  /// Credentials from text of any origin. Blanks and control characters stand in none, and in a header they would begin
  /// something else.
  ///
  /// - Parameter origin: for people.
  /// - Throws: ``ObjectStoreError``.
  init(id: String, secret: String, token: String?, expiration: Int64? = nil, origin: String) throws {
    for (what, value, limit) in [
      ("access key id", id, 256), ("secret access key", secret, 256), ("session token", token ?? "-", 16 << 10),
    ] {
      guard (1...limit).contains(value.utf8.count), value.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
        throw CredentialChain.error(
          "\(origin): the \(what) is empty, longer than \(limit) bytes, or has blanks or control characters in it",
          "copy it again")
      }
    }
    self.init(
      accessKeyID: id, secret: try SecretBytes(copying: Array(secret.utf8)), sessionToken: token,
      expiration: expiration)
  }
}
