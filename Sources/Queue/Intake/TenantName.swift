/// The name of a tenant of a queue, which is the folder under the queue's that holds his bundles: like a queue's name,
/// but of 63 characters at most.
///
/// A host can tell its submitters apart only by where the store let them write, since who signed a job is sealed inside
/// it. So a tenant is an inbox folder, and it is the store's permissions (an S3 policy on the prefix) that keep one
/// submitter out of another's.
package struct TenantName: Hashable, Sendable, CustomStringConvertible {
  /// The name as it stands in keys.
  package let rawValue: String

  /// Nil for anything that is no tenant's name.
  package init?(_ text: some StringProtocol) {
    guard text.utf8.count <= 63, let name = QueueName(text) else { return nil }
    rawValue = name.rawValue
  }

  package var description: String { rawValue }
}
