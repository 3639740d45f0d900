import Wire

/// The meaning of an object's key under `inbox/`. Whoever may upload can put any key there, so anything that is not
/// exactly one of the two forms is unknown.
package enum InboxKey: Hashable, Sendable {
  /// `inbox/<queue>/<64 hex digits>.age`
  case bundle(QueueName, JobName)
  /// `inbox/cancel/<64 hex digits>.cose`
  case cancel(ContentDigest)
  case unknown

  /// Where clients put sealed bundles and cancel statements.
  package static let prefix = "inbox/"

  package init(_ key: String) {
    let parts = key.split(separator: "/", omittingEmptySubsequences: false)
    guard key.utf8.count <= 256, parts.count == 3, parts[0] == "inbox" else {
      self = .unknown
      return
    }
    if parts[1] == "cancel", parts[2].hasSuffix(".cose"), let digest = ContentDigest(hex: parts[2].dropLast(5)) {
      self = .cancel(digest)
    } else if let queue = QueueName(parts[1]), parts[2].hasSuffix(".age"),
      let name = JobName(hex: parts[2].dropLast(4))
    {
      self = .bundle(queue, name)
    } else {
      self = .unknown
    }
  }

  /// The object's key; nil for an unknown one.
  package var key: String? {
    switch self {
    case .bundle(let queue, let name): "inbox/\(queue)/\(name.hex).age"
    case .cancel(let digest): "inbox/cancel/\(digest.hex).cose"
    case .unknown: nil
    }
  }
}
