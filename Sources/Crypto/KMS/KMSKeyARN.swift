import Wire

/// The full ARN of a KMS key, as the policy names it: no alias, no bare id (protocol §2).
///
/// Everything that says where KMS is comes from here, so that the host cannot send the worker to another service.
package struct KMSKeyARN: Hashable, Sendable, CustomStringConvertible {
  /// `arn:<partition>:kms:<region>:<account>:key/<id>`.
  package let text: String
  /// Such as `us-east-1`.
  package let region: String
  private let domain: String

  /// - Throws: ``WireError/malformed(_:)`` for anything but a full key ARN of a known partition in one of its regions.
  package init(_ text: String) throws {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard KMSStanza.isKeyARN(text), parts.count == 6, parts[3].utf8.count <= 40 else {
      throw WireError.malformed("KMS key: not a full key ARN")
    }
    guard let partition = AWSPartition(rawValue: String(parts[1])) else {
      throw WireError.malformed("KMS key: an ARN of an unknown partition")
    }
    region = String(parts[3])
    guard AWSPartition(region: region) == partition else {
      throw WireError.malformed("KMS key: \(region) is no region of the partition \(partition.rawValue)")
    }
    self.text = text
    domain = partition.domain
  }

  /// The name that KMS proves by its certificate, in this key's region. Some regions (China's) have no FIPS endpoint:
  /// nobody answers to its name there, and nothing falls back to the standard one.
  package func serverName(fips: Bool) -> String { "\(fips ? "kms-fips" : "kms").\(region).\(domain)" }

  package var description: String { text }
}
