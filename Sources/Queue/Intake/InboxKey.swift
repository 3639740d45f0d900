import Wire

/// The meaning of an object's key under `inbox/`. Whoever may upload can put any key there, so anything that is not
/// exactly one of these forms is unknown.
package enum InboxKey: Hashable, Sendable {
  /// `inbox/<queue>/<64 hex digits>.age`, or `inbox/<queue>/<tenant>/<64 hex digits>.age`
  case bundle(QueueName, tenant: TenantName? = nil, JobName)
  /// `inbox/cancel/<64 hex digits>.cose`
  case cancel(ContentDigest)
  case unknown

  /// Where clients put sealed bundles and cancel statements.
  package static let prefix = "inbox/"

  package init(_ key: String) {
    let parts = key.split(separator: "/", omittingEmptySubsequences: false)
    guard key.utf8.count <= 256, (3...4).contains(parts.count), parts[0] == "inbox", let file = parts.last else {
      self = .unknown
      return
    }
    let tenant = parts.count == 4 ? TenantName(parts[2]) : nil
    if parts.count == 3, parts[1] == "cancel", file.hasSuffix(".cose"),
      let digest = ContentDigest(hex: file.dropLast(5))
    {
      self = .cancel(digest)
    } else if let queue = QueueName(parts[1]), file.hasSuffix(".age"), let name = JobName(hex: file.dropLast(4)),
      parts.count == 3 || tenant != nil
    {
      self = .bundle(queue, tenant: tenant, name)
    } else {
      self = .unknown
    }
  }

  /// The object's key; nil for an unknown one.
  package var key: String? {
    switch self {
    case .bundle(let queue, nil, let name): "inbox/\(queue)/\(name.hex).age"
    case .bundle(let queue, let tenant?, let name): "inbox/\(queue)/\(tenant)/\(name.hex).age"
    case .cancel(let digest): "inbox/cancel/\(digest.hex).cose"
    case .unknown: nil
    }
  }
}
