/// What kind of evidence an attestation document is. A trust profile names exactly one, and no flag widens it.
package enum EvidenceClass: String, Sendable, CaseIterable {
  /// A Nitro enclave on AWS: the chain ends in the AWS root.
  case production
  /// devcloud plays the hypervisor: true forms and checks, no confidentiality.
  case development
  /// QEMU's security module: true measurements, no signature, no proof.
  case emulated

  /// What every screen of this class says; nil for production, which needs no warning.
  package var banner: String? {
    switch self {
    case .production: nil
    case .development: "DEVELOPMENT: the evidence comes from a local stand-in for the hypervisor and proves nothing"
    case .emulated: "EMULATED: the evidence is unsigned and proves nothing"
    }
  }
}
