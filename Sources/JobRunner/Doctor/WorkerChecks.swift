import Attestation
import Foundation
import SealedCrypto
import Wire

/// A worker: reached, what its evidence is worth, whether the policy lists its image, its clock.
struct WorkerChecks {
  let name: String
  let address: WorkerAddress
  /// Nil where none can be read.
  let policy: PolicyClaims?
  private static let patienceMilliseconds: Int32 = 10_000
  private static let slightSeconds = 5

  func examine() -> [Diagnosis] {
    let status: Unattested<StatusClaims>
    do { status = try ask() } catch {
      return [
        .fail(
          "worker \(name)", "\(address): \(error)", meaning: "jobs stay ready until one answers",
          remedy: Self.remedy(address))
      ]
    }
    let claims = status.signed.claims
    let policyWords = claims.policyDigest == nil ? "no policy yet" : "policy \(claims.policyVersion)"
    var found: [Diagnosis] = [
      .ok(
        "worker \(name)",
        "\(address) answers: \(Shown.printable(claims.software)), \(policyWords), "
          + Shown.count(UInt64(claims.epochs.count), "epoch")),
      evidence(status.document),
    ]
    if let image = ReportedImage(document: status.document) {
      found.append(listed(image))
      let seconds = (Int(image.timeMs / 1000)) - Int(Date().timeIntervalSince1970)
      found.append(
        ClockJudgement.judge(
          "worker \(name) clock", seconds: seconds, of: "the security module", slight: Self.slightSeconds))
    }
    return found
  }

  private func ask() throws -> Unattested<StatusClaims> {
    let client = WorkerClient(endpoint: address, stallMilliseconds: Self.patienceMilliseconds)
    guard let bytes = try client.perform(.status(nonce: [])).statement else {
      throw WorkerNotReady(description: "it gave no status")
    }
    return try UnverifiedStatement<StatusClaims>(bytes).signedByItsOwnKey()
  }

  private func evidence(_ document: [UInt8]) -> Diagnosis {
    let check = "worker \(name) evidence"
    func verifies(_ anchor: TrustAnchor?) -> Bool {
      guard let anchor else { return false }
      return
        (try? AttestationVerifier(anchor).verify(
          UnverifiedAttestation(document), at: .documentTime, measurements: nil)) != nil
    }
    if verifies(try? TrustAnchor.production()) {
      return .ok(check, "production: it chains to AWS's root")
    }
    let isEmulated = verifies(.emulated)
    return .warn(
      check, isEmulated ? "emulated: nobody signed it" : "not AWS's: of a development root, or not genuine",
      meaning: "clients with a production profile refuse this worker's keys and receipts",
      remedy: "right for development; in production run the image on Nitro (docs/operations/deploy.md)")
  }

  private func listed(_ image: ReportedImage) -> Diagnosis {
    let check = "worker \(name) image"
    guard let policy else {
      return .warn(
        check, "PCR0 \(image.shortName)", meaning: "without a policy nobody can say whether it is listed",
        remedy: "see `policy` above")
    }
    if let listed = image.name(in: policy) { return .ok(check, "listed in the policy as \(listed)") }
    return .fail(
      check, "PCR0 \(image.shortName) is not listed in policy version \(policy.version)",
      meaning: "its receipts would be refused, so it is given no job",
      remedy: "run a listed image, or have the officer list this one (docs/operations/upgrade.md)")
  }

  private static func remedy(_ address: WorkerAddress) -> String {
    switch address {
    case .direct(.vsock):
      "systemctl status ephemeral-enclave; nitro-cli describe-enclaves: CID and state; then start it"
    case .direct(.unix(let path)): "start enclave-worker with --listen unix:\(path)"
    case .multiplexed(let path, _): "start the emulator whose vsock device owns \(path) (docs/operations/emulator.md)"
    }
  }
}
