/// The separate parts of AWS: each has its regions, its domain and its own accounts. As botocore's
/// `partitions.json` has them; `Tests/Vectors/sigv4/kms.json` holds this table to it.
package enum AWSPartition: String, CaseIterable, Sendable {
  case aws
  case china = "aws-cn"
  case govCloud = "aws-us-gov"
  case europeanSovereign = "aws-eusc"
  case iso = "aws-iso"
  case isoB = "aws-iso-b"
  case isoE = "aws-iso-e"
  case isoF = "aws-iso-f"

  /// What service names end in.
  package var domain: String {
    switch self {
    case .aws, .govCloud: "amazonaws.com"
    case .china: "amazonaws.com.cn"
    case .europeanSovereign: "amazonaws.eu"
    case .iso: "c2s.ic.gov"
    case .isoB: "sc2s.sgov.gov"
    case .isoE: "cloud.adc-e.uk"
    case .isoF: "csp.hci.ic.gov"
    }
  }

  /// What the regions of this partition begin with; nil for the one that has all others.
  private var regionPrefix: String? {
    switch self {
    case .aws: nil
    case .china: "cn-"
    case .govCloud: "us-gov-"
    case .europeanSovereign: "eusc-"
    case .iso: "us-iso-"
    case .isoB: "us-isob-"
    case .isoE: "eu-isoe-"
    case .isoF: "us-isof-"
    }
  }

  /// The partition of a region, known by how its name begins.
  package init(region: String) {
    self = Self.allCases.first { $0.regionPrefix.map { region.hasPrefix($0) } ?? false } ?? .aws
  }
}
