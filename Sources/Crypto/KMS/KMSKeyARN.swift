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

  /// - Throws: ``WireError/malformed(_:)`` for anything but a full key ARN of a known partition.
  package init(_ text: String) throws {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard KMSStanza.isKeyARN(text), parts.count == 6, parts[3].utf8.count <= 40 else {
      throw WireError.malformed("KMS key: not a full key ARN")
    }
    switch parts[1] {
    case "aws", "aws-us-gov": domain = "amazonaws.com"
    case "aws-cn": domain = "amazonaws.com.cn"
    default: throw WireError.malformed("KMS key: an ARN of an unknown partition")
    }
    self.text = text
    region = String(parts[3])
  }

  /// The name that KMS proves by its certificate, in this key's region.
  package func serverName(fips: Bool) -> String { "\(fips ? "kms-fips" : "kms").\(region).\(domain)" }

  package var description: String { text }
}
